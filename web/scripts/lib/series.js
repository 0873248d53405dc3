// Series as the API lists them, with the counts of their anomalies.

import { get } from "./api.js";

const PAGE = 500;

/** Return all known series, page by page. */
export async function loadSeries(signal) {
  const found = [];
  let cursor = null;
  do {
    const page = await get("/tickers", { limit: PAGE, cursor }, signal);
    found.push(...page.items);
    cursor = page.next_cursor;
  } while (cursor);
  return found;
}

/** Add counts up: [{severity: count}, …] to {severity: count}. */
export function addCounts(counts) {
  const total = {};
  for (const one of counts) {
    for (const [severity, count] of Object.entries(one ?? {})) total[severity] = (total[severity] ?? 0) + count;
  }
  return total;
}
