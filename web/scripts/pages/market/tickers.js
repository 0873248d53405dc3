// The market's tickers as of their last bar, in the order of a heading that is clicked, page by
// page.

import { get } from "../../lib/api.js";
import { el } from "../../lib/dom.js";
import { barTime, change, figure, grade, price, words } from "../../lib/format.js";
import { go, keepInUrl } from "../../lib/router.js";
import { buildPaging } from "../../parts/more.js";
import { NAMES, buildRegime } from "../../parts/regimes.js";
import { buildSelect } from "../../parts/select.js";
import { buildSortHeads, markSorted } from "../../parts/sorting.js";
import { buildEmpty, buildSection } from "../../parts/states.js";
import { buildTable, linkTicker } from "../../parts/table.js";

const PAGE = 50;
const COLUMNS = [
  { label: "Ticker", by: "ticker" },
  { label: "Close", by: null, kind: ".number.wide-only" },
  { label: "1 bar", by: null, kind: ".number" },
  { label: "Volatility", by: "volatility", usual: "-volatility", kind: ".number" },
  { label: "Volume", by: "volume", usual: "-volume", kind: ".number.wide-only" },
  { label: "10 bars", by: "trend", usual: "-trend", kind: ".number.wide-only" },
  { label: "SMA20 to SMA50", by: null, kind: ".wide-only" },
  { label: "Regime", by: "regime" },
  { label: "Grade", by: "grade", usual: "-grade", kind: ".number" },
  { label: "As of", by: null, kind: ".wide-only" },
];

export function buildTickers(market, interval, route, signal) {
  const state = {
    sort_by: route.query.get("sort") ?? "ticker",
    sort_order: route.query.get("order") ?? "asc",
    regime: route.query.get("regime") ?? "",
    prefix: route.query.get("prefix") ?? "",
  };
  const ask = (cursor) =>
    get(
      "/analysis/market-overview",
      { market, interval, history: 0, limit: PAGE, cursor, ...state },
      signal,
    );
  const paging = buildPaging(ask, signal);
  const draw = (page) => drawPage(page, { state, interval, paging, show });
  const section = buildSection(paging.load, draw, signal, 6);
  const show = () => {
    keepInUrl({
      sort: state.sort_by,
      order: state.sort_order,
      regime: state.regime,
      prefix: state.prefix,
    });
    paging.restart();
    return section.show();
  };
  const input = el("input", {
    type: "search",
    "aria-label": "Tickers that begin with",
    placeholder: "Begins with",
    value: state.prefix,
    maxlength: 20,
    autocomplete: "off",
  });
  input.addEventListener("input", () => {
    state.prefix = input.value.trim();
    show();
  });
  const choices = [["", "any regime"], ...NAMES.map((name) => [name, words(name)])];
  const choose = (regime) => {
    state.regime = regime;
    show();
  };
  show();
  return el(
    "section.card",
    { "aria-label": "Tickers of the market" },
    el(
      "header",
      el("h2", "Tickers"),
      el("div.row", buildSelect("Regime", choices, state.regime, choose), el("label.field", input)),
    ),
    section.node,
  );
}

function drawPage({ items, next_cursor: next }, { state, interval, paging, show }) {
  if (items.length === 0) {
    const filtered = state.regime || state.prefix;
    return buildEmpty(
      filtered ? "No ticker is like that" : "Nothing was computed yet",
      filtered ? "Change the filter to see others." : "Its tickers are here once it has metrics.",
    );
  }
  const build = (item) => buildRow(item, interval);
  const body = el("tbody", items.map(build));
  const add = (found) => body.append(...found.map(build));
  const order = (state.sort_order === "asc" ? "" : "-") + state.sort_by;
  const choose = (chosen) => {
    state.sort_by = chosen.replace("-", "");
    state.sort_order = chosen.startsWith("-") ? "desc" : "asc";
    show();
  };
  const heads = buildSortHeads(COLUMNS, order, choose);
  const columns = COLUMNS.map(({ kind = "" }, n) => [heads[n], kind]);
  const table = buildTable("List of the market's tickers", columns, body);
  markSorted(table, COLUMNS, order);
  return [table, paging.offer(next, add)];
}

function buildRow(item, interval) {
  const state = { interval };
  return el(
    "tr.link",
    { on: { click: () => go("ticker", item.ticker, state) } },
    el(
      "td.nowrap",
      linkTicker(item.ticker, state),
      item.stale &&
        el(
          "span.badge.warn",
          { title: `its last bar is ${barTime(item.as_of, interval)}` },
          "stale",
        ),
    ),
    el("td.number.wide-only", price(item.close)),
    el("td.number.nowrap", change(item.return_1)),
    el(
      "td.number.nowrap",
      item.annualized_volatility === null
        ? "–"
        : `${Math.round(100 * item.annualized_volatility)} %`,
    ),
    el(
      "td.number.wide-only",
      item.volume_spike_ratio === null ? "–" : `${figure(item.volume_spike_ratio)} ×`,
    ),
    el(
      "td.number.nowrap.wide-only",
      item.rate_of_change === null ? "–" : change(item.rate_of_change / 100),
    ),
    el(
      "td.wide-only",
      item.crossover ? `${item.crossover}${item.crossed ? ", crossed" : ""}` : "–",
    ),
    el("td", buildRegime(item.regime)),
    el("td.number", grade(item.anomaly_grade)),
    el("td.nowrap.muted.wide-only", barTime(item.as_of, interval)),
  );
}
