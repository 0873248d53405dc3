// Candles and volume, with a marker on every anomaly. Drawn by TradingView's Lightweight Charts; its logo stays on it.

import {
  CandlestickSeries,
  ColorType,
  CrosshairMode,
  HistogramSeries,
  PriceScaleMode,
  createChart,
  createSeriesMarkers,
  createTextWatermark,
} from "../../../vendor/lightweight-charts/lightweight-charts.standalone.production.mjs";
import { el, fill } from "../../dom.js";
import { plural } from "../../format.js";
import { onTheme, readColours } from "../../parts/theme_switch.js";
import { buildIndicator } from "./indicator.js";
import { describeBar } from "./legend.js";
import { buildView } from "./view.js";

const COLOURS = [
  "text",
  "muted",
  "surface",
  "grid",
  "line",
  "up",
  "down",
  "up-volume",
  "down-volume",
  "low-mark",
  "medium-mark",
  "high-mark",
  "critical-mark",
  "accent",
];
const STRETCHES = [5, 1, 1]; // prices, volume, grade
const LOGARITHMIC_FROM = 5; // the highest price over the lowest: beyond it the low years of a linear scale look flat
const CLICK_BARS = 3;

const seconds = (time) => Date.parse(time) / 1000;

/**
 * @param {{ticker: string, interval: string, bars: object[], choose: (anomaly: object) => void, signal}} options
 * @returns {{node, legend, setAnomalies, select, showPeriod, setIndicator}}
 */
export function buildPriceChart({ ticker, interval, bars, choose, signal }) {
  const stage = el("div.stage", { role: "img" });
  const node = el("div.chart", stage, buildCredit());
  const legend = el("p.legend.number");
  const chart = createChart(stage, { autoSize: true, ...buildOptions(interval) });
  const { candles, volume, grades, labels, markers } = addSeries(chart);
  const data = bars.map((bar) => ({ ...bar, time: seconds(bar.time) }));
  const rows = new Map(data.map((bar, row) => [bar.time, row]));
  const state = { anomalies: [], selected: null, colours: {} };
  const indicator = buildIndicator(chart, data);
  const view = buildView(chart.timeScale(), data, rows);

  const paint = () => {
    state.colours = readColours(...COLOURS);
    paintChart(chart, candles, volume, data, state.colours);
    for (const [text, label] of labels)
      label.applyOptions({ lines: [{ text, color: state.colours.muted, fontSize: 11 }] });
    indicator.paint(state.colours);
    mark();
  };
  const mark = () => {
    markers.setMarkers(state.anomalies.map((anomaly) => buildMarker(anomaly, state)));
    grades.setData(state.anomalies.map((anomaly) => buildGrade(anomaly, state)));
  };
  const showLegend = (row) => fill(legend, describeBar(data, row, interval));

  candles.setData(data);
  if (isWide(data)) candles.priceScale().applyOptions({ mode: PriceScaleMode.Logarithmic });
  paint();
  showLegend(data.length - 1);
  chart.subscribeCrosshairMove(({ time }) => showLegend(rows.get(time) ?? data.length - 1));
  chart.subscribeClick(({ hoveredObjectId, time }) => {
    const found = findClicked(state.anomalies, hoveredObjectId, rows, time);
    if (found) choose(found);
  });
  onTheme(paint, signal);
  signal.addEventListener("abort", () => chart.remove());

  return {
    node,
    legend,
    setAnomalies(anomalies) {
      state.anomalies = anomalies;
      const counted = `${plural(bars.length, "bar")}, ${plural(anomalies.length, "anomaly", "anomalies")}`;
      stage.setAttribute("aria-label", `${ticker}, ${counted}. The arrow keys step from anomaly to anomaly.`);
      mark();
    },
    select(anomaly) {
      state.selected = anomaly;
      mark();
      if (anomaly) view.reveal(seconds(anomaly.Datetime));
    },
    showPeriod: view.showPeriod,
    setIndicator: (lines) => indicator.set(lines, state.colours),
  };
}

