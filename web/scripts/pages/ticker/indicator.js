// An indicator of the API on the chart: over the prices where it is a price, else in a pane of its own.

import {
  HistogramSeries,
  LineSeries,
  createTextWatermark,
} from "../../../vendor/lightweight-charts/lightweight-charts.standalone.production.mjs";

export const INDICATORS = [
  ["", "none"],
  ["sma", "Mean of 20"],
  ["ema", "EMA 12 and 26"],
  ["bollinger", "Bollinger bands"],
  ["rsi", "RSI"],
  ["macd", "MACD"],
  ["atr", "ATR"],
];

const OVER_PRICES = /^(sma|ema|bb)_/;
const PANE = 3; // below prices, volume and grade
const PLAIN = { lineWidth: 1, priceLineVisible: false, lastValueVisible: false, crosshairMarkerVisible: false };

/** @returns {{set: (lines: Object<string, (number|null)[]>, colours: object) => void, paint: (colours: object) => void}} */
export function buildIndicator(chart, data) {
  let drawn = [];
  let label = null;
  const clear = () => {
    label?.detach();
    for (const { series } of drawn) chart.removeSeries(series);
    drawn = [];
    label = null;
  };
  const paint = (colours) => {
    drawn.forEach(({ series }, n) => series.applyOptions({ color: n === 0 ? colours.accent : colours["high-mark"] }));
    label?.applyOptions({
      lines: [{ text: drawn.map(({ name }) => name).join(", "), color: colours.muted, fontSize: 11 }],
    });
  };
  const set = (lines, colours) => {
    clear();
    drawn = Object.entries(lines).map(([name, values]) => ({ name, series: addLine(chart, name, values, data) }));
    const pane = chart.panes()[PANE];
    if (pane) {
      pane.setStretchFactor(1);
      label = createTextWatermark(pane, { horzAlign: "left", vertAlign: "top", lines: [] });
    }
    paint(colours);
  };
  return { set, paint };
}

function addLine(chart, name, values, data) {
  const kind = name.endsWith("_hist") ? HistogramSeries : LineSeries;
  const series = chart.addSeries(kind, PLAIN, OVER_PRICES.test(name) ? 0 : PANE);
  series.setData(data.map(({ time }, row) => (values[row] === null ? { time } : { time, value: values[row] })));
  return series;
}
