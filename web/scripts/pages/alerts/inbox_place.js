// The way from the inbox to an alert and back: the inbox's filters and order, and the position in
// it.

import { linkTo, readRoute } from "../../lib/router.js";

// The inbox's own filters and order, besides the filters of all pages.
export const INBOX_CHOICES = ["state", "owner", "ticker", "text", "sort"];

/**
 * The link from an alert to the inbox that it was opened from, or to another alert of that inbox.
 */
export function linkBeside(id = null) {
  const { query } = readRoute();
  const choices = INBOX_CHOICES.map((name) => [name, query.get(name)]);
  return linkTo("alerts", id, Object.fromEntries(choices));
}

/**
 * Store the position at which the reader leaves the inbox, for Back; null when it lists other
 * alerts.
 */
export function keepPlace(place) {
  history.replaceState({ ...history.state, place }, "");
}

/**
 * The position in the inbox for Back: the alert that was opened, its place, and how many alerts
 * were listed; nothing in a new inbox.
 */
export const findPlace = () => history.state?.place;
