// Whether the API still answers, asked all the time: one that is frozen refuses nothing, it only
// never answers.

import { reportReached, reportUnreached } from "./connection.js";
import { repeat } from "./live.js";

// What is shown must not look like now for more than five seconds after it is not.
const PERIOD_MILLISECONDS = 1000;
const ANSWER_MILLISECONDS = 2500;
// It asks no other server, so that a slow one is not taken for no API.
const ADDRESS = new URL("healthz", document.baseURI);

/** Keep `isReached()` up to date while the tab is seen, and look at once when it is seen again. */
export function watchConnection(signal) {
  document.addEventListener("visibilitychange", () => document.hidden || probe(), { signal });
  repeat(PERIOD_MILLISECONDS, probe, signal);
}

async function probe() {
  try {
    const limit = AbortSignal.timeout(ANSWER_MILLISECONDS);
    await fetch(ADDRESS, { cache: "no-store", credentials: "omit", signal: limit });
    reportReached();
  } catch {
    reportUnreached();
  }
}
