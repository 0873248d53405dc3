// What is drawn besides the candles: lines over the prices, and panes below them, each with its
// name and its value.

import {
  HistogramSeries,
  LineSeries,
  LineStyle,
  PriceScaleMode,
  createTextWatermark,
} from "../../../vendor/lightweight-charts/lightweight-charts.standalone.production.mjs";
import { grade, short } from "../../lib/format.js";
import { writeFeature } from "./features.js";
import { BELOW, LABELS, OVERLAYS } from "./pane_names.js";

const SHARED_PANES = { MACD_hist: "MACD" };
const COLUMNS = new Set(["volume", "grade", "MACD_hist", "body", "upper_wick", "lower_wick"]);
const LEVELS = {
  RSI: [30, 70],
  zscore_20: [-2, 2],
  return_1: [0],
  return_3: [0],
  return_6: [0],
  MACD: [0],
};
const PRICES_STRETCH = 5;
const PLAIN = {
  lineWidth: 1,
  priceLineVisible: false,
  lastValueVisible: false,
  crosshairMarkerVisible: false,
};
// A pane leaves room for its label, and its scale is linear, whatever the scale of the prices is.
const SCALE = { mode: PriceScaleMode.Normal, scaleMargins: { top: 0.26, bottom: 0.04 } };
// an empty line between the label and the edge of its pane
const ABOVE = { text: " ", fontSize: 4 };
const GRADES = () => ({ priceRange: { minValue: 0, maxValue: 100 } });
const WHOLE = { type: "price", precision: 0, minMove: 1 };
const PERCENT = {
  type: "custom",
  minMove: 1e-4,
  formatter: (value) => `${(100 * value).toFixed(1)} %`,
};

/**
 * @param {object} chart of Lightweight Charts, whose first pane has the candles
 * @param {object[]} data bars with `time` in seconds
 */
export function buildPanes(chart, data) {
  const { fontFamily } = getComputedStyle(document.body);
  const state = { panes: [], anomalies: [], colours: {}, row: 0 };
  const everyLine = () => state.panes.flatMap(({ lines }) => lines);

  const paint = (isMeant = () => true) => {
    for (const { lines } of state.panes) {
      lines.forEach((line, n) => isMeant(line) && paintLine(line, n, data, state));
    }
    tell(state.row, true);
  };
  const clear = () => {
    for (const { label } of state.panes) label?.detach();
    for (const { series } of everyLine()) chart.removeSeries(series);
  };
  const tell = (row, always = false) => {
    if (row === state.row && !always) return;
    state.row = row;
    for (const { label, lines } of state.panes) {
      const text = lines.map((line) => describeLine(line, data[row])).join("   ");
      label?.applyOptions({
        lines: [ABOVE, { text, color: state.colours.muted, fontSize: 11, fontFamily }],
      });
    }
  };
  return {
    tell,
    /** @param {string[]} chosen names @param {Object<string, (number|null)[]>} given lines by
     * name */
    set(chosen, given) {
      clear();
      const groups = groupLines(chosen, given);
      state.panes = groups.map((lines, pane) => buildPane(chart, pane, lines, data));
      chart.panes().forEach((pane, n) => pane.setStretchFactor(n === 0 ? PRICES_STRETCH : 1));
      paint();
    },
    setAnomalies(anomalies) {
      state.anomalies = anomalies;
      paint(({ name }) => name === "grade");
    },
    paint(colours) {
      state.colours = colours;
      paint();
    },
  };
}

/** Return the lines of each pane: those over the prices, which may be none, then one list a pane
 * below. */
function groupLines(chosen, given) {
  const overlays = Object.keys(given).filter((name) => name in OVERLAYS);
  const below = new Map();
  for (const [name] of BELOW.filter(([name]) => chosen.includes(name))) {
    const pane = chosen.includes(SHARED_PANES[name]) ? SHARED_PANES[name] : name;
    below.set(pane, [...(below.get(pane) ?? []), name]);
  }
  const lines = (names) => names.map((name) => ({ name, values: given[name] ?? null }));
  return [lines(overlays), ...[...below.values()].map(lines)];
}

function buildPane(chart, pane, lines, data) {
  const drawn = lines.map((line) => ({ ...line, series: addLine(chart, pane, line, data) }));
  const corner = { horzAlign: "left", vertAlign: "top", lines: [] };
  return {
    lines: drawn,
    label: pane > 0 ? createTextWatermark(chart.panes()[pane], corner) : null,
  };
}

function addLine(chart, pane, { name, values }, data) {
  const kind = COLUMNS.has(name) ? HistogramSeries : LineSeries;
  const series = chart.addSeries(kind, { ...PLAIN, ...chooseFormat(name) }, pane);
  if (pane > 0) series.priceScale().applyOptions(SCALE);
  if (values) {
    series.setData(
      data.map(({ time }, row) => (values[row] === null ? { time } : { time, value: values[row] })),
    );
  }
  return series;
}

function chooseFormat(name) {
  if (name === "volume") return { priceFormat: { type: "volume" } };
  if (name === "grade") return { priceFormat: WHOLE, autoscaleInfoProvider: GRADES };
  return name.startsWith("return_") ? { priceFormat: PERCENT } : {};
}

function paintLine(line, n, data, { anomalies, colours }) {
  const { name, series } = line;
  if (name === "volume") {
    const colour = (bar) => (bar.close >= bar.open ? colours["up-volume"] : colours["down-volume"]);
    series.setData(data.map((bar) => ({ time: bar.time, value: bar.volume, color: colour(bar) })));
  } else if (name === "grade") {
    line.grades = new Map(
      anomalies.map((anomaly) => [Date.parse(anomaly.Datetime) / 1000, anomaly]),
    );
    series.setData(
      [...line.grades].map(([time, { grade: value, severity }]) => ({
        time,
        value,
        color: colours[`${severity}-mark`],
      })),
    );
  } else {
    series.applyOptions({
      color: colours[OVERLAYS[name]?.[1] ?? (n === 0 ? "accent" : "low-mark")],
    });
    drawLevels(line, colours);
  }
}

function drawLevels(line, colours) {
  for (const level of line.levels ?? []) line.series.removePriceLine(level);
  line.levels = (LEVELS[line.name] ?? []).map((level) =>
    line.series.createPriceLine({
      price: level,
      color: colours["line-strong"],
      lineWidth: 1,
      lineStyle: LineStyle.Dotted,
      axisLabelVisible: false,
    }),
  );
}

function describeLine({ name, values, grades }, bar) {
  const label = LABELS[name] ?? name;
  if (!bar) return label;
  if (name === "volume") return `${label}  ${short(bar.volume)}`;
  if (name === "grade")
    return grades?.has(bar.time) ? `${label}  ${grade(grades.get(bar.time).grade)}` : label;
  const value = values[bar.row];
  return value === null || value === undefined ? label : `${label}  ${writeFeature(name, value)}`;
}
