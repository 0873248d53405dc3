// One day across a market: how many of its tickers were flagged, of which sectors, and which.

import { get } from "../../lib/api.js";
import { el, fill } from "../../lib/dom.js";
import { readFilters } from "../../lib/filters.js";
import { change, day as writeDate, figure, isDay, words } from "../../lib/format.js";
import { INTERVALS } from "../../lib/intervals.js";
import { getMarkets, isStored } from "../../lib/markets.js";
import { keepInUrl, linkTo } from "../../lib/router.js";
import { LISTED_FIELDS, buildAnomalyList } from "../../parts/anomaly_list.js";
import { buildFacts } from "../../parts/facts.js";
import { buildFilters } from "../../parts/filters.js";
import { buildMore } from "../../parts/more.js";
import { buildNoBars } from "../../parts/no_bars.js";
import { buildSelect } from "../../parts/select.js";
import { buildEmpty, buildSection, loadInto } from "../../parts/states.js";

const PAGE = 100;
const NAMED = 12;

export const title = (route) => (isDay(route.name) ? writeDate(route.name) : "A day");

export function show(main, route, signal) {
  if (!isDay(route.name)) {
    fill(
      main,
      el("h1.hidden-text", "A day"),
      buildEmpty(
        "Which day?",
        "This address names none; a day is written year-month-day.",
        el("a.button", { href: linkTo("anomalies") }, "Anomalies"),
      ),
    );
    return null;
  }
  const load = async () => (await getMarkets()).filter(isStored);
  return loadInto(main, load, (markets) => draw(markets, route, signal), signal, 10);
}

function draw(markets, route, signal) {
  const date = route.name;
  const asked = readFilters(route).market;
  const codes = markets.map(({ code }) => code);
  if (codes.length === 0 || (asked && !codes.includes(asked)))
    return [
      el("div.head", el("h1", writeDate(date))),
      el("div.card", buildNoBars(asked, codes, "Once a market has bars, its days are here.")),
    ];
  let interval = route.query.get("interval") ?? "1d";
  const market = () =>
    markets.find(({ code }) => code === filters.values.market) ??
    markets.find(({ code }) => code === "US") ??
    markets[0];
  const query = () => ({ ...filters.query(), market: null, interval });
  const load = () => get(`/markets/${market().code}/days/${date}`, query(), signal);
  const ask = (cursor) =>
    get(
      "/anomalies",
      {
        ...query(),
        market: market().code,
        start: date,
        end: `${date}T23:59:59.999Z`,
        sort: "-grade",
        limit: PAGE,
        cursor,
        fields: LISTED_FIELDS,
      },
      signal,
    );
  const head = el("div");
  const state = buildSection(load, (found) => drawState(found, head, market()), signal, 4);
  const list = buildSection(
    () => ask(null),
    (page) => drawList(page, ask, signal),
    signal,
    8,
  );
  const changed = () => {
    state.reload();
    list.reload();
  };
  const filters = buildFilters(route, changed, signal);
  fill(head, el("h1", writeDate(date)), el("p.lead", `Across ${market().name || market().code}`));
  state.show();
  list.show();
  const intervals = INTERVALS.filter((one) => markets.some((each) => each.intervals.includes(one)));
  const choose = (chosen) => {
    interval = chosen;
    keepInUrl({ interval: chosen });
    changed();
  };
  return [
    el(
      "div.head",
      head,
      intervals.length > 1 &&
        buildSelect(
          "Interval",
          intervals.map((one) => [one, one]),
          interval,
          choose,
        ),
    ),
    el(
      "div.stack",
      filters.node,
      el("section.card", { "aria-label": "The market on this day" }, state.node),
      el(
        "section.card",
        { "aria-label": "Flagged tickers" },
        el("header", el("h2", "Flagged tickers"), el("span.muted", "strangest first")),
        list.node,
      ),
    ),
  ];
}

function drawState(found, head, market) {
  const name = market.name || market.code;
  const link = (to, label) =>
    to && el("a.button.small", { href: linkTo("day", to, { interval: found.interval }) }, label);
  fill(
    head,
    el("h1", `${found.flagged} of ${found.of} flagged`),
    el("p.lead", `${writeDate(found.day)}, ${name}`),
  );
  return el(
    "div.market-body.stack",
    el(
      "div.row",
      link(found.previous, `← ${found.previous && writeDate(found.previous)}`),
      link(found.next, `${found.next && writeDate(found.next)} →`),
      el("span.muted", "the nearest days with any"),
    ),
    found.of === 0
      ? buildEmpty("No bars", `No ${found.interval} bars of ${name} reach over this day.`)
      : drawSectors(found.by_sector),
    found.conditions && drawConditions(found.conditions),
  );
}

/** How many tickers of each sector were flagged, as bars of its share. */
function drawSectors(sectors) {
  return el(
    "ul.sectors",
    sectors.map(({ sector, flagged, of, tickers }) =>
      el(
        "li",
        el("span.name", sector ?? "No sector said"),
        el(
          "span.track",
          { "aria-hidden": "true" },
          el("i", { vars: { "--share": of ? flagged / of : 0 } }),
        ),
        el("span.number.of", `${flagged} of ${of}`),
        el("span.muted.who", listNames(tickers, flagged)),
      ),
    ),
  );
}

const listNames = (tickers, flagged) =>
  tickers.slice(0, NAMED).join(", ") + (flagged > NAMED ? ` and ${flagged - NAMED} more` : "");

function drawConditions({ return: move, z, words: said, regimes }) {
  const regime = Object.entries(regimes).sort(([, a], [, b]) => b - a)[0]?.[0];
  return el(
    "div.stack.tight",
    buildFacts({
      "The market's return": move === null ? null : `${change(Math.expm1(move))}, median`,
      "Its z-score": z === null ? null : figure(z),
      "Most are in": regime && words(regime),
    }),
    said.length > 0 &&
      el(
        "ul.reasons",
        said.map((one) => el("li", one)),
      ),
  );
}

function drawList({ items, next_cursor: first }, ask, signal) {
  if (items.length === 0)
    return buildEmpty("Nobody was flagged", "No anomaly of this day passes the filters.");
  const node = el("div", buildAnomalyList(items));
  const add = (found) => node.append(buildAnomalyList(found));
  return [node, buildMore(first, ask, add, signal)];
}
