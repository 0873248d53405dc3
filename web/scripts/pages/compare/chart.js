// Two lines on one scale that begins at 100 wherever the visible stretch of time begins.

import {
  LineSeries,
  PriceScaleMode,
  createChart,
  createSeriesMarkers,
} from "../../../vendor/lightweight-charts/lightweight-charts.standalone.production.mjs";
import { el, fill } from "../../lib/dom.js";
import { barTime, plural } from "../../lib/format.js";
import { buildChartOptions, buildCredit, paintChart } from "../../parts/chart_look.js";
import { isDark, onTheme, readColours } from "../../parts/theme_switch.js";

const LINES = ["accent", "high-mark"];
const COLOURS = [
  ...["muted", "grid", "line", ...LINES],
  ...["low-mark", "medium-mark", "critical-mark"],
];
const BASE = 100;
const seconds = (time) => Date.parse(time) / 1000;
const writeDay = (time) => new Date(1000 * time).toISOString().slice(0, 10);

/**
 * @param {{ticker, name, interval, times, closes, others}} found as the API compares them
 * @param {object[][]} marks the anomalies of each line
 * @param {(anomaly: object) => void} open called with an anomaly whose mark is clicked
 * @returns {{node: Node, legend: Node}}
 */
export function buildComparisonChart(found, marks, signal, open) {
  const stage = el("div.stage.comparison", { role: "img" });
  const logo = el("img", { alt: "Charting by TradingView", width: 35, height: 19 });
  const node = el("div.chart", stage, buildCredit(logo));
  const legend = el("p.legend.number");
  const chart = createChart(stage, { autoSize: true, ...buildChartOptions(found.interval) });
  chart.priceScale("right").applyOptions({
    mode: PriceScaleMode.IndexedTo100,
    scaleMargins: { top: 0.1, bottom: 0.08 },
  });
  const lines = [
    [found.ticker, found.closes],
    [found.name, found.others],
  ]
    .filter(([name]) => name)
    .map(([name, values], n) => addLine(chart, name, values, found.times, marks[n] ?? []));
  let first = 0;

  const paint = () => {
    const colours = readColours(...COLOURS);
    logo.src = `vendor/lightweight-charts/logo${isDark() ? "-dark" : ""}.svg`;
    paintChart(chart, colours);
    lines.forEach((line, n) => paintLine(line, colours[LINES[n]], colours));
  };
  const tell = (row) =>
    fill(
      legend,
      el("strong", barTime(found.times[row], found.interval, found.market)),
      lines.map((line, n) =>
        el(
          "span",
          el("i.stroke", { vars: { "--colour": `var(--${LINES[n]})` } }),
          el("span.muted", `${line.name} `),
          writeLevel(line, row, first),
          describeEnd(line, row, found),
        ),
      ),
    );
  const last = found.times.length - 1;
  const rows = new Map(found.times.map((time, row) => [seconds(time), row]));
  const tellRange = (range) => {
    if (!range) return;
    first = Math.max(0, rows.get(range.from) ?? 0);
    const seen = `${writeDay(range.from)} to ${writeDay(range.to)}`;
    stage.dataset.seen = seen;
    stage.setAttribute(
      "aria-label",
      `${lines.map(({ name }) => name).join(" and ")}, ${plural(last + 1, "bar")}, ${seen}, from ` +
        `100: ${lines.map((line) => `${line.name} ${writeLevel(line, last, first)}`).join(", ")}`,
    );
    tell(last);
  };
  paint();
  chart.subscribeCrosshairMove(({ time }) => tell(rows.get(time) ?? last));
  chart.timeScale().subscribeVisibleTimeRangeChange(tellRange);
  chart.subscribeClick(({ hoveredObjectId: id }) => {
    const hit = marks.flat().find((anomaly) => anomaly._id === id);
    if (hit) open(hit);
  });
  // Before the chart has a size there is nothing to fit into.
  const fit = () => {
    chart.timeScale().unsubscribeSizeChange(fit);
    chart.timeScale().fitContent();
  };
  chart.timeScale().subscribeSizeChange(fit);
  tell(last);
  onTheme(paint, signal);
  signal.addEventListener("abort", () => chart.remove());
  return { node, legend };
}

function addLine(chart, name, values, times, marks) {
  const series = chart.addSeries(LineSeries, {
    lineWidth: 2,
    priceLineVisible: false,
    title: name,
  });
  series.setData(
    times.flatMap((time, row) =>
      values[row] === null ? [] : [{ time: seconds(time), value: values[row] }],
    ),
  );
  return { name, values, series, marks, markers: createSeriesMarkers(series, []) };
}

function paintLine({ series, marks, markers }, colour, colours) {
  series.applyOptions({ color: colour });
  const drawn = marks.map((anomaly) => ({
    id: anomaly._id,
    time: seconds(anomaly.Datetime),
    position: "inBar",
    shape: "circle",
    color: colours[`${anomaly.severity}-mark`],
    size: 0.6,
  }));
  markers.setMarkers(drawn.sort((a, b) => a.time - b.time));
}

/** " (1 Mar 2013)": the day of the shown level, if the line has no value at the row itself. */
function describeEnd({ values }, row, { times, interval, market }) {
  const at = values.slice(0, row + 1).findLastIndex((value) => value !== null);
  if (at < 0 || at === row) return null;
  return el("span.muted", ` (${barTime(times[at], interval, market)})`);
}

/** The level of a line at a row, if its first visible value is 100. */
function writeLevel({ values }, row, first) {
  const base = values.slice(first, row + 1).find((value) => value !== null);
  const at = values.slice(first, row + 1).findLast((value) => value !== null);
  return base ? ((BASE * at) / base).toFixed(1) : "–";
}
