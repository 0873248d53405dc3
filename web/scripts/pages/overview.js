// The overview: markets, the swim-lane, the anomalies that matter, what runs, and every ticker.

import { get } from "../api.js";
import { el } from "../dom.js";
import { linkTo } from "../router.js";
import { loadCounts, loadSeries } from "../series.js";
import { buildAnomalyCard } from "./overview/anomalies.js";
import { buildLanesCard } from "./overview/lanes.js";
import { buildMarkets } from "./overview/markets.js";
import { buildRunsCard } from "./overview/runs.js";
import { buildTickersCard } from "./overview/tickers.js";
import { buildEmpty, loadInto } from "../parts/states.js";

export const title = () => "Overview";

export function show(main, route, signal) {
  return loadInto(
    main,
    () => load(signal),
    (data) => draw(data, route, signal),
    signal,
    8,
  );
}

async function load(signal) {
  const [series, counts, schedules] = await Promise.all([
    loadSeries(signal),
    loadCounts({}, signal),
    loadSchedules(signal),
  ]);
  return { series, counts, schedules };
}

async function loadSchedules(signal) {
  const [{ items: watchlists }, { enabled }] = await Promise.all([
    get("/watchlists", { limit: 500 }, signal),
    get("/scheduler", {}, signal),
  ]);
  return { watchlists, enabled };
}

function draw({ series, counts, schedules }, route, signal) {
  if (series.length === 0) return buildWelcome();
  return el(
    "div.stack",
    el("h1.hidden-text", "Overview"),
    buildMarkets(series, counts, schedules, () => loadSchedules(signal), signal),
    buildLanesCard(series, counts, route, signal),
    el("div.columns", buildAnomalyCard(route, signal), buildRunsCard(signal)),
    buildTickersCard(series, counts),
  );
}

function buildWelcome() {
  return el(
    "div.card",
    el("h1.hidden-text", "Overview"),
    buildEmpty(
      "No bars yet",
      "Tapewatch watches bars that you bring: drop a CSV file on the data page, or run `flask bars import FILE`. `make demo` brings real ones to look at.",
      el("a.button.primary", { href: linkTo("data") }, "Upload bars"),
    ),
  );
}
