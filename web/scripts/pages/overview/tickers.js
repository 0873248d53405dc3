// The card of all tickers: last bar, watermark, anomalies by severity, page by page.

import { get } from "../../lib/api.js";
import { el, fill } from "../../lib/dom.js";
import { barTime, count, plural } from "../../lib/format.js";
import { isStored } from "../../lib/markets.js";
import { pause } from "../../lib/live.js";
import { go, keepInUrl } from "../../lib/router.js";
import { buildPaging } from "../../parts/more.js";
import { buildSeverityCounts } from "../../parts/severity.js";
import { buildEmpty, buildSection } from "../../parts/states.js";
import { buildTable, linkTicker } from "../../parts/table.js";

const PAGE = 50;
const FEW = 10;
const TYPING_MILLISECONDS = 200;
const COLUMNS = [
  "Ticker",
  ["Market", ".wide-only"],
  ["Bars", ".number.wide-only"],
  ["Last bar", ".wide-only"],
  "Watermark",
  "All anomalies", // whatever filters say of severity, kind, scope and time
];

/**
 * @param {{markets}} known as it is whenever it is loaded
 * @returns {{node: Node, refresh, reload}}
 */
export function buildTickersCard(known, route, filters, signal) {
  const input = el("input", {
    type: "search",
    "aria-label": "Filter tickers",
    placeholder: "Filter",
    maxlength: 20,
    value: route.query.get("filter") ?? "",
    autocomplete: "off",
  });
  const counted = el("span.muted");
  const field = el("label.field", input);
  const wanted = () => input.value.trim().toUpperCase();
  const isNarrowed = () => {
    const { market, watchlist, ticker } = filters.values;
    return Boolean(market || watchlist || ticker || wanted());
  };
  const ask = (cursor) => {
    const { market, watchlist, ticker } = filters.values;
    const query = { market, watchlist, ticker, contains: wanted(), limit: PAGE, cursor };
    return get("/tickers", query, signal);
  };
  const draw = (page) => {
    const total = known.markets.filter(isStored).reduce((sum, one) => sum + one.series, 0);
    fill(counted, describeCount(page, total, isNarrowed()));
    field.hidden = total <= FEW && !wanted();
    if (page.items.length === 0)
      return buildEmpty(
        "No ticker is like that",
        wanted() ? `None has "${wanted()}" in its name.` : "Clear a filter to see others.",
      );
    return drawPage(page, paging);
  };
  const paging = buildPaging(ask, signal);
  const section = buildSection(paging.load, draw, signal, 8);
  const reload = () => {
    paging.restart();
    return section.reload();
  };
  let typing = new AbortController();
  input.addEventListener("input", async () => {
    keepInUrl({ filter: input.value.trim() });
    typing.abort();
    typing = new AbortController();
    const turn = typing.signal;
    await pause(TYPING_MILLISECONDS, AbortSignal.any([signal, turn]));
    if (!turn.aborted && !signal.aborted) reload();
  });
  section.show();
  const node = el(
    "section.card",
    { "aria-labelledby": "tickers-title" },
    el("header", el("div.row", el("h2", { id: "tickers-title" }, "Tickers"), counted), field),
    section.node,
  );
  return { node, refresh: section.refresh, reload };
}

/** The number of tickers; with a filter, the number that passes it if all of them are listed. */
function describeCount({ items, next_cursor: next }, total, isNarrowed) {
  const all = plural(total, "series", "series");
  if (!isNarrowed) return all;
  return next ? `some of ${all}` : `${count(items.length)} of ${all}`;
}

function drawPage({ items, next_cursor: next }, paging) {
  const body = el("tbody", items.map(buildRow));
  const add = (found) => body.append(...found.map(buildRow));
  return [buildTable("List of tickers", COLUMNS, body), paging.offer(next, add)];
}

function buildRow(one) {
  const state = { interval: one.interval };
  return el(
    "tr.link",
    { on: { click: () => go("ticker", one.ticker, state) } },
    el(
      "td.nowrap",
      linkTicker(one.ticker, state),
      " ",
      el("span.muted", one.interval),
    ),
    el("td.wide-only", one.market, one.synthetic && el("span.badge.warn", "synthetic")),
    el("td.number.wide-only", count(one.bars)),
    el("td.nowrap.wide-only", barTime(one.last_bar, one.interval, one.market)),
    el("td.nowrap", buildWatermark(one)),
    el("td", buildSeverityCounts(one.anomalies)),
  );
}

/** How far detection has come, relative to the last bar; bars without trades do not count. */
function buildWatermark(one) {
  const traded = one.bars - (one.coverage?.no_trade ?? 0);
  if (traded < one.bars_needed) {
    const said = `too few bars: ${count(traded)} of ${count(one.bars_needed)} needed`;
    return el("span.badge.warn", said);
  }
  if (!one.watermark) return el("span.badge", "not detected yet");
  if (one.watermark >= one.last_bar) return el("span.badge.ok", "up to date");
  return el("span.badge.warn", `behind, at ${barTime(one.watermark, one.interval, one.market)}`);
}
