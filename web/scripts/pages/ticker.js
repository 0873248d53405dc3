// One ticker: its chart with the anomalies on it, one anomaly in full, and what can be asked for.

import { get } from "../api.js";
import { el, fill } from "../dom.js";
import { keepInUrl } from "../router.js";
import { buildChoice } from "../parts/choice.js";
import { loadInto } from "../parts/states.js";
import { say } from "../parts/toasts.js";
import { buildActions } from "./ticker/actions.js";
import { buildPaneMenu, readPanes, writePanes } from "./ticker/pane_menu.js";
import { listAsked } from "./ticker/pane_names.js";
import { buildSelection } from "./ticker/selection.js";
import { buildHead, drawStatus } from "./ticker/status.js";

const MOST_ANOMALIES = 500;
const PERIODS = [
  ["3mo", "3 months"],
  ["1y", "1 year"],
  ["5y", "5 years"],
  ["max", "All"],
];

export const title = (route) => route.name ?? "Ticker";

export function show(main, route, signal) {
  const asked = {
    ticker: route.name ?? "",
    interval: route.query.get("interval") ?? "1d",
    period: pick(PERIODS, route.query.get("period"), "max"),
    panes: readPanes(route.query.get("panes")),
    anomaly: route.query.get("anomaly"),
  };
  return loadInto(
    main,
    () => load(asked, signal),
    (data) => draw(data, asked, signal),
    signal,
    10,
  );
}

const pick = (options, value, fallback) => (options.some(([known]) => known === value) ? value : fallback);

async function load(asked, signal) {
  // The library that draws charts is the heaviest part of the page: it comes while the API answers.
  const [known, history, { buildPriceChart }] = await Promise.all([
    loadKnown(asked, signal),
    loadHistory(asked, asked.panes, signal),
    import("./ticker/chart.js"),
  ]);
  return { known, history, buildPriceChart };
}

/** Bars, and what is drawn with them. Where bars came since the last detection, asking sets a run to work. */
const loadHistory = ({ ticker, interval }, panes, signal) =>
  get("/chart", { ticker, interval, period: "max", indicators: listAsked(panes).join(",") }, signal);

/** The status of the series, and its strangest anomalies in the order of time. */
async function loadKnown({ ticker, interval }, signal) {
  const [status, { items }] = await Promise.all([
    get(`/tickers/${encodeURIComponent(ticker)}/status`, { interval }, signal),
    get("/anomalies", { ticker, interval, sort: "anomaly_score", limit: MOST_ANOMALIES }, signal),
  ]);
  return { status, anomalies: items.sort((a, b) => (a.Datetime < b.Datetime ? -1 : 1)) };
}

function draw({ known, history, buildPriceChart }, asked, signal) {
  const { ticker, interval } = history;
  const status = el("div.body");
  const chart = buildPriceChart({
    ticker,
    interval,
    bars: history.bars,
    choose: (anomaly) => selection.select(anomaly),
    signal,
  });
  const selection = buildSelection(chart, asked.anomaly, signal);
  const tell = ({ status: now, anomalies }) => {
    fill(status, drawStatus(now));
    selection.set(anomalies, now.message);
  };
  const actions = buildActions(known.status, async () => tell(await loadKnown(asked, signal)), signal);
  tell(known);
  chart.setPanes(asked.panes, history.indicators);
  if (selection.isEmpty()) chart.showPeriod(asked.period);
  return [
    el("div.head", buildHead(known.status, history.bars), actions.buttons),
    actions.progress,
    el(
      "div.ticker-layout",
      el(
        "div.stack",
        el(
          "section.card",
          { "aria-label": "Chart" },
          el("header", chart.legend, buildControls(chart, asked, signal)),
          chart.node,
        ),
        el(
          "section.card.found",
          el("header", el("h2", "All anomalies"), el("span.muted", "newest first")),
          selection.list,
        ),
      ),
      el("div.stack", selection.panel, el("section.card.series", el("header", el("h2", "Series")), status)),
    ),
  ];
}

function buildControls(chart, asked, signal) {
  let latest = 0;
  const showPanes = async (panes) => {
    const turn = ++latest; // a choice may be changed before its lines are there
    keepInUrl({ panes: writePanes(panes) });
    const { indicators } = listAsked(panes).length ? await loadHistory(asked, panes, signal) : { indicators: {} };
    if (turn === latest && !signal.aborted) chart.setPanes(panes, indicators);
  };
  const showPeriod = (period) => {
    keepInUrl({ period: period === "max" ? null : period });
    chart.showPeriod(period);
  };
  return el(
    "div.row",
    buildPaneMenu(asked.panes, (panes) => showPanes(panes).catch((error) => say(error.message, "bad")), signal),
    buildChoice("Period shown", PERIODS, asked.period, showPeriod),
  );
}
