// The filters that every page reads from its URL, and that are kept from page to page.

import { isDay } from "./format.js";

const ALL = ["start", "end", "market", "watchlist", "ticker", "severity", "kind", "scope"];

// The filters that each page can apply; it shows no others.
export const APPLIED = {
  overview: ALL,
  anomalies: ALL,
  alerts: ALL.filter((name) => name !== "kind" && name !== "ticker"),
  day: ["market", "watchlist", "severity", "kind", "scope"],
  ticker: ["start", "end", "severity", "kind", "scope"],
  compare: ["start", "end"],
  market: ["market"],
  data: ["market"],
  runs: ["start", "end", "market", "watchlist"],
};

const CODE = /^[A-Za-z][A-Za-z0-9]{1,7}$/;
const isNot = (pattern) => (text) => !pattern.test(text);
const isNone =
  (...words) =>
  (text) =>
    !words.includes(text);
// Any other value comes from an address that was cut off or written by hand.
const WRONG = {
  start: (text) => !isDay(text),
  end: (text) => !isDay(text),
  market: isNot(CODE),
  severity: isNone("low", "medium", "high", "critical"),
  kind: isNone("event", "fault"),
  scope: isNone("market", "sector", "own", "mixed", "quiet"),
};

// For runs, from and to are the time of the request; elsewhere they are the time of bars.
const TIMES = ["start", "end"];

let kept = {};

/** Return {name: value} of the filters that a URL has and its page applies; null for the others. */
export function readFilters({ page, query }) {
  const values = Object.fromEntries(APPLIED[page].map((name) => [name, readOne(query, name)]));
  return isReversed(values) ? { ...values, end: null } : values;
}

/** Whether a range of time ends before it starts, which every route refuses. */
export const isReversed = ({ start, end }) => Boolean(start && end) && end < start;

function readOne(query, name) {
  const given = query.get(name);
  const value = name === "market" ? given?.toUpperCase() : given; // an address may have any case
  return !value || WRONG[name]?.(value) ? null : value;
}

/**
 * Return the filters to keep when going from the current page to another. Filters that the other
 * page cannot apply are kept for the page after it. A single ticker is not kept: it is the object
 * of a page and no filter. Nor is a range of time, between runs and bars.
 */
export function carryFilters(from, page) {
  if (from.page in APPLIED) {
    const isOther = (name) => name === "ticker" || (from.page === "runs" && TIMES.includes(name));
    const names = ALL.filter((name) => !isOther(name));
    const read = names.map((name) => [name, readOne(from.query, name)]);
    kept = { ...kept, ...Object.fromEntries(read) };
  }
  if (page === "runs") return { ...kept, start: null, end: null };
  return page in APPLIED ? kept : {};
}

/** Return filters as the API takes them: the last day is included as a whole. */
export function toQuery({ end = null, ...filters }) {
  return { ...filters, end: end && `${end}T23:59:59.999Z` };
}
