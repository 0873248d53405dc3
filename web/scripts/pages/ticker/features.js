// The 14 features, in words.

import { change, figure, price } from "../../lib/format.js";

const FEATURES = {
  return_1: ["Return, 1 bar", change],
  return_3: ["Return, 3 bars", change],
  return_6: ["Return, 6 bars", change],
  zscore_20: ["z-score, 20 bars", figure],
  ATR_14: ["Average true range, 14", figure],
  bb_width: ["Bollinger width", figure],
  RSI: ["RSI, 14", figure],
  MACD: ["MACD", figure],
  MACD_hist: ["MACD histogram", figure],
  VWAP: ["VWAP", price],
  body: ["Body", figure],
  upper_wick: ["Upper wick", figure],
  lower_wick: ["Lower wick", figure],
  wick_ratio: ["Wicks to body", figure],
};

export const FEATURE_NAMES = Object.keys(FEATURES);
export const describeFeature = (name) => FEATURES[name][0];

/** Return a feature's value as people read it. */
export const writeFeature = (name, value) => (FEATURES[name]?.[1] ?? figure)(value);

/** Return {label: text} of stored features. */
export function describeFeatures(features) {
  return Object.fromEntries(
    Object.entries(features).map(([name, value]) => [
      FEATURES[name]?.[0] ?? name,
      writeFeature(name, value),
    ]),
  );
}

const COLUMNS = {
  return: "Return",
  gap: "Gap at the open",
  departure: "Range, wick or volume",
  event: "Range, wick, volume or the market's move",
  return_percent: "Return, in percent",
  clock_return: "Return for the time of day",
  clock_span: "Range, wick or volume for the time of day",
};
const YARDSTICKS = {
  fast: "by the last weeks' measure",
  slow: "by the last year's measure",
  steady: "by the last quarter's and year's measure",
  atr: "by its average true range",
};

/** "return_fast" is the return, measured by how much the ticker moved in the last weeks. */
export function describeColumn(column) {
  const [, name, yardstick] = /^(.*?)(?:_(fast|slow|steady|atr))?$/.exec(column);
  const label = COLUMNS[name] ?? FEATURES[name]?.[0] ?? name.replaceAll("_", " ");
  return yardstick ? `${label}, ${YARDSTICKS[yardstick]}` : label;
}
