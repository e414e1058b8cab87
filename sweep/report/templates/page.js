"use strict";
(() => {
  const figures = JSON.parse(document.getElementById("figure-data").textContent);
  const plots = () => document.querySelectorAll(".plot.js-plotly-plot");

  // Drawn when first near the screen: a page of fifty figures opens as fast as one of two.
  const draw = (element) => {
    const figure = figures[Number(element.id.slice("figure-".length))];
    Plotly.newPlot(element, figure.data, figure.layout, { responsive: true, displayModeBar: false });
  };
  const drawAll = () => document.querySelectorAll(".plot:not(.js-plotly-plot)").forEach(draw);
  if ("IntersectionObserver" in window) {
    const observer = new IntersectionObserver((entries) => {
      for (const entry of entries) {
        if (entry.isIntersecting) { observer.unobserve(entry.target); draw(entry.target); }
      }
    }, { rootMargin: "600px" });
    document.querySelectorAll(".plot").forEach((element) => observer.observe(element));
  } else { drawAll(); }
  window.addEventListener("beforeprint", () => { drawAll(); plots().forEach((plot) => Plotly.Plots.resize(plot)); });
  window.addEventListener("afterprint", () => plots().forEach((plot) => Plotly.Plots.resize(plot)));

  document.querySelectorAll("button.log").forEach((button) => button.addEventListener("click", () => {
    const log = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(log));
    const layout = figures[Number(button.dataset.figure)].layout;
    const x = figures[Number(button.dataset.figure)].data[0].x;
    const range = log ? [Math.log10(Math.min(...x) / 1.6), Math.log10(Math.max(...x) * 1.6)] : [0, Math.max(...x) * 1.15];
    Plotly.relayout(`figure-${button.dataset.figure}`, { xaxis: { ...layout.xaxis, type: log ? "log" : "linear", range } });
  }));

  const table = document.getElementById("cells");
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const form = document.getElementById("filters");
  const filter = () => {
    const wanted = Object.fromEntries(new FormData(form));
    const words = (wanted.text || "").toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      const fits = Object.entries(wanted).every(([name, value]) => name === "text" || !value || row.dataset[name] === value)
        && words.every((word) => text.includes(word));
      row.hidden = !fits;
      shown += fits;
    }
    document.getElementById("shown").value = `${shown} of ${rows.length} cells`;
  };
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  filter();

  const compare = (a, b, index, isNumber) => {
    const [x, y] = [a.cells[index], b.cells[index]];
    if (!isNumber) return x.textContent.localeCompare(y.textContent, undefined, { numeric: true });
    const [p, q] = [x, y].map((cell) => ("value" in cell.dataset ? Number(cell.dataset.value) : null));
    return (p ?? Infinity) - (q ?? Infinity) || 0;
  };
  [...table.tHead.rows[0].cells].forEach((heading, index) => {
    heading.querySelector("button")?.addEventListener("click", () => {
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
