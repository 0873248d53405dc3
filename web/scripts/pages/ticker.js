// One ticker: its chart with the anomalies on it, one anomaly in full, and what can be asked for.

import { get } from "../api.js";
import { el, fill } from "../dom.js";
import { keepInUrl } from "../router.js";
import { buildChoice } from "../parts/choice.js";
import { buildSelect } from "../parts/select.js";
import { loadInto } from "../parts/states.js";
import { say } from "../parts/toasts.js";
import { buildActions } from "./ticker/actions.js";
import { buildPriceChart } from "./ticker/chart.js";
import { INDICATORS } from "./ticker/indicator.js";
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
    indicator: pick(INDICATORS, route.query.get("indicator"), ""),
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
  const [known, history] = await Promise.all([loadKnown(asked, signal), loadHistory(asked, asked.indicator, signal)]);
  return { known, history };
}

/** Bars and an indicator. Where bars came since the last detection, asking sets a run to work. */
const loadHistory = ({ ticker, interval }, indicators, signal) =>
  get("/chart", { ticker, interval, period: "max", indicators }, signal);

/** The status of the series, and its strangest anomalies in the order of time. */
async function loadKnown({ ticker, interval }, signal) {
  const [status, { items }] = await Promise.all([
    get(`/tickers/${encodeURIComponent(ticker)}/status`, { interval }, signal),
    get("/anomalies", { ticker, interval, sort: "anomaly_score", limit: MOST_ANOMALIES }, signal),
  ]);
  return { status, anomalies: items.sort((a, b) => (a.Datetime < b.Datetime ? -1 : 1)) };
}

function draw({ known, history }, asked, signal) {
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
  chart.setIndicator(history.indicators);
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
  const showIndicator = async (name) => {
    keepInUrl({ indicator: name });
    chart.setIndicator(name ? (await loadHistory(asked, name, signal)).indicators : {});
  };
  const showPeriod = (period) => {
    keepInUrl({ period: period === "max" ? null : period });
    chart.showPeriod(period);
  };
  return el(
    "div.row",
    buildSelect("Indicator", INDICATORS, asked.indicator, (name) =>
      showIndicator(name).catch((error) => say(error.message, "bad")),
    ),
    buildChoice("Period shown", PERIODS, asked.period, showPeriod),
  );
}
