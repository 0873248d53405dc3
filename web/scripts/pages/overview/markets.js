// One card a market: the number of tickers, the last bar, and the number of anomalies.

import { get } from "../../lib/api.js";
import { el, fill } from "../../lib/dom.js";
import { barTime, count, day, plural } from "../../lib/format.js";
import { toQuery } from "../../lib/filters.js";
import { isStored } from "../../lib/markets.js";
import { buildAge, buildNext } from "../../parts/age.js";
import { buildFirstLook, buildScan } from "../../parts/first_look.js";
import { buildSeverityBar } from "../../parts/severity.js";

/**
 * @param {{markets, schedules}} known as it is whenever `update()` is called
 * @returns {{node: Node, update: () => void, count: () => Promise<void>}} `count` asks how many
 * anomalies pass the filters
 */
export function buildMarkets(known, filters, signal) {
  const node = el("section.markets", { "aria-label": "Markets" });
  const cards = new Map(); // by market
  let counts = null;
  let latest = 0;
  const update = () => {
    const shown = known.markets
      .filter(isStored)
      .filter(({ code }) => !filters.values.market || code === filters.values.market);
    for (const market of shown) {
      const { code } = market;
      if (!cards.has(code)) cards.set(code, buildMarket());
      cards.get(code).update(market, counts?.[code], known.schedules, filters);
    }
    fill(
      node,
      shown.sort(compareMarkets).map(({ code }) => cards.get(code).node),
    );
  };
  const countAnomalies = async () => {
    const turn = ++latest;
    // The legend filters by severity, so its counts include all severities, whichever is chosen.
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

/**
 * The card of one market. Its elements stay, and with them the focus; only their contents change.
 */
function buildMarket() {
  const [title, figures, look] = [el("h2"), el("dl.figures"), el("div")];
  const counts = el("div", { role: "group" });
  const node = el("article.card.market", el("div.body", title, figures, counts, look));
  let seen = null;
  const update = (market, total, schedules, filters) => {
    const anomalies = total && Object.values(total).reduce((a, b) => a + b, 0);
    const interval = chooseInterval(market.intervals);
    const link = (severity) => filters.link({ severity });
    const synthetic = market.synthetic && el("span.badge.warn", "synthetic bars");
    fill(title, market.name || market.code, synthetic);
    fill(
      figures,
      buildFigure("Tickers", count(market.tickers)),
      buildFigure("Bars", count(market.bars)),
      buildFigure("Anomalies", count(anomalies)),
      buildFigure("Last bar", barTime(market.last_bar, interval, market.code)),
      schedules && buildScans(market.code, schedules),
    );
    const counted = `${count(anomalies)} ${anomalies === 1 ? "anomaly" : "anomalies"}`;
    counts.setAttribute("aria-label", `${counted} by severity`);
    fill(counts, buildSeverityBar(total ?? null, { chosen: filters.values.severity, link }));
    const query = toQuery(filters.values);
    const state = JSON.stringify([describeLook(market), query]);
    if (state !== seen) fill(look, drawLook(market, query));
    seen = state;
  };
  return { node, update };
}

/** Days if there are any, else the shortest interval. */
const chooseInterval = (intervals) => (intervals.includes("1d") ? "1d" : intervals[0]);

const describeLook = ({ series, looked_at, up_to_date, too_short, missed, behind, last_bar }) =>
  JSON.stringify([series, looked_at, up_to_date, too_short, missed, behind, last_bar]);

/** The bars that were not detected yet, or else how the last day was by the filters. */
function drawLook(market, query) {
  const { series, looked_at: looked, up_to_date: current, too_short: short } = market;
  const missed = series - looked;
  if (missed === 0 && current === series) {
    if (!short) return el("p.muted", drawLastDay(market, query));
    const those = `${plural(short, "series", "series")} of ${count(series)}`;
    const said = `${those} ${short === 1 ? "has" : "have"} too few bars for a score.`;
    return el("p.muted", short < series && drawLastDay(market, query), " ", said);
  }
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
function drawLastDay({ code, last_bar: last }, query) {
  const node = el("span", "\u00a0");
  const date = day(last);
  const start = last.slice(0, 10);
  const { start: from, end, market: _, ...chosen } = query;
  const isFiltered = Object.values(chosen).some(Boolean);
  if ((end && end < start) || from > start) return node;
  get("/anomalies/summary", { ...chosen, market: code, start })
    .then(({ total }) =>
      fill(
        node,
        total === 0
          ? isFiltered
            ? `Nothing that passes the filters on ${date}.`
            : `A quiet day: nothing strange on ${date}.`
          : `${plural(total, "anomaly", "anomalies")} on ${date}.`,
      ),
    )
    .catch(() => {}); // the card says all else
  return node;
}

/** How many tickers are on watchlists, when they were last scanned, and when they will be next. */
function buildScans(market, { watchlists, enabled }) {
  const watching = watchlists.filter((one) => one.markets.includes(market) && one.enabled);
  if (watching.length === 0) return buildFigure("Watched", "none");
  const times = (name) =>
    watching
      .map((one) => one[name])
      .filter(Boolean)
      .sort();
  const last = times("last_scan");
  return [
    buildFigure("Watched", count(new Set(watching.flatMap((one) => one.tickers)).size)),
    buildFigure("Last scan", last.length ? buildAge(last.at(-1)) : "never"),
    buildFigure("Next scan", enabled ? buildFirst(times("next_scan")) : "off"),
  ];
}

const buildFirst = ([next]) => (next ? buildNext(next) : "soon");
const buildFigure = (name, value) => el("div", el("dt", name), el("dd.number", value));
