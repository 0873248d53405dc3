// The time by the API's clock. That of a computer may be wrong by an hour, and "for four hours"
// would be three or five then, and what has just happened lie in the future.

const NOTICED_MILLISECONDS = 5000; // the header has whole seconds, and an answer is under way
let ahead = 0;

/** Learn how far the API's clock is ahead of this computer's, from when an answer was sent. */
export function setClock(date) {
  const found = Date.parse(date) - Date.now();
  if (Number.isNaN(found)) return;
  ahead = Math.abs(found) < NOTICED_MILLISECONDS ? 0 : found;
}

/** Milliseconds, as Date.now() has them. */
export const now = () => Date.now() + ahead;
