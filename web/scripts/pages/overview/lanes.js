// The card of the swim-lane: the tickers with anomalies over time, by the filters of the page.

import { get } from "../../lib/api.js";
import { now } from "../../lib/clock.js";
import { el, fill } from "../../lib/dom.js";
import { count, day, plural } from "../../lib/format.js";
import { isStored } from "../../lib/markets.js";
import { linkTo } from "../../lib/router.js";
import { LISTED_FIELDS } from "../../parts/anomaly_list.js";
import { writeDay } from "../../parts/filters.js";
import { buildEmpty, buildSection } from "../../parts/states.js";
import { buildSwimLane } from "../../parts/swim_lane.js";

const DAY = 86_400_000;
const MOST_LANES = 30;
const MOST_MARKS = 500;
const BINS = 120;
const GRAVITY = { critical: 1e9, high: 1e6, medium: 1e3, low: 1 };

/** Ask for the strangest anomalies that pass the filters. */
export const loadStrangest = (query, signal) =>
  get(
    "/anomalies",
    { ...query, sort: "-grade", limit: MOST_MARKS, fields: LISTED_FIELDS },
    signal,
  );

/**
 * @param {{markets, strangest}} known as it is whenever `refresh()` is called; `strangest` is what
 * was asked for already, for the first `show()`
 * @returns {{node: Node, show, refresh, reload}}
 */
export function buildLanesCard(known, filters, signal) {
  const note = el("span.muted");
  const across = el("span");
  const load = async () => {
    const query = filters.query();
    const range = findRange(known.markets, filters.values);
    const asked = known.strangest ?? loadStrangest(query, signal);
    known.strangest = null;
    const { items } = await asked;
    // The marks are drawn while the counts and the series' first and last bars are still loading.
    const bins = { ...query, ...writeRange(range), bins: BINS };
    const counting = get("/anomalies/histogram", bins, signal);
    const lanes = pickLanes(items);
    const extents = loadExtents(lanes, signal);
    for (const later of [counting, extents]) later.catch(() => {}); // the marks stand without
    return { items, range, lanes, counting, extents };
  };
  const draw = ({ items, range, lanes, counting, extents }) => {
    fill(note);
    fill(across, linkDay(filters.values, known.markets));
    if (items.length === 0) return drawNone(known.markets);
    counting.then((found) => fill(note, describe(lanes, items, found))).catch(() => {});
    const shown = { lanes, anomalies: items, counting, extents, range, choose: toLink(filters) };
    return buildSwimLane(shown, signal);
  };
  const section = buildSection(load, draw, signal, 6);
  const node = el(
    "section.card",
    { "aria-labelledby": "lanes-title" },
    el(
      "header",
      el("div.row", el("h2", { id: "lanes-title" }, "Anomalies by ticker and time"), note),
      across,
    ),
    section.node,
  );
  return { node, show: section.show, refresh: section.refresh, reload: section.reload };
}

function drawNone(markets) {
  const total = (name) => markets.reduce((sum, market) => sum + market[name], 0);
  const [series, looked] = [total("series"), total("looked_at")];
  if (looked === 0)
    return buildEmpty(
      "Nothing was looked at yet",
      "Whether anything was strange shows after a backfill: the cards above offer one.",
    );
  const rest = looked < series ? ` ${plural(looked, "series", "series")} looked at.` : "";
  const text = `No anomaly passes the filters.${rest} Another time may have some.`;
  return buildEmpty("Nothing strange", text);
}

/** The filters that a click on a span sets, for one ticker or for all. */
const toLink =
  (filters) =>
  (start, end, ticker = null) =>
    filters.link({
      start: writeDay(start),
      end: writeDay(Math.max(start, end - DAY)),
      ...(ticker && { ticker }),
    });

/** A lane for each ticker with the severest of the strangest anomalies. */
function pickLanes(anomalies) {
  const [gravity, intervals] = [new Map(), new Map()];
  for (const { Ticker: ticker, severity, interval } of anomalies) {
    gravity.set(ticker, (gravity.get(ticker) ?? 0) + GRAVITY[severity]);
    intervals.set(ticker, interval);
  }
  const tickers = [...gravity.keys()].sort((a, b) => gravity.get(b) - gravity.get(a));
  return tickers
    .slice(0, MOST_LANES)
    .map((ticker) => ({ ticker, interval: intervals.get(ticker) }));
}

/** Resolve to the times of first and last bar of each lane's ticker, of all its intervals. */
async function loadExtents(lanes, signal) {
  const extents = new Map();
  if (lanes.length === 0) return extents;
  const tickers = lanes.map(({ ticker }) => ticker).join(",");
  const { items } = await get("/tickers", { tickers, limit: 500 }, signal);
  for (const { ticker, first_bar: first, last_bar: last } of items) {
    const [from, to] = extents.get(ticker) ?? [Infinity, -Infinity];
    extents.set(ticker, [Math.min(from, Date.parse(first)), Math.max(to, Date.parse(last))]);
  }
  return extents;
}

/** From the first day to the end of the last one, in milliseconds. */
function findRange(markets, { market, start, end }) {
  const stored = markets.filter((one) => isStored(one) && (!market || one.code === market));
  const first = Math.min(...stored.map((one) => Date.parse(one.first_bar)));
  const last = Math.max(...stored.map((one) => Date.parse(one.last_bar)));
  const from = start ? Date.parse(start) : first;
  return {
    start: floorDay(from),
    end: floorDay(Math.max(end ? Date.parse(end) : last, from)) + DAY,
  };
}

const floorDay = (time) => Math.floor((Number.isFinite(time) ? time : now()) / DAY) * DAY;
const writeRange = ({ start, end }) => ({
  start: new Date(start).toISOString(),
  end: new Date(end - 1).toISOString(),
});

function describe(lanes, items, { spans }) {
  const total = spans
    .flatMap(({ by_severity: counts }) => Object.values(counts))
    .reduce((a, b) => a + b, 0);
  const found = plural(total, "anomaly", "anomalies");
  const tickers = new Set(items.map(({ Ticker: ticker }) => ticker)).size;
  const strangest = total > items.length && `the ${count(items.length)} strangest`;
  const severest =
    tickers > lanes.length &&
    `those of the ${lanes.length} tickers with the severest, of ${count(tickers)} tickers`;
  if (severest) return `${found}; drawn are ${strangest ? `of ${strangest} ` : ""}${severest}`;
  return strangest ? `${found}; drawn are ${strangest}, of ${plural(tickers, "ticker")}` : found;
}

/** If one day is shown, the link to that day across the market. */
function linkDay({ start, end, market }, markets) {
  if (!start || start !== end) return null;
  const stored = markets.filter(isStored);
  const code = market ?? (stored.length === 1 ? stored[0].code : null);
  return (
    code &&
    el("a", { href: linkTo("day", start, { market: code }) }, `${day(start)} across the market`)
  );
}
