// The saved page: filters, sorts and draws the rows that it carries.
(() => {
  const {columns, texts, places, logSpan} = JSON.parse(document.getElementById("data").textContent);
  const element = (id) => document.getElementById(id), {escapeText, write} = PLOTS, MOST = 200;
  const word = (key, row) => texts[key][columns[key][row]];
  let order = {key: "score", up: null}, all = false;

  function fill(select, options, value) {
    select.innerHTML = options.map(([key, text]) => `<option value="${escapeText(key)}">${escapeText(text)}</option>`).join("");
    if (options.some(([key]) => String(key) === String(value))) select.value = value;
  }
  const place = () => places[Number(element("place").value)];
  const column = (key) => place().columns.find((one) => one[0] === key);

  function open() {
    const {at: [part, model], columns: shown} = place(), rows = here();
    for (const key of ["hardware", "method", "quantization"]) {
      const there = [...new Set(rows.map((row) => word(key, row)))].sort();
      fill(element(key), [["", "all"], ...there.map((name) => [name, name || "unknown"])], element(key).value);
    }
    const metrics = shown.filter((one) => one[3]).map(([key, label]) => [key, label]);
    fill(element("y"), metrics, element("y").value || "score");
    fill(element("x"), metrics, element("x").value || "memory_train");
    order = {key: "score", up: null};
    draw();
  }
  function here() {
    const {at: [part, model]} = place();
    return columns.part.keys().filter((row) => columns.part[row] === part && columns.model[row] === model).toArray();
  }
  function filtered() {
    const words = element("text").value.toLowerCase().split(/\s+/).filter(Boolean), most = parseFloat(element("memory").value) * 2 ** 30;
    return here().filter((row) => ["hardware", "method", "quantization"].every((key) => !element(key).value || word(key, row) === element(key).value) &&
      words.every((one) => word("label", row).toLowerCase().includes(one)) && (Number.isNaN(most) || (columns.memory_train[row] ?? Infinity) <= most));
  }
  function sorted(rows) {
    const {key} = order, up = order.up ?? column(key)?.[3] === "lower", values = columns[key];
    const text = (row) => word("label", row);
    return rows.sort((a, b) => key === "label" ? (up ? 1 : -1) * text(a).localeCompare(text(b))
      : (values[a] === null) - (values[b] === null) || (up ? 1 : -1) * (values[a] - values[b]) || text(a).localeCompare(text(b)));
  }

  // Rows that no other of their group beats in one metric without losing in the other; equal ones are on it together.
  function front(rows, x, y) {
    const group = columns[x[5] || y[5] ? "cost_group" : "score_group"], cost = (one, row) => (one[3] === "higher" ? -1 : 1) * columns[one[0]][row];
    const found = new Set();
    for (const members of Map.groupBy(rows.filter((row) => columns.fit[row]), (row) => group[row]).values()) {
      members.sort((a, b) => cost(x, a) - cost(x, b) || cost(y, a) - cost(y, b));
      let best = null;
      for (const row of members) {
        if (best === null || cost(y, row) < cost(y, best)) best = row;
        if (cost(x, row) === cost(x, best) && cost(y, row) === cost(y, best)) found.add(row);
      }
    }
    return {found, group};
  }

  function cell(row, [key, , unit]) {
    if (key !== "score" || columns.score[row] === null) return `<td class="number">${write(unit, columns[key][row])}</td>`;
    const [low, high] = [columns.score_low[row], columns.score_high[row]];
    const bounds = low === null ? "" : ` <span class="small" title="${escapeText(word("interval", row))}">${write(unit, low)} – ${write(unit, high)}</span>`;
    const one = columns.seeds[row] === 1 ? ` <span class="badge warn" title="${escapeText(word("interval", row))}">one seed</span>` : "";
    const budget = word("budget", row) && ` <span class="small">${escapeText(word("budget", row))}</span>`;
    return `<td class="score"><b>${write(unit, columns.score[row])}</b>${bounds}${one}${budget}</td>`;
  }
  function badges(row) {
    const found = columns.ranked[row] && columns.tied[row] ? [[columns.best[row] ? "best" : "tied with best", "good", word("tie", row)]] : [];
    if (word("status", row) !== "success") found.push([word("status", row).replaceAll("_", " "), "bad", "did not succeed, not ranked"]);
    return found.map(([text, kind, hint]) => ` <span class="badge ${kind}" title="${escapeText(hint)}">${escapeText(text)}</span>`).join("");
  }

  function draw() {
    const rows = sorted(filtered()), shown = place().columns, up = order.up ?? column(order.key)?.[3] === "lower";
    const budgets = new Set(rows.filter((row) => columns.ranked[row]).map((row) => word("budget", row)).filter(Boolean));
    element("summary").textContent = `${rows.length} of ${here().length} experiments` + (budgets.size > 1 ? "; their tuning budgets are unequal" : "");
    const head = [["label", "Experiment", "text", null, "method and name"], ...shown].map(([key, label, unit, better, hint]) => `<th scope="col" class="${unit === "text" || key === "score" ? "" : "number"}"` +
      `${key === order.key ? ` aria-sort="${up ? "ascending" : "descending"}"` : ""}><a class="sort" href="#" data-sort="${key}" title="${escapeText(hint)}">${escapeText(label)}${key === order.key ? up ? " ▲" : " ▼" : ""}</a></th>`).join("");
    element("table").innerHTML = `<thead><tr>${head}</tr></thead><tbody>` + rows.slice(0, all ? rows.length : MOST).map((row) =>
      `<tr><th scope="row">${escapeText(word("label", row))}${badges(row)}</th>${shown.map((one) => cell(row, one)).join("")}</tr>`).join("") + "</tbody>";
    element("more").innerHTML = rows.length > MOST && !all ? `<button type="button">Show ${rows.length - MOST} more rows</button>` : "";
    plot(rows);
  }

  function plot(rows) {
    const [x, y] = ["x", "y"].map((letter) => column(element(letter).value));
    if (!x || !y) return;
    let drawn = rows.filter((row) => columns[x[0]][row] !== null && columns[y[0]][row] !== null && word("status", row) === "success");
    const axes = [x, y].map(([key, label, unit, better]) => {
      const values = drawn.map((row) => columns[key][row]);
      return {label, unit, better, log: values.length > 1 && Math.min(...values) > 0 && Math.max(...values) / Math.min(...values) > logSpan};
    });
    if (!drawn.length) { element("plot").innerHTML = '<p class="notice">There is no experiment with both values.</p>'; return; }
    const {found, group} = front(drawn, x, y);
    const numbers = new Map([...found].sort((a, b) => columns[x[0]][a] - columns[x[0]][b] || columns[y[0]][a] - columns[y[0]][b]).map((row, i) => [row, i + 1]));
    const bars = (row) => columns.score_low[row] === null ? null : [columns.score_low[row], columns.score_high[row]];
    const points = drawn.map((row) => ({
      key: String(row), name: word("label", row), method: columns.method[row], group: group[row], x: columns[x[0]][row], y: columns[y[0]][row], front: numbers.get(row) || 0,
      bars: {...(x[0] === "score" && {x: bars(row)}), ...(y[0] === "score" && {y: bars(row)})}, hover: [`seeds: ${columns.seeds[row]}`, word("hardware", row), word("created", row)],
    }));
    PLOTS.draw(element("plot"), {kind: "scatter", x: axes[0], y: axes[1], points, methods: texts.method, highlight: element("method").value});
  }

  document.addEventListener("input", ({target}) => { if (target.id === "place") open(); else draw(); });
  element("more").addEventListener("click", () => { all = true; draw(); });
  element("table").addEventListener("click", (event) => {
    const head = event.target.closest("[data-sort]");
    if (!head) return;
    event.preventDefault();
    const key = head.dataset.sort, best = key === "label" || column(key)?.[3] === "lower";
    order = {key, up: key === order.key ? !(order.up ?? best) : best};
    draw();
  });
  const dark = (on) => { document.documentElement.dataset.theme = on ? "dark" : "light"; };
  dark(matchMedia("(prefers-color-scheme: dark)").matches);
  element("toggle-theme").addEventListener("click", () => dark(document.documentElement.dataset.theme !== "dark"));
  fill(element("place"), places.map(({task, model}, i) => [i, `${task} · ${model}`]), 0);
  open();
})();
