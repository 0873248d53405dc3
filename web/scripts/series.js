// Series as the API lists them, and the counts of their anomalies.

import { get } from "./api.js";
import { SEVERITIES } from "./parts/severity.js";

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

/** Return {ticker: {severity: count}}, over everything stored. */
export async function loadCounts(query, signal) {
  const summaries = await Promise.all(
    SEVERITIES.map((severity) => get("/anomalies/summary", { ...query, severity }, signal)),
  );
  const counts = new Map();
  summaries.forEach((summary, n) => {
    for (const { ticker, count } of summary.by_ticker) {
      counts.set(ticker, { ...counts.get(ticker), [SEVERITIES[n]]: count });
    }
  });
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
