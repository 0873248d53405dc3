// Checks all the time whether the API still answers: a frozen API refuses nothing, it only never
// answers.

import { reportReached, reportUnreached } from "./connection.js";
import { repeat } from "./live.js";

// Data must not look current for more than five seconds after they no longer are.
const PERIOD_MILLISECONDS = 1000;
const ANSWER_MILLISECONDS = 2500;
// The probe asks no other server, so that a slow one is not taken for a missing API.
const ADDRESS = new URL("healthz", document.baseURI);

/**
 * Keep `isReached()` current while the tab is visible, and check at once when it is visible again.
 */
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
