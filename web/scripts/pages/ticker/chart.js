// Candles, with a marker on every anomaly, and the panes below them. Drawn by TradingView's
// Lightweight Charts; its logo stays on it.

import {
  CandlestickSeries,
  PriceScaleMode,
  createChart,
  createSeriesMarkers,
} from "../../../vendor/lightweight-charts/lightweight-charts.standalone.production.mjs";
import { el, fill } from "../../lib/dom.js";
import { plural, price, priceDigits } from "../../lib/format.js";
import { buildChartOptions, buildCredit, paintChart } from "../../parts/chart_look.js";
import { isDark, onTheme, readColours } from "../../parts/theme_switch.js";
import { describeBar } from "./legend.js";
import { BELOW } from "./pane_names.js";
import { buildPanes } from "./panes.js";
import { BAND_COLOURS, buildRegimeBand } from "./regime_band.js";
import { buildView } from "./view.js";

const COLOURS = [
  "text",
  "muted",
  "surface",
  "grid",
  "line",
  "line-strong",
  "up",
  "down",
  "up-volume",
  "down-volume",
  "low-mark",
  "medium-mark",
  "high-mark",
  "critical-mark",
  "accent",
  ...BAND_COLOURS,
];
// the highest price over the lowest; above this, the low years would look flat on a linear scale
const LOGARITHMIC_FROM = 5;
const CLICK_BARS = 3;
const CANDLES = {
  // Bars that share a pixel are drawn as one, with their highest and lowest price.
  conflationThresholdFactor: 1,
  borderVisible: false,
  priceLineVisible: false,
};

const seconds = (time) => Date.parse(time) / 1000;
const writeDay = (time) => new Date(1000 * time).toISOString().slice(0, 10);

/**
 * @param {{ticker: string, interval: string, choose: (anomaly: object) => void, signal}} options
 * @returns {{node, legend, setBars, lastBars, setAnomalies, setRegimes, select, showPeriod,
 * showRange, onMoved, setPanes}}
 */
