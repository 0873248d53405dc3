// Which stretch of time each series covers, drawn on one axis.

import { el } from "../../dom.js";
import { barTime, count, plural } from "../../format.js";
import { linkTo } from "../../router.js";
import { buildEmpty } from "../../parts/states.js";
import { buildTable } from "../../parts/table.js";

const LISTED = 200;

export function buildCoverage(series) {
  if (series.length === 0) return buildEmpty("No bars yet", "Drop a file above, or run `flask bars import FILE`.");
  const start = Math.min(...series.map((one) => Date.parse(one.first_bar)));
  const end = Math.max(...series.map((one) => Date.parse(one.last_bar)));
  const share = (time) => (Date.parse(time) - start) / Math.max(1, end - start);
  const names = ["Series", ["Bars", ".wide-only"], ["From", ".wide-only"], "Covered", "To", ["Revision", ".wide-only"]];
  return [
    buildTable(
      "Stretches of time",
      names,
      series.slice(0, LISTED).map((one) => buildRow(one, share)),
      ".coverage",
    ),
    series.length > LISTED &&
      el("p.more.muted", `The first ${LISTED} of ${plural(series.length, "series", "series")}.`),
  ];
}

function buildRow(one, share) {
  const [from, to] = [share(one.first_bar), share(one.last_bar)];
  return el(
    "tr",
    el(
      "td.nowrap",
      el("a.ticker-name", { href: linkTo("ticker", one.ticker, { interval: one.interval }) }, one.ticker),
      " ",
      el("span.muted", one.interval),
      " ",
      one.synthetic && el("span.badge.warn", "synthetic"),
    ),
    el("td.nowrap.wide-only", count(one.bars)),
    el("td.nowrap.wide-only", barTime(one.first_bar, one.interval)),
    el(
      "td.covered",
      el("div.stretch", { "aria-hidden": "true" }, el("i", { vars: { "--from": from, "--width": to - from } })),
    ),
    el("td.nowrap", barTime(one.last_bar, one.interval)),
    el("td.muted.wide-only", { title: "raised by each correction of stored bars" }, count(one.revision)),
  );
}
