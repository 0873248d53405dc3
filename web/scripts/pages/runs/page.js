// Runs: the list with its filters, and one run in full.

import { get } from "../../lib/api.js";
import { el, fill } from "../../lib/dom.js";
import { duration, words } from "../../lib/format.js";
import { isOpen, repeat } from "../../lib/live.js";
import { addToUrl, go, linkTo } from "../../lib/router.js";
import { buildAge } from "../../parts/age.js";
import { buildFilters } from "../../parts/filters.js";
import { buildMore } from "../../parts/more.js";
import { buildProse } from "../../parts/prose.js";
import {
  buildProgress,
  buildStatus,
  describeInterval,
  describeOutcome,
  describeRun,
  VERBS,
} from "../../parts/run_progress.js";
import { buildSelect } from "../../parts/select.js";
import { buildEmpty, loadInto } from "../../parts/states.js";
import { buildTickerInput, readTicker } from "../../parts/suggestions.js";
import { buildTable } from "../../parts/table.js";
import { showRun } from "./run.js";

const LOOK_MILLISECONDS = 2000;
const PART = 50;
const FILTERS = {
  status: ["queued", "in_progress", "complete", "partial", "failed", "cancelled"],
  task: Object.keys(VERBS),
  trigger: ["backfill", "scheduler", "chart_request", "verification", "manual", "feed"],
};

const OWN = [...Object.keys(FILTERS), "ticker"];
const NONE = { market: null, watchlist: null };
const SPANS = [
  [0, "Today"],
  [6, "7 days"],
  [29, "30 days"],
];

export const title = (route) => (route.name ? "Run" : "Runs");

export function show(main, route, signal) {
  if (route.name) return showRun(main, route.name, signal);
  const own = Object.fromEntries(OWN.map((name) => [name, readOwn(name, route.query)]));
  const body = el("div");
  let listing = new AbortController();
  const list = () => {
    listing.abort();
    listing = new AbortController();
    const query = { ...own, ...shared.query() };
    return keepListed(body, query, AbortSignal.any([signal, listing.signal]));
  };
  const shared = buildFilters(route, list, signal, { latest: Date.now, spans: SPANS });
  const choose = (name, value) => {
    own[name] = value || null;
    addToUrl({ [name]: own[name] });
    list();
  };
  fill(
    main,
    el(
      "div.head",
      el("div", el("h1", "Runs"), el("p.lead", "What was asked for in the last 30 days.")),
      buildOwnFilters(own, choose),
    ),
    el("div.stack", shared.node, el("section.card", { "aria-label": "Runs" }, body)),
  );
  return list();
}

/** Any other value comes from an address that was cut off or written by hand. */
function readOwn(name, query) {
  const value = query.get(name);
  return name in FILTERS && !FILTERS[name].includes(value) ? null : value;
}

function buildOwnFilters(own, choose) {
  const ticker = buildTickerInput({ name: "ticker", value: own.ticker ?? "", size: 9 });
  ticker.addEventListener("change", () => choose("ticker", readTicker(ticker)));
  const write = (name, value) => (name === "task" ? VERBS[value] : words(value));
  const selects = Object.entries(FILTERS).map(([name, values]) =>
    buildSelect(
      `${name[0].toUpperCase()}${name.slice(1)}`,
      [["", "all"], ...values.map((value) => [value, write(name, value)])],
      own[name] ?? "",
      (value) => choose(name, value),
    ),
  );
  return el("div.row", selects, el("label.field", "Ticker", ticker));
}

async function keepListed(body, query, signal) {
  const load = () => get("/detection-runs", { ...query, limit: PART }, signal);
  const list = el("tbody");
  const rows = new Map();
  const update = ({ items, next_cursor: next }) => {
    for (const run of items) {
      if (!rows.has(run._id)) rows.set(run._id, { asked: run.requested_at, ...buildRow(run._id) });
      rows.get(run._id).update(run, signal);
    }
    // New runs push the last ones off the page that is loaded; these stay listed.
    const last = next && items.at(-1).requested_at;
    const pushed = [...rows.values()].filter(({ asked }) => last && asked < last);
    pushed.sort((a, b) => (a.asked > b.asked ? -1 : 1));
    for (const row of pushed) row.follow(signal); // no list contains the progress of these
    fill(
      list,
      [...items.map((run) => rows.get(run._id)), ...pushed].map(({ node }) => node),
    );
  };
  await loadInto(
    body,
    load,
    (page) => {
      if (page.items.length === 0) return drawEmpty(query);
      update(page);
      return [buildList(list), buildOlder(page.next_cursor, query, list, signal)];
    },
    signal,
    8,
  );
  const look = async () => {
    const page = await load();
    if (list.isConnected) update(page);
    else if (page.items.length) fill(body, (update(page), buildList(list)));
  };
  await repeat(LOOK_MILLISECONDS, look, signal);
}

function drawEmpty(query) {
  const isFiltered = Object.values(query).some(Boolean);
  return isFiltered
    ? buildEmpty(
        "No such runs",
        "No run of the last 30 days matches these filters.",
        el("a.button", { href: linkTo("runs", null, NONE) }, "Show all"),
      )
    : buildEmpty(
        "No runs yet",
        "Whatever is asked for becomes a run: bring bars in, then ask for a backfill on the " +
          "Overview.",
        el("a.button", { href: linkTo("data") }, "Bring bars in"),
        el("a.button", { href: linkTo("overview") }, "Overview"),
      );
}

function buildList(list) {
  return buildTable(
    "List of runs",
    ["Run", "Status", "Trigger", "Outcome", "Requested", ["Took", ".number"]],
    list,
    ".runs-table",
  );
}

function buildRow(id) {
  const node = el("tr.link", { on: { click: () => go("runs", id) } });
  const progress = buildProgress("Progress");
  const ask = (signal) => get(`/detection-runs/${id}`, {}, signal);
  let last = null;
  let shown = null;
  const update = async (run, signal) => {
    const state = JSON.stringify(run);
    if (state !== shown) show(run);
    [last, shown] = [run, state];
    if (isOpen(run)) progress.update(run.progress ? run : await ask(signal));
  };
  const follow = async (signal) => isOpen(last) && update(await ask(signal), signal);
  const show = (run) =>
    fill(
      node,
      el(
        "td.nowrap",
        el("a.run-name", { href: linkTo("runs", id) }, describeRun(run)),
        el("div.muted", [describeInterval(run), run.period].filter(Boolean).join(", ")),
      ),
      el("td", buildStatus(run)),
      el("td.trigger.muted.nowrap", words(run.trigger)),
      el("td.outcome", isOpen(run) ? progress.node : buildProse(describeOutcome(run))),
      el("td.muted.nowrap", buildAge(run.requested_at)),
      el("td.number.nowrap", duration(run.duration_seconds)),
    );
  return {
    node,
    update: (run, signal) => update(run, signal).catch(() => {}),
    follow: (signal) => follow(signal).catch(() => {}),
  };
}

/** Earlier runs, a page at each click; these rows do not change. */
function buildOlder(first, query, list, signal) {
  const load = (cursor) => get("/detection-runs", { ...query, limit: PART, cursor }, signal);
  const build = (run) => {
    const row = buildRow(run._id);
    row.update(run, signal);
    return row.node;
  };
  const add = (runs) => list.parentNode.append(el("tbody", runs.map(build)));
  return buildMore(first, load, add, signal);
}
