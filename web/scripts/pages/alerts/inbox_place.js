// The way from the inbox to an alert and back: what it was narrowed and ordered by, and where in it
// one was.

import { linkTo, readRoute } from "../../lib/router.js";

// What the inbox is narrowed and ordered by besides the filters of all pages.
export const INBOX_CHOICES = ["state", "owner", "ticker", "text", "sort"];

/** The link from an alert to the inbox that it was opened from. */
export function linkToInbox() {
  const { query } = readRoute();
  const choices = INBOX_CHOICES.map((name) => [name, query.get(name)]);
  return linkTo("alerts", null, Object.fromEntries(choices));
}

/** Keep where somebody leaves the inbox, for Back. */
export function leaveFrom(place) {
  history.replaceState({ ...history.state, place }, "");
}

/** Where Back leads to in the inbox: the alert that was opened, its position, and how many were
 * listed; undefined where the inbox is new. */
export const findPlace = () => history.state?.place;
