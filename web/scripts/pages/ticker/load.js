// Loading the data of a ticker's page, in parallel with its scripts and not after them.

import { get } from "../../lib/api.js";
import { readFilters, toQuery } from "../../lib/filters.js";
import { listAsked, readPanes } from "./pane_names.js";

const MOST_ANOMALIES = 500;
const USUAL_INTERVAL = "1d";

/** The request of an address; null if it names no ticker. */
function readAsked({ name, query, ...route }) {
  if (!name) return null;
  return {
    ticker: name.toUpperCase(),
    interval: query.get("interval"),
    period: query.get("period"),
    panes: readPanes(query.get("panes")),
    anomaly: readTime(query.get("anomaly")),
    filters: toQuery(readFilters({ query, ...route })),
  };
}

/** A time as the API writes it; in an address it may have been written differently by hand. */
function readTime(text) {
  const time = new Date(text ?? NaN);
  return Number.isNaN(time.getTime()) ? text : time.toISOString().replace(".000Z", "Z");
}

/**
 * Resolve to the request with its interval, and {intervals, known, history}; or with {gone}: the
 * anomalies of bars that are no longer stored.
 */
export async function load(route, signal) {
  const asked = readAsked(route);
  if (asked === null) return null;
  try {
    return { asked, ...(await loadSeries(asked, signal)) };
  } catch (error) {
    if (error.status !== 404) throw error;
    const gone = await loadFound({ ...asked, filters: { status: "bars_gone" } }, signal);
    if (gone.length === 0) throw error;
    return { asked, gone };
  }
}

async function loadSeries(asked, signal) {
  const listing = listIntervals(asked.ticker, signal);
  asked.interval ??= pickInterval(await listing);
  const [intervals, known, history] = await Promise.all([
    listing,
    loadKnown(asked, signal),
    loadHistory(asked, signal),
  ]);
  return { intervals, known, history };
}

async function listIntervals(ticker, signal) {
  const { items } = await get("/tickers", { ticker }, signal);
  return items.map((series) => series.interval);
}

const pickInterval = (intervals) =>
  intervals.length === 0 || intervals.includes(USUAL_INTERVAL) ? USUAL_INTERVAL : intervals[0];

/**
 * Bars, and the lines drawn with them. If bars have come since the last detection, this request
 * starts a run.
 */
export const loadHistory = ({ ticker, interval, panes }, signal) =>
  get(
    "/chart",
    { ticker, interval, period: "max", indicators: listAsked(panes).join(",") },
    signal,
  );

export const loadStatus = ({ ticker, interval }, signal) =>
  get(`/tickers/${encodeURIComponent(ticker)}/status`, { interval }, signal);

/** The status of the series, and its anomalies. */
export async function loadKnown(asked, signal) {
  const [status, anomalies] = await Promise.all([
    loadStatus(asked, signal),
    loadFound(asked, signal),
  ]);
  return { status, anomalies };
}

/** The strangest anomalies of the series that pass the filters, in the order of time. */
async function loadFound(asked, signal) {
  const { ticker, interval, filters } = asked;
  const query = { ...filters, ticker, interval, sort: "-grade", limit: MOST_ANOMALIES };
  const { items } = await get("/anomalies", query, signal);
  if (asked.anomaly && !items.some((anomaly) => anomaly.Datetime === asked.anomaly)) {
    items.push(...(await findUnlisted(asked, signal)));
  }
  return items.sort((a, b) => (a.Datetime < b.Datetime ? -1 : 1));
}

/** The anomaly in the address, if it is superseded or not among the strangest. */
async function findUnlisted({ ticker, interval, anomaly }, signal) {
  try {
    return [
      await get(
        `/anomalies/${encodeURIComponent(`${ticker}::${interval}::${anomaly}`)}`,
        {},
        signal,
      ),
    ];
  } catch (error) {
    if (error.status === 404) return [];
    throw error;
  }
}
