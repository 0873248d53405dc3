// The way from the inbox to an alert and back: what it was narrowed and ordered by, and where in it
// one was.

import { linkTo, readRoute } from "../../lib/router.js";

// What the inbox is narrowed and ordered by besides the filters of all pages.
export const INBOX_CHOICES = ["state", "owner", "ticker", "text", "sort"];

/** The link from an alert to the inbox that it was opened from, or to another one of it. */
export function linkBeside(id = null) {
  const { query } = readRoute();
  const choices = INBOX_CHOICES.map((name) => [name, query.get(name)]);
  return linkTo("alerts", id, Object.fromEntries(choices));
}

/** Keep where somebody leaves the inbox, for Back; null where other alerts are listed there. */
export function keepPlace(place) {
  history.replaceState({ ...history.state, place }, "");
}

/** Where Back leads to in the inbox: the alert that was opened, its position, and how many were
 * listed; nothing where the inbox is new. */
export const findPlace = () => history.state?.place;
