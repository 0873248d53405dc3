// The overview: markets, the swim-lane, the anomalies that matter, what runs, and every ticker.

import { get } from "../../lib/api.js";
import { el } from "../../lib/dom.js";
import { readFilters, toQuery } from "../../lib/filters.js";
import { pause, repeat } from "../../lib/live.js";
import { isStored, loadMarkets } from "../../lib/markets.js";
import { getAll } from "../../lib/pages.js";
import { linkTo } from "../../lib/router.js";
import { describeChanges } from "../../lib/schedules.js";
import { buildAnomalyCard } from "./anomalies.js";
import { buildLanesCard, loadStrangest } from "./lanes.js";
import { buildMarkets } from "./markets.js";
import { buildRunsCard, loadRuns } from "./runs.js";
import { buildTickersCard } from "./tickers.js";
import { buildFilters } from "../../parts/filters.js";
import { buildEmpty, buildRefresh } from "../../parts/states.js";

const LOOK_MILLISECONDS = 5000;

export const title = () => "Overview";

export function show(main, route, signal) {
  const drawPage = (data, again, both) =>
    data.markets.some(isStored) ? draw(data, route, both) : drawWelcome(again, both);
  return buildRefresh(main, (both) => load(route, both), drawPage, signal)();
}

async function load(route, signal) {
  // first, so that a run that ends from here on is noticed and everything is loaded again
  const runs = await loadRuns(signal);
  const strangest = loadStrangest(toQuery(readFilters(route)), signal);
  strangest.catch(() => {}); // its card says what failed
  return { runs, strangest, markets: await loadMarkets(signal), schedules: null };
}

/**
 * When watchlists are scanned. Their tickers, of which there may be thousands, are loaded only if a
 * watchlist has changed since `known`.
 */
async function loadSchedules(known, signal) {
  const { enabled, watchlists: scans } = await get("/scheduler", {}, signal);
  const versions = describeChanges({ enabled, watchlists: scans });
  const watched =
    known?.versions === versions ? known.watched : await getAll("/watchlists", {}, signal);
  const now = new Map(scans.map((one) => [one.name, one]));
  const watchlists = watched.map((one) => ({ ...one, ...now.get(one.name) }));
  return { enabled, versions, watched, watchlists };
}

function draw(known, route, signal) {
  const changed = () => {
    markets.update();
    markets.count().catch(ignore);
    for (const part of [lanes, anomalies, tickers]) part.reload();
  };
  const filters = buildFilters(route, changed, signal);
  const markets = buildMarkets(known, filters, signal);
  const lanes = buildLanesCard(known, filters, signal);
  const anomalies = buildAnomalyCard(route, filters, signal);
  const tickers = buildTickersCard(known, route, filters, signal);
  // A run that ended may have changed bars, anomalies and watermarks.
  const refresh = async () => {
    known.markets = await loadMarkets(signal);
    if (signal.aborted) return;
    await Promise.all([markets.count(), lanes.refresh(), anomalies.refresh(), tickers.refresh()]);
  };
  const tellSchedules = async () => {
    known.schedules = await loadSchedules(known.schedules, signal);
    markets.update();
  };
  // Counting all anomalies takes longer than finding the strangest, which are drawn first.
  lanes.show().then(() => signal.aborted || markets.count().catch(ignore));
  repeat(LOOK_MILLISECONDS, tellSchedules, signal);
  return el(
    "div.stack",
    el("h1.hidden-text", "Overview"),
    filters.node,
    markets.node,
    lanes.node,
    el("div.columns", anomalies.node, buildRunsCard(known.runs, refresh, signal)),
    tickers.node,
  );
}

// the other cards show the error; the count stays a dash until it is loaded again
const ignore = () => {};

/** Nothing is stored: say what to do, and continue automatically as soon as there are bars. */
function drawWelcome(again, signal) {
  const look = async () => {
    const { items } = await get("/tickers", { limit: 1 }, signal);
    if (items.length) again();
  };
  pause(LOOK_MILLISECONDS, signal).then(() => repeat(LOOK_MILLISECONDS, look, signal));
  return el(
    "div.card",
    el("h1.hidden-text", "Overview"),
    buildEmpty(
      "No bars yet",
      "Tapewatch watches bars that you bring: drop a CSV file on the data page. `make demo` " +
        "brings real ones to look at.",
      el("a.button.primary", { href: linkTo("data") }, "Upload bars"),
    ),
  );
}
