// Series as the API lists them, with the counts of their anomalies.

import { getAll } from "./pages.js";

/** Return all known series. */
export const loadSeries = (signal) => getAll("/tickers", {}, signal);

/** Add counts up: [{severity: count}, …] to {severity: count}. */
export function addCounts(counts) {
  const total = {};
  for (const one of counts) {
    for (const [severity, count] of Object.entries(one ?? {}))
      total[severity] = (total[severity] ?? 0) + count;
  }
  return total;
}
