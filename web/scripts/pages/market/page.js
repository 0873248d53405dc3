// One market at a glance: breadth, regimes over time, its tickers sorted by anything, and how they
// move together.

import { get } from "../../lib/api.js";
import { el } from "../../lib/dom.js";
import { barTime, change, count, figure, plural } from "../../lib/format.js";
import { INTERVALS } from "../../lib/intervals.js";
import { repeat } from "../../lib/live.js";
import { findMarket } from "../../lib/markets.js";
import { go } from "../../lib/router.js";
import { loadSeries } from "../../lib/series.js";
import { setExchange } from "../../lib/zone.js";
import { buildChoice } from "../../parts/choice.js";
import { buildFirstLook } from "../../parts/first_look.js";
import { buildRegimeKey, buildRibbon } from "../../parts/regimes.js";
import { buildEmpty, buildSection, loadInto } from "../../parts/states.js";
import { buildCorrelations } from "./correlations.js";
import { buildTickers } from "./tickers.js";

const LOOK_MILLISECONDS = 15_000;
const HISTORY_BARS = 250;

export const title = (route) => `Market ${route.name ?? "US"}`;

export function show(main, route, signal) {
  const load = async () => {
    const series = await loadSeries(signal);
    setExchange((await findMarket(chooseMarket(series, route)))?.timezone ?? null);
    return series;
  };
  return loadInto(main, load, (series) => draw(series, route, signal), signal, 8);
}

function chooseMarket(series, route) {
  const markets = new Set(series.map((one) => one.market));
  return route.name ?? (markets.has("US") ? "US" : [...markets].sort()[0]);
}

function draw(series, route, signal) {
  const markets = [...new Set(series.map((one) => one.market))].sort();
  const market = chooseMarket(series, route);
  const intervals = listIntervals(series, market);
  if (intervals.length === 0) {
    return [
      el("h1", "Market"),
      el(
        "div.card",
        buildEmpty(
          "No bars yet",
          "Once a market has bars, it is here: `flask bars demo` brings some.",
        ),
      ),
    ];
  }
  const asked = route.query.get("interval");
  const interval = intervals.includes(asked)
    ? asked
    : intervals.includes("1d")
      ? "1d"
      : intervals[0];
  const state = buildSection(
    () =>
      get(
        "/analysis/market-overview",
        { market, interval, limit: 1, history: HISTORY_BARS },
        signal,
      ),
    (data) => drawState(data, interval),
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
        markets.length > 1 &&
          buildChoice(
            "Market",
            markets.map((one) => [one, one]),
            market,
            (one) => go("market", one),
          ).node,
        intervals.length > 1 &&
          buildChoice(
            "Interval",
            intervals.map((one) => [one, one]),
            interval,
            (one) => go("market", market, { interval: one }),
          ).node,
        buildFirstLook(market, interval),
      ),
    ),
    el(
      "div.stack",
      drawUnlooked(series.filter((one) => one.market === market && one.interval === interval)),
      el("section.card", { "aria-label": "State of the market" }, state.node),
      buildTickers(market, interval, route, signal),
      buildCorrelations(market, interval, signal),
    ),
  ];
}

/** That nothing strange is known of a series is no sign of a quiet one where nobody looked. */
function drawUnlooked(series) {
  const missed = series.filter((one) => one.watermark === null).length;
  if (missed === 0) return null;
  const which =
    missed === series.length
      ? "Nothing of this market was looked at yet"
      : `${plural(missed, "series", "series")} of ${count(series.length)} not looked at yet`;
  return el("p.notice.warn", `${which}: that no anomaly is known does not mean a quiet market.`);
}

const listIntervals = (series, market) =>
  INTERVALS.filter((interval) =>
    series.some((one) => one.market === market && one.interval === interval),
  );

function drawState({ market }, interval) {
  const [latest] = market.bars;
  if (!latest) {
    return buildEmpty(
      "Nothing was computed yet",
      "Metrics are computed by themselves once in a while; `flask analytics run --market US` " +
        "does it now.",
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
      buildFigure("Its z", figure(latest.z)),
      buildFigure("Advance − decline", figure(difference)),
      buildFigure("Above SMA50", above === null ? "–" : `${Math.round(100 * above)} %`),
      buildFigure("Tickers", count(latest.tickers)),
      buildFigure("As of", barTime(latest.time, interval)),
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
      : el("p.muted", "Regimes over time are drawn once several bars were computed."),
    buildRegimeKey(),
  );
}

const buildFigure = (name, value) => el("div", el("dt", name), el("dd.number", value));
