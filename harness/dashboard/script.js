// Behaviour of the page that the framework does not bring: the link in the address bar, clicks in plots, downloads.
(() => {
  const THEME = "peft-comparison-theme";

  function setTheme(dark) {
    document.body.classList.toggle("dark", dark);
    document.documentElement.style.colorScheme = dark ? "dark" : "light";
  }

  // A link's ?__theme wins over what was chosen last, and that over the system's setting.
  function restoreTheme() {
    const asked = new URLSearchParams(location.search).get("__theme");
    const chosen = asked || localStorage.getItem(THEME);
    setTheme(chosen ? chosen === "dark" : document.body.classList.contains("dark"));
  }

  window.dashboard = {
    restoreTheme,
    toggleTheme() {
      const dark = !document.body.classList.contains("dark");
      localStorage.setItem(THEME, dark ? "dark" : "light");
      const url = new URL(location.href);
      url.searchParams.delete("__theme");
      history.replaceState(null, "", url);
      setTheme(dark);
    },
    showLink(query) {
      const theme = new URLSearchParams(location.search).get("__theme");
      const parts = [query, theme ? "__theme=" + encodeURIComponent(theme) : ""].filter(Boolean);
      history.replaceState(null, "", location.pathname + (parts.length ? "?" + parts.join("&") : ""));
      const compared = new URLSearchParams(query).getAll("compare");
      document.dispatchEvent(new CustomEvent("view-drawn", {detail: compared}));
      document.body.dataset.drawn = Number(document.body.dataset.drawn || 0) + 1;  // tells tests that all is drawn
    },
    async copyLink() {
      const button = document.querySelector("#copy-link");
      const before = button.textContent;
      try {
        await navigator.clipboard.writeText(location.href);
        button.textContent = "Copied";
      } catch {
        button.textContent = "Copy it from the address bar";
      }
      setTimeout(() => { button.textContent = before; }, 2500);
    },
    save(file) {
      const url = URL.createObjectURL(new Blob([file.text], {type: file.type}));
      const anchor = Object.assign(document.createElement("a"), {href: url, download: file.name});
      document.body.append(anchor);
      anchor.click();
      anchor.remove();
      setTimeout(() => URL.revokeObjectURL(url), 10000);
    },
  };

  // A click on a point opens its experiment. Plots appear with their tab, and their events are plotly's own.
  new MutationObserver(() => {
    for (const plot of document.querySelectorAll("#tradeoffs-plot .js-plotly-plot")) {
      if (plot.dataset.opens || !plot.on) continue;
      plot.dataset.opens = "1";
      plot.on("plotly_click", (event) => {
        const point = event.points.find((one) => one.customdata);
        if (point) document.dispatchEvent(new CustomEvent("open-experiment", {detail: point.customdata[0]}));
      });
    }
  }).observe(document, {childList: true, subtree: true});
})();
