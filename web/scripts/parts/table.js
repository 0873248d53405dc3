// Tables that scroll sideways in a box of their own, which the keyboard can reach, and the tickers
// in them.

import { el } from "../lib/dom.js";
import { linkTo } from "../lib/router.js";

/**
 * @param {string} name what the box is called
 * @param {(string|[string, string])[]} columns headings, each with the classes of its cells
 * where it has any
 * @param {Node|Node[]} body a tbody, or rows
 */
export function buildTable(name, columns, body, classes = "") {
  const heads = columns
    .map((column) => [column].flat())
    .map(([text, kind = ""]) => el(`th${kind}`, { scope: "col" }, text));
  return el(
    "div.scroll",
    { tabindex: 0, role: "region", "aria-label": name },
    el(
      `table.table${classes}`,
      el("thead", el("tr", heads)),
      Array.isArray(body) ? el("tbody", body) : body,
    ),
  );
}

/** The link to a ticker's page; `state` is that of the page, such as its interval. */
export const linkTicker = (ticker, state) =>
  el("a.ticker-name", { href: linkTo("ticker", ticker, state) }, ticker);
