"use strict";
// What the page does beyond showing: tooltips, sorting, filtering, dark mode, copying, print.
// Without it the page is complete, sorted best first.
(() => {
  const root = document.documentElement;
  root.classList.add("js");
  const all = (selector, within = document) => Array.from(within.querySelectorAll(selector));
  const said = document.getElementById("said");

  // Tooltips ------------------------------------------------------------------------------------
  const tip = document.getElementById("tip");
  function showTip(mark) {
    tip.textContent = mark.dataset.tip;
    tip.hidden = false;
    const at = mark.getBoundingClientRect();
    const own = tip.getBoundingClientRect();
    const left = at.left + at.width / 2 - own.width / 2;
    const above = at.top - own.height - 8;
    tip.style.left = `${Math.max(6, Math.min(left, innerWidth - own.width - 6))}px`;
    tip.style.top = `${above > 4 ? above : Math.min(at.bottom + 8, innerHeight - own.height - 4)}px`;
  }
  const hideTip = () => { tip.hidden = true; };
  const marked = (event) =>
    event.target instanceof Element ? event.target.closest("[data-tip]") : null;
  for (const kind of ["pointerover", "focusin", "click"]) {
    document.addEventListener(kind, (event) => {
      const mark = marked(event);
      if (mark) showTip(mark);
      else if (kind !== "focusin") hideTip();
    });
  }
  document.addEventListener("focusout", hideTip);
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") hideTip(); });
  addEventListener("scroll", () => {
    const mark = document.activeElement?.closest("[data-tip]");
    if (mark && !tip.hidden) showTip(mark);
    else hideTip();
  }, { capture: true, passive: true });

  // A chart is one stop of the Tab key; arrows walk along its marks, each read out.
  for (const chart of all("svg.chart")) {
    const marks = all("[data-tip]", chart);
    if (!marks.length) continue;
    chart.setAttribute("role", "group");
    chart.setAttribute("tabindex", "0");
    for (const mark of marks) {
      mark.setAttribute("tabindex", "-1");
      mark.setAttribute("role", "img");
      mark.setAttribute("aria-label", mark.dataset.tip);
    }
    chart.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      const shown = marks.filter((mark) => !mark.closest(".off"));
      if (!shown.length) return;
      const now = shown.indexOf(document.activeElement);
      const next = now < 0 ? (step > 0 ? 0 : shown.length - 1) : now + step;
      shown[(next + shown.length) % shown.length].focus({ preventScroll: true });
    });
  }

  // Sorting -------------------------------------------------------------------------------------
  const valueOf = (cell) => {
    const text = cell.dataset.sort ?? cell.textContent.trim();
    const number = text === "" ? NaN : Number(text);
    return Number.isNaN(number) ? text : number;
  };
  function compare(a, b, direction) {
    if (a === "" || b === "") return (a === "") - (b === ""); // what has no value stays last
    if (typeof a === "number" && typeof b === "number") return direction * (a - b);
    if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
    return direction * a.localeCompare(b);
  }
  function sortBy(table, head, column) {
    const body = table.tBodies[0];
    const rows = Array.from(body.rows, (row) => [valueOf(row.cells[column]), row]);
    const numeric = rows.some(([value]) => typeof value === "number");
    const before = head.getAttribute("aria-sort");
    const descending = before ? before === "ascending" : numeric;
    rows.sort(([a], [b]) => compare(a, b, descending ? -1 : 1));
    body.append(...rows.map(([, row]) => row));
    for (const other of all("th[aria-sort]", table.tHead)) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", descending ? "descending" : "ascending");
    said.textContent = `sorted by ${head.textContent}, ${descending ? "largest" : "smallest"} first`;
  }
  for (const table of all("table.sortable")) {
    Array.from(table.tHead.rows[0].cells).forEach((head, column) => {
      if ("fixed" in head.dataset) return;
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => sortBy(table, head, column));
    });
  }

  // Filter of losses ----------------------------------------------------------------------------
  // A mark belongs to the task of the block that it stands in; outside of any, to every task.
  const filtered = new Map();
  for (const mark of all("[data-loss]")) {
    const task = mark.closest("[data-task]")?.dataset.task ?? "";
    const key = JSON.stringify([task, mark.dataset.loss]);
    if (!filtered.has(key)) filtered.set(key, []);
    filtered.get(key).push(mark);
  }
  function show(task, box) {
    for (const home of [task, ""]) {
      const marks = filtered.get(JSON.stringify([home, box.value])) ?? [];
      for (const mark of marks) mark.classList.toggle("off", !box.checked);
    }
  }
  for (const filter of all(".filter")) {
    const task = filter.dataset.task;
    const boxes = all("input[type=checkbox]", filter);
    const announce = () => {
      const count = boxes.filter((box) => box.checked).length;
      said.textContent = `${task}: ${count} of ${boxes.length} losses shown`;
    };
    const set = (checked) => {
      for (const box of boxes) {
        box.checked = checked;
        show(task, box);
      }
      announce();
    };
    for (const box of boxes) {
      show(task, box); // browsers keep the boxes' state over a reload
      box.addEventListener("change", () => { show(task, box); announce(); });
    }
    filter.querySelector(".all").addEventListener("click", () => set(true));
    filter.querySelector(".none").addEventListener("click", () => set(false));
  }

  // Dark mode -----------------------------------------------------------------------------------
  const theme = document.getElementById("theme");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const KEY = "lossbench-theme";
  function stored(value) { // a page from disk may be refused any storage
    try {
      if (value) localStorage.setItem(KEY, value);
      return localStorage.getItem(KEY);
    } catch {
      return null;
    }
  }
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : dark.matches);
  function nameTheme() {
    theme.textContent = isDark() ? "Light mode" : "Dark mode";
  }
  const kept = stored();
  if (kept === "dark" || kept === "light") root.dataset.theme = kept;
  theme.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    stored(root.dataset.theme);
    nameTheme();
  });
  dark.addEventListener("change", nameTheme);
  nameTheme();

  // Copying -------------------------------------------------------------------------------------
  async function copied(code) {
    try {
      await navigator.clipboard.writeText(code.textContent);
      return true;
    } catch { // no permission, or no clipboard for pages from disk: select, and try the old way
      getSelection().selectAllChildren(code);
      return document.execCommand("copy");
    }
  }
  document.addEventListener("click", async (event) => {
    const button = event.target instanceof Element ? event.target.closest("button.copy") : null;
    if (!button) return;
    const done = await copied(button.parentElement.querySelector("code"));
    button.textContent = done ? "Copied" : "Selected";
    said.textContent = done ? "copied" : "selected: copy with the keyboard";
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });

  // Print ---------------------------------------------------------------------------------------
  let opened = [];
  matchMedia("print").addEventListener("change", (event) => {
    if (event.matches) {
      opened = all("details:not([open])");
      for (const part of opened) part.open = true;
    } else {
      for (const part of opened) part.open = false;
    }
  });
})();
