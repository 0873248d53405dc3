// The time by the API's clock. A computer's own clock may be wrong by an hour: "for four hours"
// would then be three or five, and recent events would lie in the future.

const NOTICED_MILLISECONDS = 5000; // the header has whole seconds, and the answer takes time
let ahead = 0;

/**
 * Compute how far the API's clock is ahead of this computer's, from the time at which an answer was
 * sent.
 */
export function setClock(date) {
  const found = Date.parse(date) - Date.now();
  if (Number.isNaN(found)) return;
  ahead = Math.abs(found) < NOTICED_MILLISECONDS ? 0 : found;
}

/** Milliseconds, as Date.now() has them. */
export const now = () => Date.now() + ahead;
