// One market at a glance: breadth, regimes over time, its tickers sorted by anything, and how they
// move together.

import { get } from "../../lib/api.js";
import { el } from "../../lib/dom.js";
import { barTime, change, count, figure, plural } from "../../lib/format.js";
import { INTERVALS } from "../../lib/intervals.js";
import { repeat } from "../../lib/live.js";
import { isStored, loadMarkets } from "../../lib/markets.js";
import { go, linkTo, readRoute } from "../../lib/router.js";
import { setExchange } from "../../lib/zone.js";
import { buildAge } from "../../parts/age.js";
import { buildChoice } from "../../parts/choice.js";
import { buildCompute } from "../../parts/compute.js";
import { buildFilters } from "../../parts/filters.js";
import { buildFirstLook } from "../../parts/first_look.js";
import { buildNoBars } from "../../parts/no_bars.js";
import { buildRegimeKey, buildRibbon } from "../../parts/regimes.js";
import { buildCurrent, buildEmpty, buildSection } from "../../parts/states.js";
import { buildCorrelations } from "./correlations.js";
import { buildTickers } from "./tickers.js";

const LOOK_MILLISECONDS = 15_000;
const HISTORY_BARS = 250;
const MOST_COMPUTED = 20_000; // at most so many bars whose metrics a click requests

export const title = (route) =>
  `Market ${(route.query.get("market") ?? route.name ?? "US").toUpperCase()}`;

export function show(main, route, signal) {
  // The market may be in the path of the address.
  if (route.name) {
    const query = { market: route.name, ...Object.fromEntries(route.query) };
    history.replaceState(null, "", linkTo("market", null, query));
  }
  const load = async (both) => (await loadMarkets(both)).filter(isStored);
  const drawPage = (markets, again, both) => draw(markets, readRoute(), again, both);
  return buildCurrent(main, load, drawPage, signal)();
}

function draw(markets, route, again, signal) {
  const codes = markets.map(({ code }) => code);
  const filters = buildFilters(route, again, signal);
  const market = filters.values.market ?? (codes.includes("US") ? "US" : codes[0]);
  const held = markets.find(({ code }) => code === market);
  setExchange(held?.timezone ?? null);
  const intervals = INTERVALS.filter((interval) => held?.intervals.includes(interval));
  if (intervals.length === 0) {
    return [
      el("div.head", el("h1", market ? `Market ${market}` : "Market")),
      el("div.card", buildNoBars(market, codes, "Once a market has bars, it is here.")),
    ];
  }
  const asked = route.query.get("interval");
  const interval = intervals.includes(asked)
    ? asked
    : intervals.includes("1d")
      ? "1d"
      : intervals[0];
  // For a small market enough bars to show its regimes over time, for a large one only the last.
  const bars = Math.min(HISTORY_BARS, Math.max(1, Math.floor(MOST_COMPUTED / held.tickers)));
  const compute = () => buildCompute({ market }, { interval, bars }, again, signal);
  const state = buildSection(
    () =>
      get(
        "/analysis/market-overview",
        { market, interval, limit: 1, history: HISTORY_BARS },
        signal,
      ),
    (data) => drawState(data, interval, compute),
    signal,
    3,
  );
  state.show();
  repeat(LOOK_MILLISECONDS, state.refresh, signal);
  return [
    el(
      "div.head",
      el(
        "div",
        el("h1", `Market ${market}`),
        el("p.lead", "What all of it does: which way, how calmly, and what moves with what."),
      ),
      el(
        "div.row",
        intervals.length > 1 &&
          buildChoice(
            "Interval",
            intervals.map((one) => [one, one]),
            interval,
            (one) => go("market", null, { market, interval: one }),
          ).node,
        buildFirstLook(market, interval),
      ),
    ),
    el(
      "div.stack",
      filters.node,
      drawUnlooked(held, interval),
      el("section.card", { "aria-label": "State of the market" }, state.node),
      buildTickers(market, interval, route, signal),
      buildCorrelations(market, interval, signal),
    ),
  ];
}

/**
 * Bars that were never detected: that they have no anomalies does not mean that the market is
 * quiet.
 */
function drawUnlooked({ series, looked_at: looked, missed, intervals }, interval) {
  if (!missed.includes(interval)) return null;
  const which =
    looked === 0
      ? "Nothing of this market was looked at yet"
      : intervals.length > 1
        ? `Not all series of ${interval} bars were looked at yet`
        : `${plural(series - looked, "series", "series")} of ${count(series)} not looked at yet`;
  return el("p.notice.warn", `${which}: that no anomaly is known does not mean a quiet market.`);
}

function drawState({ market }, interval, compute) {
  const [latest] = market.bars;
  if (!latest) {
    return buildEmpty(
      "Nothing was computed yet",
      "Metrics are computed by themselves once in a while, or now.",
      compute(),
    );
  }
  const known = market.bars.filter(({ regimes }) => Object.keys(regimes).length > 0).reverse();
  const { advance_decline: difference, above_sma_50: above } = latest.breadth;
  return el(
    "div.market-body.stack",
    el(
      "dl.figures",
      buildFigure(
        "Return, median",
        change(latest.return === null ? null : Math.expm1(latest.return)),
      ),
      buildFigure("Return, z-score", figure(latest.z)),
      buildFigure("Advancers − decliners", change(difference)),
      buildFigure("Above SMA50", above === null ? "–" : `${Math.round(100 * above)} %`),
      buildFigure("Tickers counted", count(latest.tickers)),
      buildFigure("As of", barTime(latest.time, interval)),
      // A correction that came later is not in it yet.
      buildFigure("Computed", buildAge(latest.computed_at)),
    ),
    difference === null &&
      el("p.muted", "Breadth needs at least ten tickers with a return on the bar."),
    known.length > 1
      ? el(
          "div.stack.tight",
          el("h2", "Regimes over time"),
          buildRibbon(known, interval),
          el(
            "p.ribbon-ends.muted",
            el("span", barTime(known[0].time, interval)),
            el("span", barTime(known.at(-1).time, interval)),
          ),
        )
      : el(
          "div.row",
          el("p.muted", "Regimes over time are drawn once several bars were computed."),
          compute(),
        ),
    buildRegimeKey(),
  );
}

const buildFigure = (name, value) => el("div", el("dt", name), el("dd.number", value));
