// One card a market: how many tickers, how recent, how many anomalies.

import { el, fill } from "../../dom.js";
import { ago, barTime, count, plural } from "../../format.js";
import { pause, repeat } from "../../live.js";
import { addCounts } from "../../series.js";
import { buildSeverityBar } from "../../parts/severity.js";

const NAMES = { US: "United States", JP: "Japan", TH: "Thailand" };

const LOOK_MILLISECONDS = 5000;

/** @param {() => Promise<object>} loadSchedules asked again and again, so that scans are seen to come and go */
export function buildMarkets(series, counts, schedules, loadSchedules, signal) {
  const markets = [...new Set(series.map((one) => one.market))].sort((a, b) =>
    a === "US" ? -1 : b === "US" ? 1 : a < b ? -1 : 1,
  );
  const cards = markets.map((market) =>
    buildMarket(
      market,
      series.filter((one) => one.market === market),
      counts,
    ),
  );
  const tell = (now) => cards.forEach(({ update }) => update(now));
  tell(schedules);
  pause(LOOK_MILLISECONDS, signal).then(() =>
    repeat(LOOK_MILLISECONDS, async () => tell(await loadSchedules()), signal),
  );
  return el(
    "section.markets",
    { "aria-label": "Markets" },
    cards.map(({ node }) => node),
  );
}

function buildMarket(market, series, counts) {
  const tickers = [...new Set(series.map((one) => one.ticker))];
  const latest = series.reduce((a, b) => (a.last_bar > b.last_bar ? a : b));
  const total = addCounts(tickers.map((ticker) => counts.get(ticker)));
  const anomalies = Object.values(total).reduce((a, b) => a + b, 0);
  const figures = el("dl.figures");
  const update = (schedules) =>
    fill(
      figures,
      buildFigure("Tickers", count(tickers.length)),
      buildFigure("Bars", count(series.reduce((sum, one) => sum + one.bars, 0))),
      buildFigure("Anomalies", count(anomalies)),
      buildFigure("Last bar", barTime(latest.last_bar, latest.interval)),
      buildScans(market, schedules),
    );
  const node = el(
    "article.card.market",
    el(
      "div.body",
      el("h2", NAMES[market] ?? market, series.some((one) => one.synthetic) && el("span.badge.warn", "synthetic bars")),
      figures,
      el(
        "div",
        { role: "group", "aria-label": `${plural(anomalies, "anomaly", "anomalies")} by severity` },
        buildSeverityBar(total),
      ),
    ),
  );
  return { node, update };
}

/** How many tickers watchlists watch, when they were scanned, and when they will be. */
function buildScans(market, { watchlists, enabled }) {
  const watching = watchlists.filter((one) => one.market === market && one.enabled);
  if (watching.length === 0) return buildFigure("Watched", "none");
  const times = (name) =>
    watching
      .map((one) => one[name])
      .filter(Boolean)
      .sort();
  return [
    buildFigure("Watched", count(new Set(watching.flatMap((one) => one.tickers)).size)),
    buildFigure("Last scan", ago(times("last_scan").at(-1))),
    buildFigure("Next scan", enabled ? describeNext(times("next_scan")[0]) : "off"),
  ];
}

const describeNext = (time) => (!time ? "soon" : Date.parse(time) <= Date.now() ? "now" : ago(time));
const buildFigure = (name, value) => el("div", el("dt", name), el("dd.number", value));
