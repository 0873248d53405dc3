// What a chart can show besides the candles, by the names of the API. (Without the library that
// draws it.)

import { price } from "../../lib/format.js";
import { FEATURE_NAMES, describeFeature } from "./features.js";

export const OVER_PRICES = [
  ["sma", "Mean of 20"],
  ["ema", "EMA 12 and 26"],
  ["bollinger", "Bollinger bands"],
  ["VWAP", "VWAP"],
];
export const BELOW = [
  ["volume", "Volume"],
  ["grade", "Grade"],
  ...FEATURE_NAMES.filter((name) => name !== "VWAP").map((name) => [name, describeFeature(name)]),
];
export const KNOWN = [...OVER_PRICES, ...BELOW].map(([name]) => name);
export const CHOSEN_AT_FIRST = ["volume", "grade"];
const OWN = new Set(CHOSEN_AT_FIRST); // drawn from bars and anomalies; all others are requested

export const OVERLAYS = {
  sma_20: ["Mean of 20", "accent"],
  ema_12: ["EMA 12", "high-mark"],
  ema_26: ["EMA 26", "critical-mark"],
  bb_upper: ["Upper band", "low-mark"],
  bb_lower: ["Lower band", "low-mark"],
  VWAP: ["VWAP", "medium-mark"],
};
export const LABELS = Object.fromEntries(BELOW);

/** The panes in a URL: "RSI,zscore_20"; the usual ones if it has none. */
export function readPanes(text) {
  if (text === null) return CHOSEN_AT_FIRST;
  const named = new Set(text.split(","));
  return KNOWN.filter((name) => named.has(name));
}

/** The lines that must be requested for a choice of panes. */
export const listAsked = (chosen) => chosen.filter((name) => !OWN.has(name));

/** The values of the lines over the prices at a row for the legend: [[label, colour, text], …]. */
export function describeOverlays(given, row) {
  return Object.entries(given)
    .filter(([name, values]) => name in OVERLAYS && typeof values[row] === "number")
    .map(([name, values]) => [...OVERLAYS[name], price(values[row])]);
}
