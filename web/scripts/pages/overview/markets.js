// One card a market: how many tickers, how recent, how many anomalies.

import { get } from "../../lib/api.js";
import { now } from "../../lib/clock.js";
import { el, fill } from "../../lib/dom.js";
import { ago, barTime, count, day, plural } from "../../lib/format.js";
import { toQuery } from "../../lib/filters.js";
import { isStored } from "../../lib/markets.js";
import { buildFirstLook, buildScan } from "../../parts/first_look.js";
import { buildSeverityBar } from "../../parts/severity.js";

/**
 * @param {{markets, schedules}} known as it is whenever `update()` is called
 * @returns {{node: Node, update: () => void, count: () => Promise<void>}} `count` asks how many
 * anomalies pass the filters
 */
export function buildMarkets(known, filters, signal) {
  const node = el("section.markets", { "aria-label": "Markets" });
  const looks = new Map(); // by market, drawn anew only where something has changed
  let counts = null;
  let latest = 0;
  const update = () => {
    const shown = known.markets
      .filter(isStored)
      .filter(({ code }) => !filters.values.market || code === filters.values.market);
    const at = [...node.querySelectorAll("a")].indexOf(document.activeElement);
    fill(
      node,
      shown
        .sort(compareMarkets)
        .map((market) =>
          drawMarket(market, counts?.[market.code], known.schedules, filters, looks),
        ),
    );
    if (at >= 0) node.querySelectorAll("a")[at]?.focus({ preventScroll: true });
  };
  const countAnomalies = async () => {
    const turn = ++latest;
    // The legend chooses a severity: it counts all of them, whichever is chosen.
    const query = toQuery({ ...filters.values, severity: null });
    const summary = await get("/anomalies/summary", query, signal);
    if (turn !== latest) return;
    const all = Object.fromEntries(known.markets.map(({ code }) => [code, {}]));
    counts = { ...all, ...summary.by_market };
    update();
  };
  update();
  return { node, update, count: countAnomalies };
}

const compareMarkets = (a, b) =>
  a.code === "US" ? -1 : b.code === "US" ? 1 : a.code < b.code ? -1 : 1;

function drawMarket(market, total, schedules, filters, looks) {
  const anomalies = total && Object.values(total).reduce((a, b) => a + b, 0);
  const interval = chooseInterval(market.intervals);
  const link = (severity) => filters.link({ severity });
  return el(
    "article.card.market",
    el(
      "div.body",
      el(
        "h2",
        market.name || market.code,
        market.synthetic && el("span.badge.warn", "synthetic bars"),
      ),
      el(
        "dl.figures",
        buildFigure("Tickers", count(market.tickers)),
        buildFigure("Bars", count(market.bars)),
        buildFigure("Anomalies", count(anomalies)),
        buildFigure("Last bar", barTime(market.last_bar, interval, market.code)),
        schedules && buildScans(market.code, schedules),
      ),
      el(
        "div",
        {
          role: "group",
          "aria-label":
            `${count(anomalies)} ${anomalies === 1 ? "anomaly" : "anomalies"} by severity`,
        },
        buildSeverityBar(total ?? null, { chosen: filters.values.severity, link }),
      ),
      keepLook(looks, market),
    ),
  );
}

/** Days where there are any, else the shortest bars. */
const chooseInterval = (intervals) => (intervals.includes("1d") ? "1d" : intervals[0]);

function keepLook(looks, market) {
  const { series, looked_at: looked, up_to_date: current, missed, behind, last_bar: last } = market;
  const state = JSON.stringify([series, looked, current, missed, behind, last]);
  if (looks.get(market.code)?.state !== state)
    looks.set(market.code, { state, node: drawLook(market) });
  return looks.get(market.code).node;
}

/** What is not known yet, or else how the last day was. */
function drawLook(market) {
  const { series, looked_at: looked, up_to_date: current } = market;
  const missed = series - looked;
  if (missed === 0 && current === series) return el("p.muted", drawLastDay(market));
  if (missed === 0)
    return el(
      "div.row.look",
      el(
        "p.muted",
        `The last bars of ${plural(series - current, "series", "series")} are not looked at yet.`,
      ),
      buildScan(market.code, chooseInterval(market.behind)),
    );
  const said =
    looked === 0
      ? "Nothing was looked at yet: no anomalies does not mean that nothing is strange."
      : `${plural(missed, "series", "series")} of ${count(series)} ` +
        `${missed === 1 ? "was" : "were"} not looked at yet.`;
  const first = buildFirstLook(market.code, chooseInterval(market.missed));
  return el("div.row.look", el("p.muted", said), first);
}

/** "A quiet day: nothing strange on 1 Mar 2013." once it is known. */
function drawLastDay({ code, last_bar: last }) {
  const node = el("span", "\u00a0");
  const date = day(last);
  get("/anomalies/summary", { market: code, start: last.slice(0, 10) })
    .then(({ total }) =>
      fill(
        node,
        total === 0
          ? `A quiet day: nothing strange on ${date}.`
          : `${plural(total, "anomaly", "anomalies")} on ${date}.`,
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
  !time ? "soon" : Date.parse(time) <= now() ? "now" : ago(time);
const buildFigure = (name, value) => el("div", el("dt", name), el("dd.number", value));
