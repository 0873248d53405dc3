// The market's tickers as of their last bar, in the order of a heading that is clicked, page by
// page.

import { get } from "../../lib/api.js";
import { el, fill } from "../../lib/dom.js";
import { barTime, change, figure, grade, price, words } from "../../lib/format.js";
import { go, keepInUrl, linkTo } from "../../lib/router.js";
import { NAMES, buildRegime } from "../../parts/regimes.js";
import { buildSelect } from "../../parts/select.js";
import { buildEmpty, loadInto } from "../../parts/states.js";
import { buildTable } from "../../parts/table.js";
import { attempt } from "../../parts/toasts.js";

const PAGE = 50;
// heading, what it sorts by, classes of its cells
const COLUMNS = [
  ["Ticker", "ticker", ""],
  ["Close", null, ".number.wide-only"],
  ["1 bar", null, ".number"],
  ["Volatility", "volatility", ".number"],
  ["Volume", "volume", ".number.wide-only"],
  ["10 bars", "trend", ".number.wide-only"],
  ["Means", null, ".wide-only"],
  ["Regime", "regime", ""],
  ["Grade", "grade", ".number"],
  ["As of", null, ".wide-only"],
];
const DESCENDING_FIRST = new Set(["volatility", "volume", "trend", "grade"]);

export function buildTickers(market, interval, route, signal) {
  const node = el("div");
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
  let turn = 0;
  const show = () => {
    const mine = ++turn;
    keepInUrl({
      sort: state.sort_by,
      order: state.sort_order,
      regime: state.regime,
      prefix: state.prefix,
    });
    const load = async () => {
      const page = await ask(null);
      if (mine !== turn)
        throw new DOMException("another order was asked for meanwhile", "AbortError");
      return page;
    };
    return loadInto(
      node,
      load,
      (page) => drawPage(page, { state, interval, ask, show, signal }),
      signal,
      6,
    );
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
    node,
  );
}

function drawPage({ items, next_cursor: first }, { state, interval, ask, show, signal }) {
  if (items.length === 0) {
    const filtered = state.regime || state.prefix;
    return buildEmpty(
      filtered ? "No ticker is like that" : "Nothing was computed yet",
      filtered ? "Change the filter to see others." : "",
    );
  }
  const build = (item) => buildRow(item, interval);
  const body = el("tbody", items.map(build));
  const more = el("div.more");
  const offer = (cursor) => fill(more, cursor && buildMore(cursor));
  const buildMore = (cursor) => {
    const button = el("button.button.small", { type: "button" }, "Show more");
    button.addEventListener("click", async () => {
      const page = await attempt(button, () => ask(cursor));
      if (!page || signal.aborted) return;
      body.append(...page.items.map(build));
      offer(page.next_cursor);
    });
    return button;
  };
  offer(first);
  const heads = COLUMNS.map(([label, by, kind]) => [
    by ? buildSort(label, by, state, show) : label,
    kind,
  ]);
  const table = buildTable("List of the market's tickers", heads, body);
  COLUMNS.forEach(([, by], n) => {
    if (by === state.sort_by) {
      table
        .querySelectorAll("th")
        [n].setAttribute("aria-sort", state.sort_order === "asc" ? "ascending" : "descending");
    }
  });
  return [table, more];
}

/** A heading that sorts: by its usual order first, the other way at the next click. */
function buildSort(label, by, state, show) {
  const sort = () => {
    const usual = DESCENDING_FIRST.has(by) ? "desc" : "asc";
    const other = state.sort_order === "asc" ? "desc" : "asc";
    state.sort_order = state.sort_by === by ? other : usual;
    state.sort_by = by;
    show();
  };
  const arrow =
    state.sort_by === by &&
    el("span", { "aria-hidden": "true" }, state.sort_order === "asc" ? " ↑" : " ↓");
  return el("button.sort", { type: "button", on: { click: sort } }, label, arrow);
}

function buildRow(item, interval) {
  const state = { interval };
  return el(
    "tr.link",
    { on: { click: () => go("ticker", item.ticker, state) } },
    el(
      "td.nowrap",
      el("a.ticker-name", { href: linkTo("ticker", item.ticker, state) }, item.ticker),
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
    el("td.nowrap", buildRegime(item.regime)),
    el("td.number", grade(item.anomaly_grade)),
    el("td.nowrap.muted.wide-only", barTime(item.as_of, interval)),
  );
}
