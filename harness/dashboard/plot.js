// Plots as inline SVG: scatter plots with fronts and intervals, and curves; the same on served and on saved pages.
const PLOTS = (() => {
  // Okabe and Ito's colours, which colour-blind readers can tell apart, and others of those hues. With nine symbols
  // beside ten colours ninety methods have a pair of their own.
  const COLOURS = ["#0072b2", "#d55e00", "#009e73", "#c05fa0", "#b58900", "#3f9bd8", "#7a5cc2", "#8c6d46", "#d1495b", "#5f8f3e"];
  const polygon = (...points) => (r) => "M" + points.map(([x, y]) => `${(x * r).toFixed(1)},${(y * r).toFixed(1)}`).join("L") + "Z";
  const around = (n, turn, inner = 1) => polygon(...Array.from({length: n}, (_, i) => {
    const angle = turn + 2 * Math.PI * i / n, size = i % 2 ? inner : 1;
    return [1.15 * size * Math.cos(angle), 1.15 * size * Math.sin(angle)];
  }));
  const SYMBOLS = [
    (r) => `M${-r},0A${r},${r} 0 1 0 ${r},0A${r},${r} 0 1 0 ${-r},0Z`, polygon([-.9, -.9], [.9, -.9], [.9, .9], [-.9, .9]),
    polygon([0, -1.3], [1.1, 0], [0, 1.3], [-1.1, 0]), around(3, -Math.PI / 2), around(3, Math.PI / 2), around(5, -Math.PI / 2),
    polygon([-.4, -1.1], [.4, -1.1], [.4, -.4], [1.1, -.4], [1.1, .4], [.4, .4], [.4, 1.1], [-.4, 1.1], [-.4, .4], [-1.1, .4], [-1.1, -.4], [-.4, -.4]),
    around(10, -Math.PI / 2, .45), around(6, 0),
  ];
  const look = (index) => ({colour: COLOURS[index % 10], symbol: SYMBOLS[index % 9]});
  const STEPS = {
    bytes: [[1, " B"], [2 ** 10, " KiB"], [2 ** 20, " MiB"], [2 ** 30, " GiB"], [2 ** 40, " TiB"]],
    seconds: [[.001, " ms"], [1, " s"], [60, " min"], [3600, " h"]], share: [[.01, " %"]], points: [[.01, ""]], ratio: [[1, "×"]],
    count: [[1, ""], [1e3, "k"], [1e6, "M"], [1e9, "B"]], rate: [[1, ""], [1e3, "k"]],
    joules: [[1, " J"], [1e3, " kJ"], [1e6, " MJ"]], flops: [[1, " FLOP"], [1e6, " MFLOP"], [1e9, " GFLOP"], [1e12, " TFLOP"]],
  };
  const step = (unit, size) => (STEPS[unit] || [[1, ""]]).filter(([factor], i) => !i || Math.abs(size) >= factor).pop();
  const short = (number) => (number || 0).toLocaleString("en", {maximumSignificantDigits: 4});

  // A figure in the unit that people read.
  function write(unit, value) {
    if (value === null || value === undefined) return "–";
    const [factor, name] = step(unit, value), number = value / factor;
    if (unit === "share") return (number && Math.abs(number) < .1 ? short(Number(number.toPrecision(2))) : number.toFixed(1)) + name;
    if (unit === "seconds" && value >= 60) {
      const whole = Math.round(value), hours = Math.floor(whole / 3600);
      return hours ? `${hours.toLocaleString("en")} h ${Math.floor(whole % 3600 / 60)} min` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
    }
    if (unit === "points") return (number < 0 ? "" : "+") + number.toFixed(1);
    if (unit === "ratio") return number.toFixed(2) + name;
    if (unit === "bytes") return number.toFixed(factor > 1 ? 1 : 0) + name;
    if (unit === "count") return value.toLocaleString("en", {maximumFractionDigits: 1});
    return unit === "rate" && value >= 100 ? Math.round(value).toLocaleString("en") : short(number) + name;
  }

  function ticks(axis, low, high) {
    const [factor, name] = step(axis.unit, Math.max(Math.abs(low), Math.abs(high)));
    if (axis.log) {
      const base = axis.unit === "bytes" ? 2 : 10, found = [];
      const first = Math.floor(Math.log(low) / Math.log(base)), last = Math.ceil(Math.log(high) / Math.log(base));
      for (let power = first; power <= last; power++) {
        for (const part of base === 10 && last - first < 4 ? [1, 2, 5] : [1]) found.push(part * base ** power);
      }
      const inside = found.filter((value) => value >= low * .999 && value <= high * 1.001), every = Math.ceil(inside.length / 8);
      return inside.filter((_, i) => i % every === 0).map((value) => {
        const [own, unit] = step(axis.unit, value);
        return [value, short(value / own) + unit];
      });
    }
    const rough = (high - low) / factor / 6, power = 10 ** Math.floor(Math.log10(rough));
    const size = factor * power * [1, 2, 5, 10].find((one) => one * power >= rough), found = [];
    for (let i = Math.ceil(low / size - 1e-9); i * size <= high + size * 1e-9; i++) found.push([i * size, short(i * size / factor) + name]);
    return found;
  }

  const escapeText = (text) => String(text).replace(/[&<>"']/g, (letter) => `&#${letter.charCodeAt(0)};`);
  const cut = (text, length) => text.length > length ? text.slice(0, length - 1) + "…" : text;

  function domain(axis, values) {
    let low = Math.min(...values), high = Math.max(...values);
    if (axis.log) return low === high ? [low / 2, high * 2] : [low / (high / low) ** .06, high * (high / low) ** .06];
    if (low === high) [low, high] = low ? [low - Math.abs(low) * .1, high + Math.abs(high) * .1] : [-1, 1];
    return [low - .06 * (high - low), high + .06 * (high - low)];
  }

  // Draws into a figure; `open` is called with the key of a point that was clicked.
  function draw(figure, data, open) {
    const scatter = data.kind === "scatter", state = {zoom: null, highlight: data.highlight || ""};
    const groups = scatter ? data.methods.map((name, i) => ({name, index: i})).filter(({index}) => data.points.some((point) => point.method === index))
      : data.series.map(({name}, i) => ({name, index: i}));
    figure.innerHTML = `<div class="canvas"></div><div class="tip" hidden></div><div class="tools"><button type="button" data-zoom="in" title="Zoom in">+</button>` +
      `<button type="button" data-zoom="out" title="Zoom out">−</button><button type="button" data-zoom="all">Whole plot</button></div><div class="legend"></div>`;
    const [canvas, tip, tools, legend] = figure.children;
    legend.innerHTML = groups.map(({name, index}) => `<button type="button" data-method="${escapeText(name)}" aria-pressed="false"><svg width="14" height="14" viewBox="-7 -7 14 14">` +
      `<path d="${look(index).symbol(5)}" fill="${look(index).colour}"/></svg>${escapeText(name || "unknown")}</button>`).join("");
    const all = {
      x: scatter ? data.points.flatMap((one) => [one.x, ...(one.bars.x || [])]) : data.series.flatMap((one) => one.points.map((point) => point[0])),
      y: scatter ? data.points.flatMap((one) => [one.y, ...(one.bars.y || [])]) : data.series.flatMap((one) => one.points.map((point) => point[1])),
    };
    for (const letter of "xy") if (data[letter].log) all[letter] = all[letter].filter((value) => value > 0);

    function paint() {
      const width = Math.max(300, canvas.clientWidth || 700), narrow = width < 560, height = scatter ? Math.max(380, Math.min(560, width * .55)) : 300;
      const edge = {left: narrow ? 58 : 76, right: narrow ? 12 : 22, top: 14, bottom: 46};
      const [low, high] = [{}, {}];
      for (const letter of "xy") [low[letter], high[letter]] = state.zoom ? state.zoom[letter] : domain(data[letter], all[letter]);
      const unit = (letter, value) => data[letter].log ? Math.log(value / low[letter]) / Math.log(high[letter] / low[letter]) : (value - low[letter]) / (high[letter] - low[letter]);
      const value = (letter, part) => data[letter].log ? low[letter] * (high[letter] / low[letter]) ** part : low[letter] + part * (high[letter] - low[letter]);
      const inner = {width: width - edge.left - edge.right, height: height - edge.top - edge.bottom};
      const px = (one) => edge.left + unit("x", one) * inner.width, py = (one) => edge.top + (1 - unit("y", one)) * inner.height;
      const seen = (one) => one.x >= low.x && one.x <= high.x && one.y >= low.y && one.y <= high.y;
      const parts = [];
      let right = -Infinity;
      for (const [at, text] of ticks(data.x, low.x, high.x)) {
        const half = text.length * 3.4;
        parts.push(`<path class="grid" d="M${px(at)},${edge.top}v${inner.height}"/>`);
        if (px(at) - half > right) {
          parts.push(`<text class="xtick" x="${px(at)}" y="${height - edge.bottom + 16}" text-anchor="middle">${text}</text>`);
          right = px(at) + half + 6;
        }
      }
      for (const [at, text] of ticks(data.y, low.y, high.y)) {
        parts.push(`<path class="grid" d="M${edge.left},${py(at)}h${inner.width}"/><text class="ytick" x="${edge.left - 7}" y="${py(at) + 4}" text-anchor="end">${text}</text>`);
      }
      const title = (axis) => escapeText(axis.label + (axis.better ? `, ${axis.better} is better` : "") + (axis.log ? " (log)" : ""));
      parts.push(`<text class="xtitle" x="${edge.left + inner.width / 2}" y="${height - 8}" text-anchor="middle">${title(data.x)}</text>`);
      parts.push(`<text class="ytitle" transform="translate(${narrow ? 11 : 15},${edge.top + inner.height / 2}) rotate(-90)" text-anchor="middle">${title(data.y)}</text>`);
      const clip = `clip-${paint.number ??= ++draw.count}`;
      parts.push(`<clipPath id="${clip}"><rect x="${edge.left}" y="${edge.top}" width="${inner.width}" height="${inner.height}"/></clipPath><g clip-path="url(#${clip})">`);
      const dim = (name) => state.highlight && state.highlight !== name ? " dim" : "";
      if (scatter) {
        const fronts = Map.groupBy(data.points.filter((one) => one.front).sort((a, b) => a.x - b.x || a.y - b.y), (one) => one.group);
        for (const line of fronts.values()) parts.push(`<path class="front" d="M${line.map((one) => `${px(one.x)},${py(one.y)}`).join("L")}"/>`);
        for (const one of data.points) {
          const {colour, symbol} = look(one.method), name = data.methods[one.method];
          const {x, y} = one.bars;
          if (x) parts.push(`<path class="bar${dim(name)}" stroke="${colour}" d="M${px(Math.max(x[0], low.x))},${py(one.y)}H${px(x[1])}"/>`);
          if (y) parts.push(`<path class="bar${dim(name)}" stroke="${colour}" d="M${px(one.x)},${py(data.y.log ? Math.max(y[0], low.y) : y[0])}V${py(y[1])}"/>`);
          if (one.front) parts.push(`<circle class="ring" cx="${px(one.x)}" cy="${py(one.y)}" r="10"/>`);
          parts.push(`<path class="point${dim(name)}" data-key="${escapeText(one.key)}" transform="translate(${px(one.x).toFixed(1)},${py(one.y).toFixed(1)})" d="${symbol(6)}" fill="${colour}"/>`);
        }
      } else {
        data.series.forEach(({name, points}, index) => {
          const {colour, symbol} = look(index);
          parts.push(`<path class="line${dim(name)}" stroke="${colour}" d="M${points.map(([a, b]) => `${px(a).toFixed(1)},${py(b).toFixed(1)}`).join("L")}"/>`);
          if (points.length <= 60) for (const [a, b] of points) parts.push(`<path class="mark${dim(name)}" transform="translate(${px(a).toFixed(1)},${py(b).toFixed(1)})" d="${symbol(3.5)}" fill="${colour}"/>`);
        });
      }
      parts.push("</g>");
      if (scatter) parts.push(...names(data.points.filter((one) => one.front && seen(one)), data.points.filter(seen), px, py, edge, inner, narrow ? 16 : width < 900 ? 30 : 48));
      parts.push('<rect class="drag" width="0" height="0"/>');
      canvas.innerHTML = `<svg viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${title(data.y)} against ${title(data.x)}">${parts.join("")}</svg>`;
      for (const button of legend.children) button.setAttribute("aria-pressed", String(button.dataset.method === state.highlight));
      Object.assign(state, {value, edge, inner, low, high});
    }

    // Part of an axis at a place of the pointer, from 0 to 1.
    function place(event) {
      const box = canvas.getBoundingClientRect(), within = (one) => Math.max(0, Math.min(1, one));
      return {x: within((event.clientX - box.left - state.edge.left) / state.inner.width), y: within(1 - (event.clientY - box.top - state.edge.top) / state.inner.height)};
    }
    function zoom(x, y) {
      const found = {x: x.map((part) => state.value("x", part)), y: y.map((part) => state.value("y", part))};
      if (["x", "y"].every((letter) => found[letter].every(Number.isFinite) && found[letter][0] < found[letter][1])) state.zoom = found;
      paint();
    }
    let start = null;
    canvas.addEventListener("pointerdown", (event) => { if (event.pointerType === "mouse" && !event.button) start = place(event); });
    canvas.addEventListener("pointermove", (event) => {
      const point = event.target.closest(".point"), box = canvas.getBoundingClientRect();
      tip.hidden = !point;
      if (point) {
        const one = data.points.find(({key}) => key === point.dataset.key);
        const lines = [`<b>${escapeText(one.name)}</b>`, ...["y", "x"].map((letter) => escapeText(`${data[letter].label}: ${write(data[letter].unit, one[letter])}`) +
          (one.bars[letter] ? ` (${one.bars[letter].map((end) => write(data[letter].unit, end)).join(" – ")})` : "")), ...one.hover.map(escapeText)];
        tip.innerHTML = lines.join("<br>");
        const x = event.clientX - box.left, y = event.clientY - box.top;
        tip.style.left = `${Math.max(0, x > box.width / 2 ? x - tip.offsetWidth - 14 : x + 14)}px`;
        tip.style.top = `${Math.max(0, Math.min(y, box.height - tip.offsetHeight))}px`;
      }
      if (start) {
        const end = place(event), rect = canvas.querySelector(".drag");
        const [x, y] = ["x", "y"].map((letter) => [Math.min(start[letter], end[letter]), Math.max(start[letter], end[letter])]);
        rect.setAttribute("x", state.edge.left + x[0] * state.inner.width);
        rect.setAttribute("y", state.edge.top + (1 - y[1]) * state.inner.height);
        rect.setAttribute("width", (x[1] - x[0]) * state.inner.width);
        rect.setAttribute("height", (y[1] - y[0]) * state.inner.height);
      }
    });
    canvas.addEventListener("pointerleave", () => { tip.hidden = true; });
    canvas.addEventListener("pointerup", (event) => {
      const from = start, end = from && place(event);
      start = null;
      if (from && Math.abs(end.x - from.x) > .02 && Math.abs(end.y - from.y) > .02) {
        zoom([Math.min(from.x, end.x), Math.max(from.x, end.x)], [Math.min(from.y, end.y), Math.max(from.y, end.y)]);
      } else if (!event.button && event.target.closest(".point") && open) open(event.target.closest(".point").dataset.key);
    });
    canvas.addEventListener("dblclick", () => { state.zoom = null; paint(); });
    tools.addEventListener("click", ({target}) => {
      if (target.dataset.zoom === "in") zoom([.2, .8], [.2, .8]);
      if (target.dataset.zoom === "out") zoom([-1 / 3, 4 / 3], [-1 / 3, 4 / 3]);
      if (target.dataset.zoom === "all") { state.zoom = null; paint(); }
    });
    legend.addEventListener("click", ({target}) => {
      const button = target.closest("[data-method]");
      if (button) { state.highlight = state.highlight === button.dataset.method ? "" : button.dataset.method; paint(); }
    });
    paint();
    new ResizeObserver(() => { if (figure.isConnected && Math.abs(canvas.clientWidth - Number(canvas.firstChild.getAttribute("width"))) > 2) paint(); }).observe(canvas);
  }
  draw.count = 0;

  // Names of the points on the front, each where it covers least of other names and points.
  function names(front, points, px, py, edge, inner, longest) {
    const taken = points.slice(0, 400).map((one) => [px(one.x) - 6, py(one.y) - 6, px(one.x) + 6, py(one.y) + 6]);
    const overlap = (a, b) => Math.max(0, Math.min(a[2], b[2]) - Math.max(a[0], b[0])) * Math.max(0, Math.min(a[3], b[3]) - Math.max(a[1], b[1]));
    return front.map((one) => {
      const text = cut(`${one.front} ${one.name}`, longest), width = text.length * 6.3, x = px(one.x), y = py(one.y);
      const spots = [[12, 4], [12, 18], [12, -10], [-12 - width, 4], [-12 - width, 18], [-12 - width, -10], [-width / 2, 24], [-width / 2, -14], [12, 32], [12, -24], [-12 - width, 32], [-12 - width, -24]];
      const boxes = spots.map(([dx, dy]) => [x + dx, y + dy - 11, x + dx + width, y + dy + 3]);
      const cost = boxes.map((box, i) => i * .5 + taken.reduce((sum, other) => sum + overlap(box, other), 0) +
        1e4 * (box[0] < edge.left || box[2] > edge.left + inner.width + edge.right || box[1] < 0 || box[3] > edge.top + inner.height));
      const best = boxes[cost.indexOf(Math.min(...cost))];
      taken.push(best);
      return `<text class="name" x="${best[0].toFixed(1)}" y="${(best[1] + 11).toFixed(1)}">${escapeText(text)}</text>`;
    });
  }

  return {draw, write, escapeText};
})();
