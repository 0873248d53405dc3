// The bar of filters in the header of a page: the same on every page, with those that the page can
// apply.

import { now } from "../lib/clock.js";
import { el, fill } from "../lib/dom.js";
import { day } from "../lib/format.js";
import { APPLIED, isReversed, readFilters, toQuery } from "../lib/filters.js";
import { getMarkets } from "../lib/markets.js";
import { getAll } from "../lib/pages.js";
import { addToUrl, linkHere } from "../lib/router.js";
import { buildMenu } from "./menu.js";
import { SEVERITIES } from "./severity.js";

const DAY = 86_400_000;
const SPANS = [
  [31, "1 month"],
  [365, "1 year"],
  [1826, "5 years"],
];
const pair = (values) => values.map((value) => [value, value]);
const CHOICES = {
  market: { label: "Market", any: "Every market", options: [] },
  watchlist: { label: "Watchlist", any: "Every ticker", options: [] },
  severity: { label: "Severity", any: "Every severity", options: pair(SEVERITIES) },
  kind: {
    label: "Kind",
    any: "Events and faults",
    options: [
      ["event", "Events"],
      ["fault", "Faults"],
    ],
  },
  scope: {
    label: "Whose move",
    any: "Whoever's move",
    options: [
      ["market", "The market's"],
      ["sector", "The sector's"],
      ["own", "Its own"],
      ["mixed", "Mixed"],
      ["quiet", "Quiet"],
    ],
  },
};

/**
 * @param {object} route whose page says which filters there are
 * @param {() => void} changed called when another choice was made; the URL has it already
 * @param {{latest?: () => number|null, spans?: Array}} options `latest` returns the time of the
 * last bar, from which spans are counted back; by default the last of all markets
 * @returns {{node: Node, values: object, query: () => object, choose: (changes: object) => void,
 * link: (changes: object) => object}} `values` are always those chosen last; `link` returns the
 * attributes of a link that makes a choice
 */
export function buildFilters(route, changed, signal, { latest = null, spans = SPANS } = {}) {
  const names = APPLIED[route.page];
  const values = readFilters(route);
  const bar = el("div.filter-bar", { role: "group", "aria-label": "Filters" });
  const node = el("div.filters", bar);
  const known = { market: [], watchlist: [], latest: null };

  const choose = (changes) => {
    if (Object.entries(changes).every(([name, value]) => values[name] === value)) return;
    Object.assign(values, changes);
    addToUrl(changes);
    draw();
    window.dispatchEvent(new Event("filterschange"));
    changed();
  };
  const link = (changes) => ({
    href: linkHere(changes),
    on: {
      click: (event) => {
        if (event.ctrlKey || event.metaKey || event.shiftKey) return;
        event.preventDefault();
        choose(changes);
      },
    },
  });
  const time = names.includes("start")
    ? buildTime(values, choose, { latest: () => latest?.() ?? known.latest, spans }, signal)
    : null;
  const selects = new Map(
    names
      .filter((name) => name in CHOICES)
      .map((name) => [name, buildSelect(name, (value) => choose({ [name]: value }))]),
  );
  const rest = el("span.chosen");
  const toggle = el("button.button.small.toggle", { type: "button", "aria-expanded": "false" });
  toggle.addEventListener("click", () => {
    const isOpen = node.classList.toggle("open");
    toggle.setAttribute("aria-expanded", String(isOpen));
  });
  const draw = () => {
    time?.update();
    for (const [name, select] of selects)
      select.update(values[name], known[name] ?? CHOICES[name].options);
    toggle.hidden = !time && [...selects.values()].every((select) => select.node.hidden);
    const chosen = names.filter((name) => values[name]);
    toggle.textContent = chosen.length ? `Filters (${chosen.length})` : "Filters";
    fill(
      rest,
      values.ticker && buildChip(values.ticker, () => choose({ ticker: null })),
      chosen.length > 0 &&
        buildButton("Clear filters", () =>
          choose(Object.fromEntries(chosen.map((name) => [name, null]))),
        ),
    );
  };
  node.prepend(toggle);
  bar.append(
    ...[time?.node, ...[...selects.values()].map((one) => one.node)].filter(Boolean),
    rest,
  );
  draw();
  learn(names, known).then(() => signal.aborted || draw());
  return { node, values, query: () => toQuery(values), choose, link };
}

