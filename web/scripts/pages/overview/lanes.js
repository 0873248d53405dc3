// The card of the swim-lane: which span of time, which tickers.

import { get } from "../../api.js";
import { el, fill } from "../../dom.js";
import { count, plural } from "../../format.js";
import { keepInUrl } from "../../router.js";
import { buildChoice } from "../../parts/choice.js";
import { buildEmpty, loadInto } from "../../parts/states.js";
import { buildSwimLane } from "../../parts/swim_lane.js";

const YEAR = 365.25 * 86_400_000;
const SPANS = [
  ["1y", "1 year"],
  ["5y", "5 years"],
  ["all", "All"],
];
const MOST_LANES = 30;
const MOST_MARKS = 500;

export function buildLanesCard(series, counts, route, signal) {
  const body = el("div");
  const note = el("span.muted");
  const lanes = pickLanes(series, counts);
  const draw = (span) => {
    const range = findRange(series, span);
    const query = { start: new Date(range.start).toISOString(), sort: "anomaly_score", limit: MOST_MARKS };
    return loadInto(
      body,
      () => get("/anomalies", query, signal),
      ({ items, next_cursor: more }) => {
        fill(note, describe(lanes, series, items, more));
        if (items.length === 0)
          return buildEmpty(
            "Nothing strange",
            "No anomaly in this span. A wider span may have some; a ticker without a backfill has none yet.",
          );
        return buildSwimLane(lanes, items, range, signal);
      },
      signal,
      6,
    );
  };
  const choose = (span) => {
    keepInUrl({ span: span === "all" ? null : span });
    draw(span);
  };
  const span = SPANS.some(([value]) => value === route.query.get("span")) ? route.query.get("span") : "all";
  draw(span);
  return el(
    "section.card",
    { "aria-labelledby": "lanes-title" },
    el(
      "header",
      el("div.row", el("h2", { id: "lanes-title" }, "Anomalies by ticker and time"), note),
      buildChoice("Span of time", SPANS, span, choose),
    ),
    body,
  );
}

/** The tickers with the gravest anomalies; all of them where there are few. */
function pickLanes(series, counts) {
  const gravity = ({ ticker }) => {
    const { critical = 0, high = 0, medium = 0, low = 0 } = counts.get(ticker) ?? {};
    return critical * 1e9 + high * 1e6 + medium * 1e3 + low;
  };
  const byTicker = new Map();
  for (const { ticker, interval, first_bar: first, last_bar: last } of series) {
    const known = byTicker.get(ticker) ?? { ticker, interval, first: Infinity, last: -Infinity };
    byTicker.set(ticker, {
      ...known,
      first: Math.min(known.first, Date.parse(first)),
      last: Math.max(known.last, Date.parse(last)),
    });
  }
  const all = [...byTicker.values()];
  if (all.length <= MOST_LANES) return all;
  return all.sort((a, b) => gravity(b) - gravity(a)).slice(0, MOST_LANES);
}

function findRange(series, span) {
  const end = Math.max(...series.map((one) => Date.parse(one.last_bar)));
  const first = Math.min(...series.map((one) => Date.parse(one.first_bar)));
  return { start: span === "all" ? first : Math.max(first, end - parseInt(span, 10) * YEAR), end };
}

function describe(lanes, series, items, more) {
  const tickers = new Set(series.map((one) => one.ticker)).size;
  const lanesText = tickers > lanes.length ? `the ${lanes.length} gravest of ${count(tickers)} tickers, ` : "";
  return lanesText + (more ? `the ${items.length} strangest` : plural(items.length, "anomaly", "anomalies"));
}
