// One watchlist as a card: its tickers, its schedule, and its actions.

import { post, put, remove } from "../../lib/api.js";
import { now } from "../../lib/clock.js";
import { el, fill } from "../../lib/dom.js";
import { count, nameSome, plural } from "../../lib/format.js";
import { newIdentifier } from "../../lib/identifier.js";
import { isOpen, pollRun } from "../../lib/live.js";
import { linkTo } from "../../lib/router.js";
import { buildAge, buildNext } from "../../parts/age.js";
import { buildFacts } from "../../parts/facts.js";
import { buildProse } from "../../parts/prose.js";
import { buildProgress, buildStatus, describeOutcome } from "../../parts/run_progress.js";
import { buildBackfill } from "../../parts/first_look.js";
import { confirm } from "../../parts/confirmation.js";
import { linkTicker } from "../../parts/table.js";
import { attempt, say } from "../../parts/toasts.js";
import { buildSuggestion } from "./suggestion.js";

const LISTED = 24;
// a scan that was requested this recently may still be running
const RECENT_MILLISECONDS = 60_000;

/** @returns {{node: Node, update: (watchlist: object) => void}}; `update` shows what the
 * scheduler did meanwhile */
export function buildWatchlist(watchlist, { scansOn, edit, refresh, signal }) {
  const strip = buildStrip(watchlist, signal);
  const facts = el("div");
  let seen = null;
  let shown = null;
  const update = (latest) => {
    const state = JSON.stringify(latest);
    if (state !== shown) fill(facts, drawFacts(latest, scansOn));
    shown = state;
    const isNew =
      latest.last_run_id !== seen && now() - Date.parse(latest.last_scan) < RECENT_MILLISECONDS;
    seen = latest.last_run_id;
    if (isNew) strip.follow(seen).catch((error) => say(error.message, "bad"));
  };
  update(watchlist);
  const node = el(
    "article.card",
    { "aria-label": `Watchlist ${watchlist.name}` },
    el(
      "header",
      el(
        "div.row",
        el("h2", watchlist.name),
        watchlist.markets.map((market) => el("span.badge", market)),
        el("span.badge", watchlist.interval),
      ),
      buildSwitch(watchlist, refresh),
    ),
    el(
      "div.body.stack",
      el(
        "ul.chips",
        watchlist.tickers
          .slice(0, LISTED)
          .map((ticker) => el("li", linkTicker(ticker, { interval: watchlist.interval }))),
        watchlist.tickers.length > LISTED &&
          el("li.muted", `and ${count(watchlist.tickers.length - LISTED)} more`),
      ),
      watchlist.without_bars?.length > 0 &&
        el(
          "p.notice.warn",
          `No ${watchlist.interval} bars are stored of ${nameSome(watchlist.without_bars)}.`,
        ),
      facts,
      strip.node,
      el(
        "div.row",
        buildScan(watchlist, strip),
        buildBackfill(watchlist.interval, { watchlist: watchlist.name }, ".small"),
        el(
          "button.button.small",
          { type: "button", data: { needs: "enqueue" }, on: { click: () => edit(watchlist) } },
          "Edit",
        ),
        buildSuggestion(watchlist, refresh),
        buildRemove(watchlist, refresh),
      ),
    ),
  );
  return { node, update };
}

function drawFacts(watchlist, scansOn) {
  const { last_scan: last, next_scan: next, last_run_id: run } = watchlist;
  return buildFacts({
    Scanned: describeSchedule(watchlist),
    "Bars come": describeSource(watchlist),
    "Anomaly from": describeThreshold(watchlist.threshold),
    "Alerts from confidence":
      watchlist.min_confidence > 0 && `${Math.round(100 * watchlist.min_confidence)} %`,
    "With each scan": watchlist.with_overview && "what the markets did",
    "Last scan": last
      ? el("a", { href: linkTo("runs", run) }, buildAge(last))
      : "never",
    "Next scan": next
      ? buildNext(next)
      : !watchlist.enabled
        ? "none"
        : scansOn
          ? "soon"
          : "none while periodic scans are off",
  });
}

/** A number is a grade; other kinds of thresholds are set on the command line. */
export function describeThreshold(threshold) {
  if (threshold === null) return "as the model says";
  return typeof threshold === "number"
    ? `grade ${threshold}`
    : `${threshold.kind} ${threshold.value}`;
}

