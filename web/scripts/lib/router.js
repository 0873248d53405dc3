// The current page and its state are in the URL's fragment, `#/ticker/AAPL?period=5y`, so that a
// view can be shared.

import { carryFilters } from "./filters.js";

/** Return {page, name, query} of the URL: `#/ticker/AAPL?period=5y` is {page: "ticker", name:
 * "AAPL", query}. */
export function readRoute(fragment = location.hash) {
  const [path, search = ""] = fragment.replace(/^#\/?/, "").split("?");
  const [page, ...rest] = path.split("/").map(decode);
  return {
    page: page || "overview",
    name: rest.join("/") || null,
    query: new URLSearchParams(search),
  };
}

/** Unchanged if it cannot be decoded, because the address was cut off. */
function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/**
 * Return the link to a page, with the filters that are kept. Query values that are null or "" are
 * left out.
 */
export function linkTo(page, name = null, query = {}) {
  return write(page, name, { ...carryFilters(readRoute(), page), ...query });
}

function write(page, name, query) {
  const given = Object.entries(query).filter(
    ([, value]) => value !== null && value !== undefined && value !== "",
  );
  const path = name === null ? page : `${page}/${encodeURIComponent(name)}`;
  return `#/${path}${given.length ? `?${new URLSearchParams(given)}` : ""}`;
}

export function go(page, name = null, query = {}) {
  location.hash = linkTo(page, name, query);
}

/**
 * Write a change of state within the page into the URL, without a new history entry and without
 * reloading the page.
 */
export function keepInUrl(changes) {
  history.replaceState(history.state, "", linkHere(changes));
}

/** The same with a new history entry, so that Back undoes it. */
export function addToUrl(changes) {
  history.pushState(null, "", linkHere(changes));
}

/** Return the link to this page with some of its state changed. */
export function linkHere(changes) {
  const { page, name, query } = readRoute();
  return write(page, name, { ...Object.fromEntries(query), ...changes });
}