export function buildPriceChart({ ticker, interval, choose, signal }) {
  const stage = el("div.stage", { role: "img" });
  const logo = el("img", { alt: "Charting by TradingView", width: 35, height: 19 });
  const node = el("div.chart", stage, buildCredit(logo));
  const legend = el("p.legend.number");
  const chart = createChart(stage, { autoSize: true, ...buildChartOptions(interval) });
  const candles = chart.addSeries(CandlestickSeries, CANDLES);
  const band = buildRegimeBand(chart, candles);
  candles.priceScale().applyOptions({ scaleMargins: { top: 0.13, bottom: 0.07 } });
  const markers = createSeriesMarkers(candles, []);
  // the bars, and the row of each by its time; both are refilled when bars come in
  const data = [];
  const rows = new Map();
  const state = { anomalies: [], selected: null, colours: {}, lines: {}, onMoved: () => {} };
  const panes = buildPanes(chart, data);
  const view = buildView(chart.timeScale(), data, rows);

  const paint = () => {
    state.colours = readColours(...COLOURS);
    logo.src = `vendor/lightweight-charts/logo${isDark() ? "-dark" : ""}.svg`;
    paintChart(chart, state.colours);
    paintCandles(candles, state.colours);
    panes.paint(state.colours);
    band.paint(state.colours);
    mark();
  };
  const mark = () =>
    markers.setMarkers(state.anomalies.map((anomaly) => buildMarker(anomaly, state)));
  const tell = (row) => {
    fill(legend, describeBar(data, row, interval, state.lines));
    panes.tell(row);
  };

  const setPanes = (chosen, lines) => {
    state.lines = lines;
    stage.style.setProperty(
      "--panes",
      chosen.filter((name) => BELOW.some(([known]) => known === name)).length,
    );
    panes.set(chosen, lines);
    stage.dataset.panes = chosen.join();
    tellAtRest();
  };

  const describe = () => {
    const counted =
      `${plural(data.length, "bar")}, ` +
      `${plural(state.anomalies.length, "anomaly", "anomalies")}`;
    stage.setAttribute(
      "aria-label",
      `${ticker}, ${counted}. The arrow keys step from anomaly to anomaly.`,
    );
  };

  // The bar in the legend: the one under the mouse, else that of the anomaly, else the last.
  const tellAtRest = () => tell(rows.get(seconds(state.selected?.Datetime)) ?? data.length - 1);
  paint();
  chart.subscribeCrosshairMove(({ time }) =>
    rows.has(time) ? tell(rows.get(time)) : tellAtRest(),
  );
  chart.timeScale().subscribeVisibleTimeRangeChange((range) => {
    stage.dataset.seen = range ? `${writeDay(range.from)} to ${writeDay(range.to)}` : "";
  });
  chart.subscribeClick(({ hoveredObjectId, time }) => {
    const found = findClicked(state.anomalies, hoveredObjectId, rows, time);
    if (found) choose(found);
  });
  stage.addEventListener("wheel", () => state.onMoved(), { passive: true });
  stage.addEventListener("pointermove", ({ buttons }) => buttons && state.onMoved());
  onTheme(paint, signal);
  signal.addEventListener("abort", () => chart.remove());

  return {
    node,
    legend,
    /** Show these bars; the visible range stays. */
    setBars(bars, chosen, lines) {
      data.splice(
        0,
        data.length,
        ...bars.map((bar, row) => ({ ...bar, row, time: seconds(bar.time) })),
      );
      rows.clear();
      for (const bar of data) rows.set(bar.time, bar.row);
      candles.setData(data);
      const minMove = 10 ** -priceDigits(data.at(-1)?.close ?? 1);
      candles.applyOptions({ priceFormat: { type: "custom", minMove, formatter: price } });
      if (isWide(data)) candles.priceScale().applyOptions({ mode: PriceScaleMode.Logarithmic });
      setPanes(chosen, lines);
      describe();
    },
    lastBars: () => data.slice(-2).map((bar) => ({ ...bar, time: 1000 * bar.time })),
    setAnomalies(anomalies) {
      state.anomalies = anomalies;
      panes.setAnomalies(anomalies);
      describe();
      mark();
    },
    select(anomaly) {
      state.selected = anomaly;
      mark();
      tellAtRest();
      if (anomaly && view.reveal(seconds(anomaly.Datetime))) state.onMoved();
    },
    /** @param {{as_of: string, values: {regime: object|null}}[]} past regimes, the newest first */
    setRegimes(past) {
      const known = past.filter(
        ({ as_of: time, values }) => values.regime && rows.has(seconds(time)),
      );
      band.set(
        known
          .map(({ as_of: time, values }) => ({
            row: rows.get(seconds(time)),
            regime: values.regime.regime,
          }))
          .reverse(),
      );
      stage.dataset.regimes = known.length;
    },
    showPeriod: view.showPeriod,
    showRange(range) {
      const isGiven = view.showRange(range);
      if (isGiven) state.onMoved();
      return isGiven;
    },
    /** Call `listener` when the visible range is no longer the one that `showPeriod` set. */
    onMoved(listener) {
      state.onMoved = listener;
    },
    setPanes,
  };
}

function paintCandles(candles, colours) {
  candles.applyOptions({
    upColor: colours.up,
    wickUpColor: colours.up,
    downColor: colours.down,
    wickDownColor: colours.down,
  });
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

/** The anomaly whose marker was hit, or the one closest to the bar that was hit. */
function findClicked(anomalies, id, rows, time) {
  const hit = anomalies.find((anomaly) => anomaly._id === id);
  if (hit || time === undefined) return hit;
  const away = (anomaly) => Math.abs(rows.get(seconds(anomaly.Datetime)) - rows.get(time));
  const close = anomalies.filter((anomaly) => away(anomaly) <= CLICK_BARS);
  return close.sort((a, b) => away(a) - away(b))[0];
}

/** Whether the price scale is logarithmic, so that equal distances mean equal ratios. */
function isWide(data) {
  const [low, high] = [
    Math.min(...data.map((bar) => bar.low)),
    Math.max(...data.map((bar) => bar.high)),
  ];
  return high > LOGARITHMIC_FROM * low;
}
