// Filters the ledger's rows in the page.  Without this script the filter stays hidden and every row shows.
(() => {
  "use strict";

  function start() {
    const form = document.querySelector(".ledger-filter");
    if (!form) return;
    const rows = Array.from(document.querySelectorAll("table.ledger tbody tr"), (row) => ({
      row,
      // Formulas are typeset later: what is searched is what the page said when it came.
      text: fold(row.textContent),
    }));
    const sections = Array.from(document.querySelectorAll(".ledger-section"));
    const count = form.querySelector(".ledger-count");
    const none = document.querySelector(".ledger-none");

    function apply() {
      const wanted = new FormData(form);
      const words = fold(wanted.get("text")).split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const { row, text } of rows) {
        const fits =
          ["verdict", "section", "tier"].every((name) => !wanted.get(name) || wanted.get(name) === row.dataset[name]) &&
          words.every((word) => text.includes(word));
        row.hidden = !fits;
        shown += fits;
      }
      for (const section of sections) section.hidden = !section.querySelector("tbody tr:not([hidden])");
      none.hidden = shown > 0;
      count.textContent = shown === rows.length ? `All ${shown} claims` : `${shown} of ${rows.length} claims`;
      remember(wanted);
    }

    function remember(wanted) {
      const query = new URLSearchParams([...wanted].filter(([, value]) => value)).toString();
      try {
        history.replaceState(null, "", (query ? `?${query}` : location.pathname) + location.hash);
      } catch {
        // Some browsers forbid this for pages opened from a file: the filter works all the same.
      }
    }

    function restore() {
      for (const [name, value] of new URLSearchParams(location.search)) {
        if (form.elements[name]) form.elements[name].value = value;
      }
    }

    // A link to a row must find it, whatever the filter says.
    function reveal() {
      const row = location.hash.startsWith("#row-") && document.getElementById(location.hash.slice(1));
      if (row && row.hidden) {
        form.reset();
        apply();
        row.scrollIntoView();
      }
    }

    form.addEventListener("input", apply);
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", () => setTimeout(apply));
    addEventListener("hashchange", reveal);
    form.hidden = false;
    restore();
    apply();
    reveal();
  }

  function fold(text) {
    return text.toLowerCase().normalize("NFKD").replace(/[\u0300-\u036f]/g, "");
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
