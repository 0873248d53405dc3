// The card of all tickers: last bar, watermark, anomalies by severity. Long lists are filtered and
// shown in parts.

import { el, fill } from "../../lib/dom.js";
import { barTime, count, plural } from "../../lib/format.js";
import { go, keepInUrl, linkTo } from "../../lib/router.js";
import { buildSeverityCounts } from "../../parts/severity.js";
import { buildTable } from "../../parts/table.js";

const PART = 50;
const FEW = 10;

/**
 * @param {{series}} known as it is whenever `update()` is called
 * @returns {{node: Node, update: () => void}}
 */
export function buildTickersCard(known, route) {
  const body = el("tbody");
  const more = el("div.more");
  const input = el("input", {
    type: "search",
    "aria-label": "Filter tickers",
    placeholder: "Filter",
    value: route.query.get("filter") ?? "",
    autocomplete: "off",
  });
  const counted = el("span.muted");
  const field = el("label.field", input);
  let shown = PART;
  const update = () => {
    const { series } = known;
    const wanted = input.value.trim().toUpperCase();
    const found = series.filter((one) => one.ticker.includes(wanted));
    fill(body, found.slice(0, shown).map(buildRow));
    if (found.length === 0)
      fill(body, el("tr", el("td.muted", { colspan: 6 }, `No ticker has "${wanted}" in it.`)));
    const show = () => {
      shown += 4 * PART;
      update();
    };
    fill(counted, plural(series.length, "series", "series"));
    field.hidden = series.length <= FEW && !wanted;
    fill(
      more,
      found.length > shown &&
        el(
          "button.button.small",
          { type: "button", on: { click: show } },
          `Show more of ${count(found.length)}`,
        ),
    );
  };
  input.addEventListener("input", () => {
    keepInUrl({ filter: input.value.trim() });
    shown = PART;
    update();
  });
  update();
  const names = [
    "Ticker",
    ["Market", ".wide-only"],
    ["Bars", ".number.wide-only"],
    ["Last bar", ".wide-only"],
    "Watermark",
    "Anomalies",
  ];
  const node = el(
    "section.card",
    { "aria-labelledby": "tickers-title" },
    el("header", el("div.row", el("h2", { id: "tickers-title" }, "Tickers"), counted), field),
    buildTable("List of tickers", names, body),
    more,
  );
  return { node, update };
}

function buildRow(one) {
  const state = { interval: one.interval };
  return el(
    "tr.link",
    { on: { click: () => go("ticker", one.ticker, state) } },
    el(
      "td.nowrap",
      el("a.ticker-name", { href: linkTo("ticker", one.ticker, state) }, one.ticker),
      " ",
      el("span.muted", one.interval),
    ),
    el("td.wide-only", one.market, one.synthetic && el("span.badge.warn", "synthetic")),
    el("td.number.wide-only", count(one.bars)),
    el("td.nowrap.wide-only", barTime(one.last_bar, one.interval)),
    el("td.nowrap", buildWatermark(one)),
    el("td", buildSeverityCounts(one.anomalies)),
  );
}

/** How far detection has come, against the last bar. */
export function buildWatermark(one) {
  if (!one.watermark) return el("span.badge", "not detected yet");
  if (one.watermark >= one.last_bar) return el("span.badge.ok", "up to date");
  return el("span.badge.warn", `behind, at ${barTime(one.watermark, one.interval)}`);
}
