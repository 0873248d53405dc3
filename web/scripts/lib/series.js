// Series as the API lists them, and the counts of their anomalies.

import { get } from "./api.js";
import { SEVERITIES } from "../parts/severity.js";

const PAGE = 500;
const MOST_SERIES = 5000;

/** Return all known series (up to 5,000). */
export async function loadSeries(signal) {
  const found = [];
  let cursor = null;
  do {
    const page = await get("/tickers", { limit: PAGE, cursor }, signal);
    found.push(...page.items);
    cursor = page.next_cursor;
  } while (cursor && found.length < MOST_SERIES);
  return found;
}

export const nameSeries = ({ ticker, interval }) => `${ticker}::${interval}`;

/** Return how many anomalies these series have: a map from their names to {severity: count}. */
export async function loadCounts(series, signal) {
  const counts = new Map();
  const count = async (interval, severity) => {
    const summary = await get("/anomalies/summary", { interval, severity }, signal);
    for (const { ticker, count: found } of summary.by_ticker) {
      const name = nameSeries({ ticker, interval });
      counts.set(name, { ...counts.get(name), [severity]: found });
    }
  };
  const intervals = [...new Set(series.map(({ interval }) => interval))];
  await Promise.all(intervals.flatMap((interval) => SEVERITIES.map((severity) => count(interval, severity))));
  return counts;
}

/** Add counts up: [{severity: count}, …] to {severity: count}. */
export function addCounts(counts) {
  const total = {};
  for (const one of counts) {
    for (const [severity, count] of Object.entries(one ?? {})) total[severity] = (total[severity] ?? 0) + count;
  }
  return total;
}
