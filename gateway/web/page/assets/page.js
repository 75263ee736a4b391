// Behaviour of the page: charts of values in the document, and a notice while live values do not arrive.
"use strict";
(() => {
  const QUIET_MS = 40000; // the gateway sends at least every 15 s
  const stale = document.getElementById("stale");
  if (stale !== null) {
    let received = Date.now();
    const show = () => { if (!document.hidden) stale.hidden = false; };
    const hide = () => { received = Date.now(); stale.hidden = true; };
    for (const name of ["htmx:sse:after:message", "alive"]) document.addEventListener(name, hide);
    for (const name of ["htmx:sse:error", "htmx:sse:close"]) document.addEventListener(name, show);
    setInterval(() => { if (Date.now() - received > QUIET_MS) show(); }, 1000);
  }

  const DASHES = [[], [10, 5], [3, 3], []]; // as in the legend, so that no line is known by its colour alone
  const WIDTHS = [2, 2, 2, 5];
  const HEIGHT = 240;

  function colours() {
    const style = getComputedStyle(document.documentElement);
    return (name) => style.getPropertyValue(name).trim();
  }

  function marks(plot, times, colour) {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.strokeStyle = colour;
    ctx.lineWidth = 2;
    ctx.setLineDash([2, 4]);
    for (const at of times) {
      const x = plot.valToPos(at, "x", true);
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
    }
    ctx.restore();
  }

  function drawn(box) {
    const chart = JSON.parse(box.dataset.chart);
    const colour = colours();
    const text = colour("--text");
    const grid = { stroke: colour("--line"), width: 0.5 };
    const number = new Intl.NumberFormat(document.documentElement.lang, { maximumFractionDigits: 1 });
    const font = `14px ${getComputedStyle(document.body).fontFamily}`;
    const series = chart.lines.map((line, index) => ({
      stroke: colour(`--line-${index % DASHES.length + 1}`),
      width: WIDTHS[index % WIDTHS.length],
      dash: DASHES[index % DASHES.length],
      paths: line.stepped ? uPlot.paths.stepped({ align: 1 }) : undefined,
      points: { show: false },
    }));
    const clock = (at) => new Date((at + chart.offset_s) * 1000).toISOString().slice(11, 16);
    const options = {
      width: box.clientWidth,
      height: HEIGHT,
      legend: { show: false },
      cursor: { show: false },
      tzDate: (at) => uPlot.tzDate(new Date((at + chart.offset_s) * 1000), "Etc/UTC"),
      scales: { x: { range: () => chart.range }, y: { range: (_, low, high) => uPlot.rangeNum(Math.min(low ?? 0, 0), Math.max(high ?? 0, 1), 0.1, true) } },
      axes: [
        { stroke: text, grid, font, values: (_, ticks) => ticks.map(clock) },
        { stroke: text, grid, font, size: 64, values: (_, ticks) => ticks.map((one) => number.format(one)) },
      ],
      series: [{}, ...series],
      hooks: { draw: [(plot) => marks(plot, chart.marks, text)] },
    };
    return new uPlot(options, [chart.times, ...chart.lines.map((line) => line.values)], box);
  }

  for (const box of document.querySelectorAll(".chart")) {
    let plot = drawn(box);
    const fit = () => { if (plot.width !== box.clientWidth) plot.setSize({ width: box.clientWidth, height: HEIGHT }); };
    new ResizeObserver(() => requestAnimationFrame(fit)).observe(box); // a change of size within it would be an error
    for (const query of ["(prefers-color-scheme: dark)", "(prefers-contrast: more)"]) {
      matchMedia(query).addEventListener("change", () => { plot.destroy(); plot = drawn(box); });
    }
  }
})();
