// What changed in stored bars: corrections, bars that came late, splits, synthetic bars that gave
// way.

import { get } from "../../lib/api.js";
import { el, fill } from "../../lib/dom.js";
import { barTime, count, figure, plural, price, short } from "../../lib/format.js";
import { buildAge } from "../../parts/age.js";
import { buildPagedTable } from "../../parts/paged_table.js";
import { buildEmpty } from "../../parts/states.js";
import { linkTicker } from "../../parts/table.js";

const PART = 50;
const COLUMNS = ["Series", "Bar", "What", "From", ["Source", ".wide-only"], "When"];
const KINDS = { changed: "corrected", inserted: "came late" };
const GONE = ["deleted", "renamed", "undone"];

export function showRevisions(node, { ticker }, signal) {
  const list = {
    name: "Revised bars",
    columns: COLUMNS,
    load: (cursor) => get("/data/revisions", { ticker, limit: PART, cursor }, signal),
    buildRow,
    buildEmpty: () =>
      buildEmpty(
        "Nothing was revised",
        "A bar that comes again with other values, or after a later one, is stored as it is " +
          "now and listed here; what rests on it is detected again.",
      ),
  };
  const table = buildPagedTable(list, signal);
  fill(node, table.node);
  return table.show();
}

function buildRow(revision) {
  const { ticker, interval, kind } = revision;
  return el(
    "tr",
    el(
      "td.nowrap",
      linkTicker(ticker, { interval }),
      " ",
      el("span.muted", interval),
    ),
    el("td.nowrap", describeSpan(revision)),
    el("td", el("span.badge", KINDS[kind] ?? kind), " "),
    el("td", describeChange(revision)),
    el("td.muted.wide-only", revision.source),
    el("td.muted.nowrap", buildAge(revision.at)),
  );
}

function describeSpan({ kind, first, last, inserted_until: until, session, interval }) {
  if (kind === "split") return barTime(session, "1d");
  const end = kind === "inserted" ? until : last;
  return first === end
    ? barTime(first, interval)
    : `${barTime(first, interval)} to ${barTime(end, interval)}`;
}

const WRITE = { volume: short };

/** "close 10.50, was 10.00" of each value that changed. */
function describeChange({ kind, bars, old, new: now }) {
  if (kind === "split") return `${figure(now)} for 1, was ${figure(old)} for 1`;
  if (kind === "inserted") return `${plural(bars, "bar")} after a later one was stored`;
  if (kind === "replaced") return `${count(bars)} synthetic bars gave way to real ones`;
  if (GONE.includes(kind)) return `${plural(bars, "bar")} gone`;
  return Object.keys(now)
    .filter((name) => now[name] !== old[name])
    .map((name) => {
      const write = WRITE[name] ?? price;
      return el(
        "div.nowrap",
        `${name} ${write(now[name])}, `,
        el("span.muted", `was ${write(old[name])}`),
      );
    });
}
