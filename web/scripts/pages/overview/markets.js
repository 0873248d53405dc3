// One card a market: how many tickers, how recent, how many anomalies.

import { el } from "../../dom.js";
import { ago, barTime, count, plural } from "../../format.js";
import { addCounts } from "../../series.js";
import { buildSeverityBar } from "../../parts/severity.js";

const NAMES = { US: "United States", JP: "Japan", TH: "Thailand" };

export function buildMarkets(series, counts, schedules) {
  const markets = [...new Set(series.map((one) => one.market))].sort((a, b) =>
    a === "US" ? -1 : b === "US" ? 1 : a < b ? -1 : 1,
  );
  return el(
    "section.markets",
    { "aria-label": "Markets" },
    markets.map((market) =>
      buildMarket(
        market,
        series.filter((one) => one.market === market),
        counts,
        schedules,
      ),
    ),
  );
}

function buildMarket(market, series, counts, schedules) {
  const tickers = [...new Set(series.map((one) => one.ticker))];
  const latest = series.reduce((a, b) => (a.last_bar > b.last_bar ? a : b));
  const total = addCounts(tickers.map((ticker) => counts.get(ticker)));
  const anomalies = Object.values(total).reduce((a, b) => a + b, 0);
  return el(
    "article.card.market",
    el(
      "div.body",
      el("h2", NAMES[market] ?? market, series.some((one) => one.synthetic) && el("span.badge.warn", "synthetic bars")),
      el(
        "dl.figures",
        buildFigure("Tickers", count(tickers.length)),
        buildFigure("Bars", count(series.reduce((sum, one) => sum + one.bars, 0))),
        buildFigure("Anomalies", count(anomalies)),
        buildFigure("Last bar", barTime(latest.last_bar, latest.interval)),
        buildScans(market, schedules),
      ),
      el(
        "div",
        { role: "group", "aria-label": `${plural(anomalies, "anomaly", "anomalies")} by severity` },
        buildSeverityBar(total),
      ),
    ),
  );
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
    buildFigure("Next scan", enabled ? ago(times("next_scan")[0]) : "off"),
  ];
}

const buildFigure = (name, value) => el("div", el("dt", name), el("dd.number", value));
