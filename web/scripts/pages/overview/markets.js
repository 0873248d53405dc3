// One card a market: how many tickers, how recent, how many anomalies.

import { get } from "../../lib/api.js";
import { el, fill } from "../../lib/dom.js";
import { ago, barTime, count, plural } from "../../lib/format.js";
import { getMarkets } from "../../lib/markets.js";
import { addCounts } from "../../lib/series.js";
import { buildFirstLook } from "../../parts/first_look.js";
import { buildSeverityBar } from "../../parts/severity.js";

/** @param {{series, schedules}} known as it is whenever `update()` is called */
export function buildMarkets(known) {
  const node = el("section.markets", { "aria-label": "Markets" });
  const looks = new Map(); // by market, drawn anew only where something has changed
  let names = {};
  const update = () => {
    const markets = [...new Set(known.series.map((one) => one.market))].sort(compareMarkets);
    fill(
      node,
      markets.map((market) => drawMarket(market, names[market] ?? market, known, looks)),
    );
  };
  update();
  getMarkets()
    .then((markets) => {
      names = Object.fromEntries(markets.map((market) => [market.code, market.name]));
      update();
    })
    .catch(() => {}); // the codes are shown instead
  return { node, update };
}

const compareMarkets = (a, b) => (a === "US" ? -1 : b === "US" ? 1 : a < b ? -1 : 1);

function drawMarket(market, name, { series: all, schedules }, looks) {
  const series = all.filter((one) => one.market === market);
  const tickers = [...new Set(series.map((one) => one.ticker))];
  const latest = series.reduce((a, b) => (a.last_bar > b.last_bar ? a : b));
  const total = addCounts(series.map((one) => one.anomalies));
  const anomalies = Object.values(total).reduce((a, b) => a + b, 0);
  return el(
    "article.card.market",
    el(
      "div.body",
      el(
        "h2",
        name,
        series.some((one) => one.synthetic) && el("span.badge.warn", "synthetic bars"),
      ),
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
      keepLook(looks, market, series, latest, anomalies),
    ),
  );
}

function keepLook(looks, market, series, latest, anomalies) {
  const missed = series.filter((one) => one.watermark === null).length;
  const state = JSON.stringify([latest.last_bar, latest.watermark, missed, anomalies]);
  if (looks.get(market)?.state !== state)
    looks.set(market, { state, node: drawLook(market, series, latest) });
  return looks.get(market).node;
}

/** What is not known yet, or else how the last day was. */
function drawLook(market, series, latest) {
  const missed = series.filter((one) => one.watermark === null);
  if (missed.length === 0) return el("p.muted", drawLastDay(market, latest));
  const said =
    missed.length === series.length
      ? "Nothing was looked at yet: no anomalies does not mean that nothing is strange."
      : `${plural(missed.length, "series", "series")} of ${count(series.length)} ` +
        `${missed.length === 1 ? "was" : "were"} not looked at yet.`;
  const first = buildFirstLook(market, missed[0].interval);
  return el("div.row.look", el("p.muted", said), first);
}

/** "A quiet day: nothing strange on 1 Mar 2013." once it is known. */
function drawLastDay(market, { last_bar: start, interval, watermark }) {
  const node = el("span", "\u00a0");
  const day = barTime(start, interval);
  if (watermark < start) return fill(node, `The last bars, of ${day}, are not looked at yet.`);
  get("/anomalies/summary", { market, interval, start })
    .then(({ total }) =>
      fill(
        node,
        total === 0
          ? `A quiet day: nothing strange on ${day}.`
          : `${plural(total, "anomaly", "anomalies")} on ${day}.`,
      ),
    )
    .catch(() => {}); // the card says all else
  return node;
}

/** How many tickers watchlists watch, when they were scanned, and when they will be. */
function buildScans(market, { watchlists, enabled }) {
  const watching = watchlists.filter((one) => one.markets.includes(market) && one.enabled);
  if (watching.length === 0) return buildFigure("Watched", "none");
  const times = (name) =>
    watching
      .map((one) => one[name])
      .filter(Boolean)
      .sort();
  return [
    buildFigure("Watched", count(new Set(watching.flatMap((one) => one.tickers)).size)),
    buildFigure("Last scan", times("last_scan").length ? ago(times("last_scan").at(-1)) : "never"),
    buildFigure("Next scan", enabled ? describeNext(times("next_scan")[0]) : "off"),
  ];
}

const describeNext = (time) =>
  !time ? "soon" : Date.parse(time) <= Date.now() ? "now" : ago(time);
const buildFigure = (name, value) => el("div", el("dt", name), el("dd.number", value));
