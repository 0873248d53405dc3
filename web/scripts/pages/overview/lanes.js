// The card of the swim-lane: which span of time, which tickers.

import { get } from "../../lib/api.js";
import { el, fill } from "../../lib/dom.js";
import { count, plural } from "../../lib/format.js";
import { keepInUrl } from "../../lib/router.js";
import { addCounts } from "../../lib/series.js";
import { buildChoice } from "../../parts/choice.js";
import { LISTED_FIELDS } from "../../parts/anomaly_list.js";
import { buildEmpty, buildSection } from "../../parts/states.js";
import { buildSwimLane } from "../../parts/swim_lane.js";

const YEAR = 365.25 * 86_400_000;
const SPANS = [
  ["1y", "1 year"],
  ["5y", "5 years"],
  ["all", "All"],
];
const MOST_LANES = 30;
const MOST_MARKS = 500;

/**
 * @param {{series}} known as it is whenever `refresh()` is called
 * @returns {{node: Node, refresh: () => Promise<void>}}
 */
export function buildLanesCard(known, route, signal) {
  const note = el("span.muted");
  let span = SPANS.some(([value]) => value === route.query.get("span"))
    ? route.query.get("span")
    : "all";
  const load = async () => {
    const range = findRange(known.series, span);
    const query = {
      start: new Date(range.start).toISOString(),
      sort: "anomaly_score",
      limit: MOST_MARKS,
    };
    const { items, next_cursor: more } = await get(
      "/anomalies",
      { ...query, fields: LISTED_FIELDS },
      signal,
    );
    return { items, more, range, lanes: pickLanes(known.series) };
  };
  const draw = ({ items, more, range, lanes }) => {
    fill(note, describe(lanes, known.series, items, more));
    if (items.length === 0) return drawNone(known.series);
    return buildSwimLane(lanes, items, range, signal);
  };
  const section = buildSection(load, draw, signal, 6);
  const choose = (chosen) => {
    span = chosen;
    keepInUrl({ span: chosen === "all" ? null : chosen });
    section.show();
  };
  section.show();
  const node = el(
    "section.card",
    { "aria-labelledby": "lanes-title" },
    el(
      "header",
      el("div.row", el("h2", { id: "lanes-title" }, "Anomalies by ticker and time"), note),
      buildChoice("Span of time", SPANS, span, choose).node,
    ),
    section.node,
  );
  return { node, refresh: section.refresh };
}

function drawNone(series) {
  const looked = series.filter((one) => one.watermark !== null).length;
  if (looked === 0)
    return buildEmpty(
      "Nothing was looked at yet",
      "Whether anything was strange shows after a backfill: the cards above offer one.",
    );
  const rest = looked < series.length ? ` ${plural(looked, "series", "series")} looked at.` : "";
  const text = `No anomaly in this span.${rest} A wider one may have some.`;
  return buildEmpty("Nothing strange", text);
}

/** The tickers with the severest anomalies; where there are few, those without any too. */
function pickLanes(series) {
  const gravity = ({ ticker }) => {
    const { critical = 0, high = 0, medium = 0, low = 0 } = totals.get(ticker);
    return critical * 1e9 + high * 1e6 + medium * 1e3 + low;
  };
  const byTicker = new Map();
  const totals = new Map();
  for (const { ticker, interval, anomalies, first_bar: first, last_bar: last } of series) {
    totals.set(ticker, addCounts([totals.get(ticker), anomalies]));
    const known = byTicker.get(ticker) ?? { ticker, interval, first: Infinity, last: -Infinity };
    byTicker.set(ticker, {
      ...known,
      first: Math.min(known.first, Date.parse(first)),
      last: Math.max(known.last, Date.parse(last)),
    });
  }
  const all = [...byTicker.values()];
  if (all.length <= MOST_LANES) return all;
  const found = all.filter((lane) => gravity(lane) > 0).sort((a, b) => gravity(b) - gravity(a));
  return (found.length ? found : all).slice(0, MOST_LANES);
}

function findRange(series, span) {
  const end = Math.max(...series.map((one) => Date.parse(one.last_bar)));
  const first = Math.min(...series.map((one) => Date.parse(one.first_bar)));
  return { start: span === "all" ? first : Math.max(first, end - parseInt(span, 10) * YEAR), end };
}

function describe(lanes, series, items, more) {
  const tickers = new Set(series.map((one) => one.ticker)).size;
  const lanesText =
    tickers > lanes.length ? `the ${lanes.length} severest of ${count(tickers)} tickers, ` : "";
  return (
    lanesText +
    (more ? `the ${items.length} strangest` : plural(items.length, "anomaly", "anomalies"))
  );
}
