// The one set of filters that every page reads from its URL, and that goes along from page to page.

import { isDay } from "./format.js";

const ALL = ["start", "end", "market", "watchlist", "ticker", "severity", "kind", "scope"];

// What each page can apply; it shows no other.
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
// What is none of these is an address that was cut off or written by hand.
const WRONG = {
  start: (text) => !isDay(text),
  end: (text) => !isDay(text),
  market: isNot(CODE),
  severity: isNone("low", "medium", "high", "critical"),
  kind: isNone("event", "fault"),
  scope: isNone("market", "sector", "own", "mixed", "quiet"),
};

// Of runs they say when they were asked for, elsewhere of which time bars are.
const TIMES = ["start", "end"];

let kept = {};

/** Return {name: value} of the filters that a URL has and its page applies; null where not. */
export function readFilters({ page, query }) {
  const values = Object.fromEntries(APPLIED[page].map((name) => [name, readOne(query, name)]));
  return isReversed(values) ? { ...values, end: null } : values;
}

/** Whether a range of time ends before it starts, which no route takes. */
export const isReversed = ({ start, end }) => Boolean(start && end) && end < start;

function readOne(query, name) {
  const given = query.get(name);
  const value = name === "market" ? given?.toUpperCase() : given; // an address may have any case
  return !value || WRONG[name]?.(value) ? null : value;
}

/**
 * Return the filters that go along from where we are to a page. Those that it cannot apply are kept
 * for the page after it. A single ticker does not go along: it is what was looked at, not by what;
 * nor does a time between runs and bars.
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

/** Return filters as the API takes them: the last day is meant whole. */
export function toQuery({ end = null, ...filters }) {
  return { ...filters, end: end && `${end}T23:59:59.999Z` };
}
