// One ticker: its chart with the anomalies on it, one anomaly in full, and what can be asked for.

import { get } from "../../lib/api.js";
import { el, fill } from "../../lib/dom.js";
import { readFilters, toQuery } from "../../lib/filters.js";
import { repeat } from "../../lib/live.js";
import { findMarket } from "../../lib/markets.js";
import { linkTo } from "../../lib/router.js";
import { readChoice, setExchange } from "../../lib/zone.js";
import { buildFilters } from "../../parts/filters.js";
import { buildEmpty, loadInto } from "../../parts/states.js";
import { say } from "../../parts/toasts.js";
import { buildActions } from "./actions.js";
import { buildActs } from "./acts.js";
import { buildControls } from "./controls.js";
import { buildMetrics } from "./metrics.js";
import { drawGone } from "./gone.js";
import { readPanes } from "./pane_menu.js";
import { listAsked } from "./pane_names.js";
import { buildSelection } from "./selection.js";
import { drawHead, drawStatus } from "./status.js";

const MOST_ANOMALIES = 500;
const MOST_REGIMES = 500;
const LOOK_MILLISECONDS = 10_000;
const NONE_PASSES = "No anomaly of this ticker passes the filters; clear one to see more.";
const USUAL_INTERVAL = "1d";

export const title = (route) => route.name?.toUpperCase() ?? "Ticker";

export function show(main, route, signal) {
  if (!route.name) {
    const overview = el("a.button", { href: linkTo("overview") }, "Overview");
    fill(
      main,
      el("h1.hidden-text", "Ticker"),
      buildEmpty("Which ticker?", "This address names none.", overview),
    );
    return null;
  }
  const asked = {
    ticker: route.name.toUpperCase(),
    interval: route.query.get("interval"),
    period: route.query.get("period"),
    panes: readPanes(route.query.get("panes")),
    anomaly: readTime(route.query.get("anomaly")),
    filters: toQuery(readFilters(route)),
  };
  return loadInto(
    main,
    () => load(asked, signal),
    ({ gone, ...data }) =>
      gone ? drawGone(gone, asked, signal) : draw(data, asked, route, signal),
    signal,
    10,
  );
}

/** A time as the API writes it, which may have been written otherwise by hand. */
function readTime(text) {
  const time = new Date(text ?? NaN);
  return Number.isNaN(time.getTime()) ? text : time.toISOString().replace(".000Z", "Z");
}

async function load(asked, signal) {
  try {
    return await loadSeries(asked, signal);
  } catch (error) {
    if (error.status !== 404) throw error;
    const gone = await loadFound({ ...asked, filters: {} }, signal);
    if (gone.length === 0) throw error;
    return { gone };
  }
}

async function loadSeries(asked, signal) {
  const library = import("./chart.js");
  library.catch(() => {}); // where what is asked for first fails too, that is told
  const listing = listIntervals(asked.ticker, signal);
  asked.interval ??= pickInterval(await listing);
  const [intervals, known, history, { buildPriceChart }] = await Promise.all([
    listing,
    loadKnown(asked, signal),
    loadHistory(asked, signal),
    library,
  ]);
  if (readChoice() === "exchange")
    setExchange((await findMarket(known.status.market))?.timezone ?? null);
  return { known, history, buildPriceChart, intervals };
}

async function listIntervals(ticker, signal) {
  const { items } = await get("/tickers", { ticker }, signal);
  return items.map((series) => series.interval);
}

const pickInterval = (intervals) =>
  intervals.length === 0 || intervals.includes(USUAL_INTERVAL) ? USUAL_INTERVAL : intervals[0];

/** Bars, and what is drawn with them. Where bars came since the last detection, asking sets a
 * run to work. */
const loadHistory = ({ ticker, interval, panes }, signal) =>
  get(
    "/chart",
    { ticker, interval, period: "max", indicators: listAsked(panes).join(",") },
    signal,
  );

const loadStatus = ({ ticker, interval }, signal) =>
  get(`/tickers/${encodeURIComponent(ticker)}/status`, { interval }, signal);

/** The status of the series, and what was found in it. */
async function loadKnown(asked, signal) {
  const [status, anomalies] = await Promise.all([
    loadStatus(asked, signal),
    loadFound(asked, signal),
  ]);
  return { status, anomalies };
}

