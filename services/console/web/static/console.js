"use strict";
(() => {
  const chart = document.getElementById("chart");
  let plot = null;

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  function draw() {
    const holder = document.getElementById("series");
    if (!chart || !holder || !window.uPlot) return;
    const data = JSON.parse(holder.dataset.series);
    const width = chart.clientWidth - 14;
    if (plot) {
      plot.setData(data);
      if (plot.width !== width) plot.setSize({ width, height: 180 });
      return;
    }
    const language = document.documentElement.lang;
    const format = language === "fa" ? "fa-IR" : language === "vi" ? "vi-VN" : "en-GB";
    const numbers = new Intl.NumberFormat(format);
    const clock = new Intl.DateTimeFormat(format, { hour: "2-digit", minute: "2-digit" });
    const names = chart.dataset.labels.split("|");
    const axis = { stroke: colour("--quiet"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line") } };
    const shown = (u, value) => (value === null || value === undefined ? "–" : numbers.format(value));
    const line = (label, name, dash) => ({ label, stroke: colour(name), width: 2, dash, value: shown });
    plot = new uPlot({
      width, height: 180, legend: { live: true },
      series: [
        { label: names[0], value: (u, v) => (v === null || v === undefined ? "–" : clock.format(v * 1000)) },
        line(names[1], "--total"), line(names[2], "--plus", [6, 3]), line(names[3], "--minus", [2, 3]),
      ],
      axes: [
        { ...axis, values: (u, all) => all.map((v) => clock.format(v * 1000)) },
        { ...axis, size: 60, values: (u, all) => all.map((v) => (Number.isInteger(v) ? numbers.format(v) : "")) },
      ],
      scales: { y: { range: (u, low, high) => [0, Math.max(4, high)] } },
    }, data, chart);
  }

  function redraw() {
    if (plot) { plot.destroy(); plot = null; }
    draw();
  }

  document.addEventListener("htmx:sseMessage", draw);
  window.addEventListener("resize", draw);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  draw();

  // On a narrow page a table's rows become cards; each cell then says which column it is of.
  function label(root) {
    for (const table of root.querySelectorAll("table:not(.rows):not(.funnel):not(.u-legend)")) {
      const names = [...table.querySelectorAll("thead th")].map((cell) => cell.textContent);
      for (const row of table.querySelectorAll("tbody tr")) {
        [...row.children].forEach((cell, index) => { if (names[index]) cell.dataset.label = names[index]; });
      }
      table.classList.add("rows");
    }
  }
  label(document);
  document.addEventListener("htmx:afterSwap", (event) => label(event.target));

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-fill]");
    if (!button) return;
    const field = document.getElementById(button.dataset.fill);
    field.value = button.dataset.value;
    const refund = field.form.querySelector('input[value="refund"]');
    if (refund) refund.checked = true;
    field.focus();
  });
})();
