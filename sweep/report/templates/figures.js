"use strict";
(() => {
  const figures = JSON.parse(document.getElementById("figure-data").textContent);
  const PAPER = 680; // pixels that A4 and Letter have between their margins
  const all = () => document.querySelectorAll(".plot");

  // Drawn when first near the screen: a page of fifty figures opens as fast as one of two.
  const place = (element, data, layout) => Plotly.newPlot(element, data, layout, { responsive: true, displayModeBar: false });
  const draw = (element) => {
    const figure = figures[Number(element.id.slice("figure-".length))];
    place(element, figure.data, figure.layout);
  };
  const drawAll = () => document.querySelectorAll("figure:not([hidden]) .plot:not(.js-plotly-plot)").forEach(draw);
  if ("IntersectionObserver" in window) {
    const observer = new IntersectionObserver((entries) => {
      for (const entry of entries) {
        if (entry.isIntersecting) { observer.unobserve(entry.target); draw(entry.target); }
      }
    }, { rootMargin: "600px" });
    all().forEach((element) => observer.observe(element));
  } else { drawAll(); }

  const plots = () => document.querySelectorAll("figure:not([hidden]) .plot.js-plotly-plot");
  window.addEventListener("beforeprint", () => {
    drawAll();
    for (const plot of plots()) {
      place(plot, plot.data, { ...plot.layout, autosize: false, width: PAPER, height: plot.clientHeight });
    }
  });
  window.addEventListener("afterprint", () => {
    for (const plot of plots()) {
      const { width, height, ...layout } = plot.layout;
      place(plot, plot.data, { ...layout, autosize: true });
    }
  });

  document.querySelectorAll("button.log").forEach((button) => button.addEventListener("click", () => {
    const log = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(log));
    const { data, layout } = figures[Number(button.dataset.figure)];
    const x = data.flatMap((one) => one.x).filter((value) => value > 0);
    const range = log ? [Math.log10(Math.min(...x) / 1.6), Math.log10(Math.max(...x) * 1.6)] : layout.xaxis.range;
    Plotly.relayout(`figure-${button.dataset.figure}`, { xaxis: { ...layout.xaxis, type: log ? "log" : "linear", range } });
  }));
})();
