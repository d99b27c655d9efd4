// Behaviour of the served pages: a change or a link fetches the page it leads to and puts it in place of this one.
(() => {
  const THEME = "peft-comparison-theme", root = document.documentElement;
  let pending = null, typing = null;

  function setTheme(dark) {
    root.dataset.theme = dark ? "dark" : "light";
  }
  const asked = new URLSearchParams(location.search).get("__theme") || localStorage.getItem(THEME);
  setTheme(asked ? asked === "dark" : matchMedia("(prefers-color-scheme: dark)").matches);

  function say(text) {
    const status = document.querySelector("#status");
    if (status) status.textContent = text;
  }

  // What the form holds, as a link, without what the change of `element` makes void.
  function link(element) {
    const values = new FormData(document.querySelector("#view")), gone = (element?.dataset.resets || "").split(" ");
    return "?" + new URLSearchParams([...values].filter(([name, value]) => value !== "" && !gone.includes(name)));
  }

  async function go(query, history_ = "push") {
    clearTimeout(typing);
    pending?.abort();
    const own = pending = new AbortController();
    document.body.setAttribute("aria-busy", "true");
    let text;
    try {
      const answer = await fetch("/" + query, {headers: {fragment: "1"}, signal: own.signal});
      if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
      text = await answer.text();
    } catch (error) {
      if (error.name !== "AbortError") say(`The dashboard did not answer (${error.message}). Is it still running?`);
      return;
    }
    show(new DOMParser().parseFromString(text, "text/html"));
    const shown = "?" + document.body.dataset.query;
    if (history_ === "push" && shown !== location.search) history.pushState(null, "", shown);
    if (history_ === "replace") history.replaceState(null, "", shown);
  }

  function show(next) {
    const focused = document.activeElement, tab = document.body.dataset.tab;
    const opened = [...document.querySelectorAll("details[id][open]")].map((one) => one.id);
    document.title = next.title;
    document.body.className = next.body.className;
    Object.assign(document.body.dataset, next.body.dataset);
    document.querySelector("#page").replaceWith(next.querySelector("#page"));
    if (tab === document.body.dataset.tab) for (const id of opened) document.getElementById(id)?.setAttribute("open", "");
    else scrollTo(0, 0);
    const again = focused?.id && document.getElementById(focused.id);
    if (again && again !== focused) {
      if (again.type === "text" && focused.value !== again.value && focused.id === "text") again.value = focused.value;
      again.focus({preventScroll: true});
      if (again.type === "text") again.setSelectionRange(focused.selectionStart, focused.selectionEnd);
    }
    drawn();
  }

  function drawn() {
    for (const source of document.querySelectorAll("script.plot")) {
      PLOTS.draw(source.previousElementSibling, JSON.parse(source.textContent), source.dataset.open && ((key) => go(source.dataset.open + encodeURIComponent(key))));
    }
    document.body.removeAttribute("aria-busy");
    document.body.dataset.drawn = Number(document.body.dataset.drawn || 0) + 1;  // tells tests that all is drawn
  }

  document.addEventListener("click", async (event) => {
    const anchor = event.target.closest("a[href^='?']"), button = event.target.closest("[data-do], [data-set]");
    if (anchor && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.button) {
      event.preventDefault();
      go(anchor.getAttribute("href"));
    }
    if (button?.dataset.do === "theme") {
      setTheme(root.dataset.theme !== "dark");
      localStorage.setItem(THEME, root.dataset.theme);
    }
    if (button?.dataset.do === "copy") {
      try {
        await navigator.clipboard.writeText(location.href);
        say("The link to what you see is copied.");
      } catch {
        say("Copy the link from the address bar.");
      }
    }
    if (button?.dataset.set) {
      document.getElementById(button.dataset.set).value = button.value;
      go(link());
    }
  });
  document.addEventListener("change", ({target}) => {
    const most = Number(document.body.dataset.most);
    if (target.name === "compare" && new FormData(target.form).getAll("compare").filter(Boolean).length > most) {
      target.checked = false;
      say(`At most ${most} experiments can be compared: untick one first.`);
    } else if (target.form && target.name && target.id !== "text") go(link(target));
  });
  document.addEventListener("input", ({target}) => {
    if (target.id !== "text") return;
    clearTimeout(typing);
    typing = setTimeout(() => go(link(target), "replace"), 200);
  });
  document.addEventListener("submit", (event) => {
    event.preventDefault();
    go(link());
  });
  addEventListener("popstate", () => go(location.search, "none"));
  addEventListener("DOMContentLoaded", () => {
    const theme = new URLSearchParams(location.search).get("__theme");
    history.replaceState(null, "", "?" + document.body.dataset.query + (theme ? `&__theme=${encodeURIComponent(theme)}` : ""));
    drawn();
  });
})();
