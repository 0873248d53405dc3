// The card of the swim-lane: which tickers, over the time and by the filters of the page.

import { get } from "../../lib/api.js";
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

/**
 * @param {{markets}} known as it is whenever `refresh()` is called
 * @returns {{node: Node, refresh, reload}}
 */
export function buildLanesCard(known, filters, signal) {
  const note = el("span.muted");
  const across = el("span");
  const load = async () => {
    const query = filters.query();
    const range = findRange(known.markets, filters.values);
    // Counting all takes longer than finding the strangest: these are drawn meanwhile.
    const counting = get(
      "/anomalies/histogram",
      { ...query, ...writeRange(range), bins: BINS },
      signal,
    );
    counting.catch(() => {}); // the lanes stand without it
    const { items } = await get(
      "/anomalies",
      { ...query, sort: "anomaly_score", limit: MOST_MARKS, fields: LISTED_FIELDS },
      signal,
    );
    const tickers = pickTickers(items);
    const named = { tickers: tickers.join(","), limit: 500 };
    const series = tickers.length ? (await get("/tickers", named, signal)).items : [];
    return { items, range, lanes: buildLanes(tickers, series), counting };
  };
  const draw = ({ items, range, lanes, counting }) => {
    fill(note);
    fill(across, linkDay(filters.values, known.markets));
    if (items.length === 0) return drawNone(known.markets);
    counting.then((found) => fill(note, describe(lanes, items, found))).catch(() => {});
    const shown = { lanes, anomalies: items, counting, range, choose: toLink(filters) };
    return buildSwimLane(shown, signal);
  };
  const section = buildSection(load, draw, signal, 6);
  section.show();
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
  return { node, refresh: section.refresh, reload: section.reload };
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

/** What a click on a stretch of time chooses, of one ticker or of all. */
const toLink =
  (filters) =>
  (start, end, ticker = null) =>
    filters.link({
      start: writeDay(start),
      end: writeDay(Math.max(start, end - DAY)),
      ...(ticker && { ticker }),
    });

/** The tickers with the severest of the strangest anomalies. */
function pickTickers(anomalies) {
  const gravity = new Map();
  for (const { Ticker: ticker, severity } of anomalies)
    gravity.set(ticker, (gravity.get(ticker) ?? 0) + GRAVITY[severity]);
  const tickers = [...gravity.keys()].sort((a, b) => gravity.get(b) - gravity.get(a));
  return tickers.slice(0, MOST_LANES);
}

/** A lane a ticker, with the extent of its bars of all intervals. */
function buildLanes(tickers, series) {
  return tickers.map((ticker) => {
    const own = series.filter((one) => one.ticker === ticker);
    return {
      ticker,
      interval: own[0]?.interval,
      first: Math.min(...own.map((one) => Date.parse(one.first_bar))),
      last: Math.max(...own.map((one) => Date.parse(one.last_bar))),
    };
  });
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

const floorDay = (time) => Math.floor((Number.isFinite(time) ? time : Date.now()) / DAY) * DAY;
const writeRange = ({ start, end }) => ({
  start: new Date(start).toISOString(),
  end: new Date(end - 1).toISOString(),
});

function describe(lanes, items, { spans }) {
  const total = spans
    .flatMap(({ by_severity: counts }) => Object.values(counts))
    .reduce((a, b) => a + b, 0);
  const found = plural(total, "anomaly", "anomalies");
  return total > items.length
    ? `${found}; drawn are the ${count(items.length)} strangest, of ` +
        plural(lanes.length, "ticker")
    : found;
}

/** Where one day is looked at: the way to all of its market. */
function linkDay({ start, end, market }, markets) {
  if (!start || start !== end) return null;
  const stored = markets.filter(isStored);
  const code = market ?? (stored.length === 1 ? stored[0].code : null);
  return (
    code &&
    el("a", { href: linkTo("day", start, { market: code }) }, `${day(start)} across the market`)
  );
}