/** Candles, volume and grades, each in a pane of its own, the lower two with a label. */
function addSeries(chart) {
  const columns = { priceFormat: { type: "volume" }, priceLineVisible: false, lastValueVisible: false };
  const candles = chart.addSeries(CandlestickSeries, { borderVisible: false, priceLineVisible: false });
  const volume = chart.addSeries(HistogramSeries, columns, 1);
  const grades = chart.addSeries(HistogramSeries, columns, 2);
  STRETCHES.forEach((stretch, pane) => chart.panes()[pane].setStretchFactor(stretch));
  const corner = { horzAlign: "left", vertAlign: "top", lines: [] };
  const labels = ["Volume", "Grade"].map((text, n) => [text, createTextWatermark(chart.panes()[n + 1], corner)]);
  return { candles, volume, grades, labels, markers: createSeriesMarkers(candles, []) };
}

function buildOptions(interval) {
  return {
    layout: {
      attributionLogo: false,
      fontFamily: getComputedStyle(document.body).fontFamily,
      fontSize: 11,
      background: { type: ColorType.Solid, color: "transparent" },
    },
    crosshair: { mode: CrosshairMode.Normal },
    rightPriceScale: { borderVisible: false },
    timeScale: { borderVisible: false, timeVisible: !/[dw]$/.test(interval), minBarSpacing: 0.05, rightOffset: 4 },
    localization: { locale: "en-GB" },
    handleScale: { axisPressedMouseMove: true },
  };
}

function paintChart(chart, candles, volume, data, colours) {
  chart.applyOptions({
    layout: { textColor: colours.muted, panes: { separatorColor: colours.line, separatorHoverColor: colours.grid } },
    grid: { vertLines: { color: colours.grid }, horzLines: { color: colours.grid } },
  });
  candles.applyOptions({
    upColor: colours.up,
    wickUpColor: colours.up,
    downColor: colours.down,
    wickDownColor: colours.down,
  });
  volume.setData(
    data.map((bar) => ({
      time: bar.time,
      value: bar.volume,
      color: bar.close >= bar.open ? colours["up-volume"] : colours["down-volume"],
    })),
  );
}

function buildMarker(anomaly, { selected, colours }) {
  const isSelected = anomaly._id === selected?._id;
  const fell = anomaly.features.return_1 < 0;
  return {
    id: anomaly._id,
    time: seconds(anomaly.Datetime),
    position: fell ? "belowBar" : "aboveBar",
    shape: isSelected ? (fell ? "arrowUp" : "arrowDown") : "circle",
    color: colours[`${anomaly.severity}-mark`],
    size: isSelected ? 2 : 1,
  };
}

function buildGrade(anomaly, { colours }) {
  return { time: seconds(anomaly.Datetime), value: anomaly.grade, color: colours[`${anomaly.severity}-mark`] };
}

/** The anomaly whose marker was hit, or the one closest to the bar that was hit. */
function findClicked(anomalies, id, rows, time) {
  const hit = anomalies.find((anomaly) => anomaly._id === id);
  if (hit || time === undefined) return hit;
  const away = (anomaly) => Math.abs(rows.get(seconds(anomaly.Datetime)) - rows.get(time));
  const close = anomalies.filter((anomaly) => away(anomaly) <= CLICK_BARS);
  return close.sort((a, b) => away(a) - away(b))[0];
}

/** Whether equal distances should mean equal ratios. */
function isWide(data) {
  const [low, high] = [Math.min(...data.map((bar) => bar.low)), Math.max(...data.map((bar) => bar.high))];
  return high > LOGARITHMIC_FROM * low;
}

function buildCredit() {
  return el(
    "a.credit",
    {
      href: "https://www.tradingview.com/",
      rel: "noopener noreferrer",
      target: "_blank",
      title: "Charting by TradingView",
    },
    el("img", { src: "vendor/lightweight-charts/logo.svg", alt: "Charting by TradingView", width: 35, height: 19 }),
  );
}