function describeSchedule({ schedule, delay_minutes: delay }) {
  if (schedule !== "after_close") return el("code", schedule);
  return delay === 0 ? "after each closed bar" : `${plural(delay, "minute")} after each closed bar`;
}

const SOURCES = { yahoo: "from Yahoo, before each scan", feed: "by the feed" };

function describeSource({ source, folder, fetch_run_id: run }) {
  if (source === "none") return null;
  const words =
    source === "folder" ? `from the folder ${folder}, before each scan` : SOURCES[source];
  return run ? el("a", { href: linkTo("runs", run) }, words) : words;
}

const FIELDS = [
  "tickers",
  "interval",
  "schedule",
  "delay_minutes",
  "threshold",
  "min_confidence",
  "source",
  "folder",
  "with_overview",
  "enabled",
];

/**
 * The body that changes a watchlist: the whole watchlist, because fields that are left out are
 * reset.
 */
export const readFields = (watchlist) =>
  Object.fromEntries(FIELDS.map((name) => [name, watchlist[name]]));

export const matchVersion = ({ version }) => ({ "If-Match": `"${version}"` });

function buildSwitch(watchlist, refresh) {
  const button = el(
    "button.switch",
    {
      type: "button",
      role: "switch",
      "aria-checked": String(watchlist.enabled),
      data: { needs: "enqueue" },
    },
    el("i", { "aria-hidden": "true" }),
    watchlist.enabled ? "On" : "Off",
    el("span.hidden-text", ` watchlist ${watchlist.name}`),
  );
  button.addEventListener("click", async () => {
    const body = { ...readFields(watchlist), enabled: !watchlist.enabled };
    if (
      await attempt(button, () =>
        put(`/watchlists/${encodeURIComponent(watchlist.name)}`, body, matchVersion(watchlist)),
      )
    )
      refresh();
  });
  return button;
}

/**
 * The progress of a scan, whoever requested it: `follow(id)` resolves to the run when it has ended.
 */
function buildStrip(watchlist, signal) {
  const bar = buildProgress(`Progress of the scan of ${watchlist.name}`);
  const status = el("div.row.spread");
  const outcome = el("p.muted.outcome");
  const node = el("div.stack.tight", { hidden: true }, status, bar.node, outcome);
  let followed = null;
  const show = (run) => {
    const name = run.trigger === "scheduler" ? "Periodic scan" : "Scan";
    fill(status, el("a.run-name", { href: linkTo("runs", run._id) }, name), buildStatus(run));
    fill(outcome, !isOpen(run) && buildProse(describeOutcome(run)));
    bar.update(run);
    node.hidden = false;
  };
  const follow = async (id) => {
    if (id === followed) return null;
    followed = id;
    return pollRun(id, (run) => id === followed && show(run), signal);
  };
  return { node, follow };
}

function buildScan(watchlist, strip) {
  const button = el(
    "button.button.small",
    { type: "button", data: { needs: "enqueue" } },
    "Scan now",
  );
  const scan = async () => {
    const body = { watchlist: watchlist.name, interval: watchlist.interval };
    const { run_id: id } = await post("/anomalies/incremental", body, { key: newIdentifier() });
    const run = await strip.follow(id);
    if (run)
      say(
        `Scan of ${watchlist.name}: ${describeOutcome(run)}`,
        run.status === "complete" ? "ok" : "bad",
      );
  };
  button.addEventListener("click", () => attempt(button, scan));
  return button;
}

function buildRemove(watchlist, refresh) {
  const button = el(
    "button.button.small",
    { type: "button", data: { needs: "enqueue" } },
    "Delete",
  );
  button.addEventListener("click", async () => {
    const text =
      `${plural(watchlist.tickers.length, "ticker")} will not be scanned any ` +
      `more. Runs and anomalies stay.`;
    if (!(await confirm(`Delete ${watchlist.name}?`, text, "Delete"))) return;
    const path = `/watchlists/${encodeURIComponent(watchlist.name)}`;
    await attempt(button, () => remove(path, matchVersion(watchlist)));
    refresh();
  });
  return button;
}