/** The strangest anomalies of the series that pass the filters, in the order of time. */
async function loadFound(asked, signal) {
  const { ticker, interval, filters } = asked;
  const query = { ...filters, ticker, interval, sort: "anomaly_score", limit: MOST_ANOMALIES };
  const { items } = await get("/anomalies", query, signal);
  if (asked.anomaly && !items.some((anomaly) => anomaly.Datetime === asked.anomaly)) {
    items.push(...(await findUnlisted(asked, signal)));
  }
  return items.sort((a, b) => (a.Datetime < b.Datetime ? -1 : 1));
}

/** The anomaly that the address names, where it is superseded, or not among the strangest. */
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

/** The regimes of the last bars, the newest first; none where none were computed. */
const loadRegimes = ({ ticker, interval }, signal) =>
  get("/analysis/regime", { ticker, interval, limit: MOST_REGIMES }, signal)
    .then(({ items }) => items)
    .catch(() => []); // a chart without its band still says all

function draw({ known, history, buildPriceChart, intervals }, asked, route, signal) {
  const { ticker, interval } = history;
  const head = el("div");
  const status = el("div.body");
  const acts = el("div.body");
  const chart = buildPriceChart({
    ticker,
    interval,
    choose: (anomaly) => selection.select(anomaly),
    signal,
  });
  const changed = () => refresh().catch(() => {});
  const selection = buildSelection(chart, asked.anomaly, changed, signal);
  const controls = buildControls(chart, asked, () => loadHistory(asked, signal), signal);
  const narrow = () => {
    asked.filters = filters.query();
    asked.anomaly = null;
    chart.showRange(filters.values);
    refresh().catch((error) => say(error.message, "bad"));
  };
  const latest = () => Date.parse(shown?.status.last_bar) || null;
  const filters = buildFilters(route, narrow, signal, { latest });
  const isNarrowed = () => Object.values(filters.values).some(Boolean);
  let shown = null;
  const tell = (now, bars = null) => {
    shown = now;
    if (bars) chart.setBars(bars.bars, asked.panes, bars.indicators);
    fill(head, drawHead(now.status, chart.lastBars(), intervals, asked));
    fill(status, drawStatus(now.status));
    if (acts.childElementCount === 0) fill(acts, buildActs(now.status, null, changed));
    selection.set(now.anomalies, isNarrowed() ? NONE_PASSES : now.status.message);
  };
  /** Whether other bars are stored than those that are drawn. */
  const hasOthers = ({ bars, last_bar: last }) =>
    bars !== shown.status.bars || Date.parse(last) !== chart.lastBars().at(-1)?.time;
  const refresh = async () => {
    const now = await loadKnown(asked, signal);
    const bars = hasOthers(now.status) ? await loadHistory(asked, signal) : null;
    if (!signal.aborted) tell(now, bars);
  };
  const look = async () => {
    const now = await loadStatus(asked, signal);
    if (hasOthers(now) || JSON.stringify(now) !== JSON.stringify(shown.status)) await refresh();
  };
  tell(known, history);
  if (selection.isEmpty() && !chart.showRange(filters.values)) controls.showPeriod();
  repeat(LOOK_MILLISECONDS, look, signal);
  const metrics = buildMetrics({ ticker, interval }, signal);
  loadRegimes({ ticker, interval }, signal).then(
    (past) => signal.aborted || chart.setRegimes(past),
  );
  const actions = buildActions(known.status, refresh, signal);
  return [
    el("div.head", head, actions.buttons),
    actions.progress,
    filters.node,
    el(
      "div.ticker-layout",
      el(
        "div.stack",
        el(
          "section.card",
          { "aria-label": "Chart" },
          el("header", controls.node, linkToComparison(ticker, interval)),
          chart.legend,
          chart.node,
        ),
        el(
          "section.card.found",
          el("header", el("h2", "All anomalies"), el("span.muted", "latest first")),
          selection.list,
        ),
      ),
      el(
        "div.stack",
        selection.panel,
        el("section.card.series", el("header", el("h2", "Series")), status, acts),
      ),
      // Behind the panel: from the list of anomalies the Tab key goes to the one that was chosen.
      metrics.node,
    ),
  ];
}

const linkToComparison = (ticker, interval) =>
  el(
    "a.button.small",
    { href: linkTo("compare", ticker, { interval, against: "index" }) },
    "Compare",
  );
