"use strict";
(() => {
  const figures = JSON.parse(document.getElementById("figure-data").textContent);
  const PAPER = 680; // pixels that A4 and Letter have between their margins
  const all = () => document.querySelectorAll(".plot");

  // Drawn when first near the screen: a page of fifty figures opens as fast as one of two.
  const place = (element, data, layout) => Plotly.newPlot(element, data, layout, { responsive: true, displayModeBar: false });
  // Inks of pictures on white paper, and those that a dark screen has for them; print is always white.
  const DARK = { "#222": "#dde3ea", "#333": "#dde3e9", "#333333": "#c7d0da", "#777": "#93a0ae", "#e6e6e6": "#2b3540", "#bbb": "#596572", "#dfe4ea": "#232c36" };
  const LIGHT = Object.fromEntries(Object.entries(DARK).map(([light, dark]) => [dark, light]));
  const inked = (value, inks, isColour = false) => {
    if (typeof value === "string") return isColour && value in inks ? inks[value] : value;
    if (value === null || typeof value !== "object" || ArrayBuffer.isView(value)) return value;
    if (Array.isArray(value)) return value.map((one) => inked(one, inks, isColour));
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, inked(one, inks, /color/i.test(key))]));
  };
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const inks = () => (dark.matches ? DARK : LIGHT);
  const draw = (element) => {
    const figure = figures[Number(element.id.slice("figure-".length))];
    place(element, inked(figure.data, inks()), inked(figure.layout, inks()));
  };
  const drawAll = () => document.querySelectorAll("figure:not([hidden]) .plot:not(.js-plotly-plot)").forEach(draw);
  const plots = () => document.querySelectorAll("figure:not([hidden]) .plot.js-plotly-plot");

  const start = () => {
    if ("IntersectionObserver" in window) {
      const observer = new IntersectionObserver((entries) => {
        for (const entry of entries) {
          if (entry.isIntersecting) { observer.unobserve(entry.target); draw(entry.target); }
        }
      }, { rootMargin: "600px" });
      all().forEach((element) => observer.observe(element));
    } else { drawAll(); }

    window.addEventListener("beforeprint", () => {
      drawAll();
      for (const plot of plots()) {
        const layout = inked(plot.layout, LIGHT);
        place(plot, inked(plot.data, LIGHT), { ...layout, autosize: false, width: PAPER, height: plot.clientHeight });
      }
    });
    window.addEventListener("afterprint", () => {
      for (const plot of plots()) {
        const { width, height, ...layout } = inked(plot.layout, inks());
        place(plot, inked(plot.data, inks()), { ...layout, autosize: true });
      }
    });
    dark.addEventListener("change", () => {
      for (const plot of plots()) place(plot, inked(plot.data, inks()), inked(plot.layout, inks()));
    });

    document.querySelectorAll("button.log").forEach((button) => button.addEventListener("click", () => {
      const log = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(log));
      const { data, layout } = figures[Number(button.dataset.figure)];
      const x = data.flatMap((one) => one.x).filter((value) => value > 0);
      const asWritten = log === (layout.xaxis.type === "log");
      const other = log ? [Math.log10(Math.min(...x) / 1.6), Math.log10(Math.max(...x) * 1.6)] : [0, Math.max(...x) * 1.15];
      const range = asWritten ? layout.xaxis.range : other;
      Plotly.relayout(`figure-${button.dataset.figure}`, { xaxis: { ...layout.xaxis, type: log ? "log" : "linear", dtick: log ? "D2" : null, range } });
    }));
  };

  // The library is packed, and the content security policy has its hash: nothing else that is unpacked here would run.
  const unpacked = async () => {
    const packed = atob(document.getElementById("plotly-packed").textContent.trim());
    const bytes = Uint8Array.from(packed, (character) => character.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).text();
  };
  const tell = (error) => all().forEach((element) => {
    element.textContent = `Not drawn: this browser cannot unpack the plotting library (${error}); one of 2023 or later can.`;
    element.style.height = "auto";
  });
  // The page counts as loaded when pictures can be drawn, for what prints it at that moment: `--print-to-pdf` of a
  // browser waits for no promise, but for images, and one is always under way until then.
  let isThere = false;
  const hold = () => {
    const pixel = new Image();
    pixel.onload = pixel.onerror = () => { if (!isThere) hold(); };
    pixel.src = "data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw==";
  };
  hold();
  unpacked().then((text) => {
    const script = document.createElement("script");
    script.textContent = text;
    document.head.append(script);
    start();
  }).catch(tell).finally(() => { isThere = true; });
})();
