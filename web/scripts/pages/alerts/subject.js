// What an alert is about, in words.

import { count } from "../../lib/format.js";

/** Return the name of the ticker, the market or the feed that an alert is about. */
export function nameSubject(alert) {
  if (alert.entity_type === "feed") return `Bars of ${alert.watchlist}`;
  if (alert.entity_type === "series") return `Series ${alert.entity_id}`;
  return alert.entity_type === "ticker" ? alert.entity_id : `Market ${alert.entity_id}`;
}

/**
 * Return how many of its market's tickers were flagged on the same bar; null where that is not
 * known.
 */
export function countFlagged({ root_cause: cause, interval }) {
  if (!cause?.flagged) return null;
  const on = interval === "1d" ? "day" : "bar";
  return `${count(cause.flagged)} of ${count(cause.of)} flagged on this ${on}`;
}

/** Return how many bars an alert has, or for a stopped feed how many tickers have none. */
export const countBars = (alert) =>
  alert.entity_type === "feed"
    ? `${count(alert.count)} of ${count(alert.breadth.of)} tickers`
    : `${count(alert.count)} ${alert.count === 1 ? "bar" : "bars"}`;
