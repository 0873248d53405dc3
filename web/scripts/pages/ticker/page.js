// One ticker: its chart with the anomalies on it, one anomaly in full, and what can be asked for.

import { get } from "../../lib/api.js";
import { el, fill } from "../../lib/dom.js";
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
import { load, loadHistory, loadKnown, loadStatus } from "./load.js";
import { buildSelection } from "./selection.js";
import { drawHead, drawStatus } from "./status.js";

const MOST_REGIMES = 500;
const LOOK_MILLISECONDS = 10_000;
const NONE_PASSES = "No anomaly of this ticker passes the filters; clear one to see more.";

export const title = (route) => route.name?.toUpperCase() ?? "Ticker";

/** `early` is the result of `load` for this route, if it was called before. */
export function show(main, route, signal, early) {
  if (!route.name) {
    const overview = el("a.button", { href: linkTo("overview") }, "Overview");
    fill(
      main,
      el("h1.hidden-text", "Ticker"),
      buildEmpty("Which ticker?", "This address names none.", overview),
    );
    return null;
  }
  let asking = early;
  const loadAll = async () => {
    const loading = asking ?? load(route, signal);
    asking = null; // a retry loads again
    const library = import("./chart.js");
    library.catch(() => {}); // if the first request fails too, that error is shown
    const data = await loading;
    if (data.gone) return data;
    if (readChoice() === "exchange")
      setExchange((await findMarket(data.known.status.market))?.timezone ?? null);
    return { ...data, ...(await library) };
  };
  const drawAll = ({ gone, asked, ...data }) =>
    gone ? drawGone(gone, asked, signal) : draw(data, asked, route, signal);
  return loadInto(main, loadAll, drawAll, signal, 10);
}

/** The regimes of the last bars, the newest first; none if none were computed. */
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
  /** Whether the stored bars differ from those that are drawn. */
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
      // Behind the panel, so that the Tab key goes from the list of anomalies to the chosen one.
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
