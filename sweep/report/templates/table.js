"use strict";
(() => {
  const table = document.getElementById("cells");
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const texts = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));
  const form = document.getElementById("filters");
  const pictured = document.querySelectorAll("figure, .card, table.best tbody tr");

  // Where `sweep ui DIR` serves: its own address of this page says the port, else the field beside the table does
  const field = document.getElementById("ui-port");
  const pointTo = (port) => {
    if (!/^[1-9][0-9]{0,4}$/.test(port) || Number(port) > 65535) return;
    for (const link of document.querySelectorAll("a[data-own-ui]")) link.port = port;
  };
  if (field) {
    const told = new URLSearchParams(location.search).get("ui");
    if (told && /^[1-9][0-9]{0,4}$/.test(told)) field.value = told;
    field.addEventListener("input", () => pointTo(field.value));
    pointTo(field.value);
  }

  const count = (number) => number.toLocaleString("en");
  const filter = () => {
    const { text, ...wanted } = Object.fromEntries(new FormData(form));
    const chosen = Object.entries(wanted).filter(([, value]) => value);
    const words = (text || "").toLowerCase().split(/\s+/).filter(Boolean);
    const fits = (element) => chosen.every(([name, value]) => element.getAttribute(`data-${name}`) === value);
    let shown = 0;
    for (const row of rows) {
      row.hidden = !(fits(row) && words.every((word) => texts.get(row).includes(word)));
      shown += !row.hidden;
    }
    // Of what is not a cell, model and device alone are known
    for (const element of pictured) {
      element.hidden = chosen.some(([name, value]) => element.hasAttribute(`data-${name}`) && element.getAttribute(`data-${name}`) !== value);
    }
    document.getElementById("shown").value = `${count(shown)} of ${count(rows.length)} cells`;
  };
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(filter));
  filter();

  const compare = (a, b, index, isNumber) => {
    const [x, y] = [a.cells[index], b.cells[index]];
    if (!isNumber) return x.textContent.localeCompare(y.textContent, undefined, { numeric: true });
    const [p, q] = [x, y].map((cell) => ("value" in cell.dataset ? Number(cell.dataset.value) : null));
    return (p ?? Infinity) - (q ?? Infinity) || 0;
  };
  [...table.tHead.rows[0].cells].forEach((heading, index) => {
    // No button element: a browser leaves a heading with one out on the second sheet of paper
    const button = heading.querySelector("[role=button]");
    button?.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") { event.preventDefault(); button.click(); }
    });
    button?.addEventListener("click", () => {
      const descending = heading.getAttribute("aria-sort") === "ascending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
      const isNumber = heading.classList.contains("number");
      const missing = (row) => isNumber && !("value" in row.cells[index].dataset);
      rows.sort((a, b) => missing(a) - missing(b) || (descending ? -1 : 1) * compare(a, b, index, isNumber));
      body.append(...rows);
    });
  });
})();