/** The choices that only the API knows. Without them the bar offers what the URL has. */
async function learn(names, known) {
  const markets = await getMarkets().catch(() => []);
  const stored = markets.filter((market) => market.series > 0);
  known.market = stored.map(({ code, name }) => [code, name || code]);
  known.latest = Math.max(...stored.map((market) => Date.parse(market.last_bar))) || null;
  if (!names.includes("watchlist")) return;
  const watchlists = await getAll("/watchlists", {}).catch(() => []);
  known.watchlist = pair(watchlists.map(({ name }) => name));
}

/** A choice that is hidden if there is nothing to choose between. */
function buildSelect(name, choose) {
  const { label, any } = CHOICES[name];
  const node = el("select", { "aria-label": label, name });
  node.addEventListener("change", () => choose(node.value || null));
  const update = (value, options) => {
    const isKnown = value === null || options.some(([option]) => option === value);
    const shown = isKnown ? options : [[value, value], ...options];
    node.hidden = shown.length < (name === "watchlist" ? 1 : 2) && value === null;
    node.dataset.chosen = String(value !== null);
    if (document.activeElement === node && node.value === (value ?? "")) return;
    fill(
      node,
      [["", any], ...shown].map(([option, text]) => el("option", { value: option }, text)),
    );
    node.value = value ?? "";
  };
  return { node, update };
}

/** The range of time: spans back from the last bar, or any two days. */
function buildTime(values, choose, { latest, spans }, signal) {
  const dates = ["start", "end"].map((name) => {
    const input = el("input", { type: "date", name, max: "9999-12-31" });
    input.addEventListener("change", () => {
      if (!input.validity.valid) return;
      const changes = { [name]: input.value || null };
      const other = name === "start" ? "end" : "start";
      // If the two days contradict each other, the one that was chosen last counts.
      choose(isReversed({ ...values, ...changes }) ? { ...changes, [other]: null } : changes);
    });
    return [name, input];
  });
  const span = (days, label) =>
    buildButton(label, () => {
      menu.close();
      const start = days === null ? null : writeDay((latest() ?? now()) - days * DAY);
      choose({ start, end: null });
    });
  const menu = buildMenu(
    "",
    [
      el(
        "div.row",
        spans.map(([days, label]) => span(days, label)),
        span(null, "All time"),
      ),
      el(
        "div.row.dates",
        dates.map(([name, input]) => el("label.field", name === "start" ? "From" : "To", input)),
      ),
    ],
    signal,
  );
  menu.node.classList.add("time");
  const update = () => {
    menu.label.textContent = describeTime(values);
    menu.node.dataset.chosen = String(Boolean(values.start || values.end));
    for (const [name, input] of dates) {
      if (document.activeElement !== input) input.value = values[name] ?? "";
    }
  };
  return { node: menu.node, update };
}

function describeTime({ start, end }) {
  if (start && start === end) return day(start);
  if (start && end) return `${day(start)} – ${day(end)}`;
  if (start) return `Since ${day(start)}`;
  return end ? `Until ${day(end)}` : "All time";
}

export const writeDay = (time) => new Date(time).toISOString().slice(0, 10);

const buildButton = (label, click) =>
  el("button.button.small", { type: "button", on: { click } }, label);

function buildChip(ticker, remove) {
  return el(
    "button.chip",
    { type: "button", "aria-label": `${ticker} only: show all tickers`, on: { click: remove } },
    ticker,
    el("span", { "aria-hidden": "true" }, " ×"),
  );
}
