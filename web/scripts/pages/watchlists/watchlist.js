// One watchlist as a card: what it holds, when it is scanned, and what can be done with it.

import { post, put, remove } from "../../api.js";
import { el, fill } from "../../dom.js";
import { ago, count, moment, plural } from "../../format.js";
import { newIdentifier } from "../../identifier.js";
import { followRun } from "../../live.js";
import { linkTo } from "../../router.js";
import { buildFacts } from "../../parts/facts.js";
import { buildProgress, buildStatus, describeOutcome } from "../../parts/run_progress.js";
import { confirm } from "../../parts/confirmation.js";
import { attempt, say } from "../../parts/toasts.js";

const LISTED = 24;

export function buildWatchlist(watchlist, { edit, refresh, signal }) {
  const strip = el("div.stack.tight", { hidden: true });
  return el(
    "article.card",
    { "aria-label": `Watchlist ${watchlist.name}` },
    el(
      "header",
      el("div.row", el("h2", watchlist.name), el("span.badge", watchlist.market), el("span.badge", watchlist.interval)),
      buildSwitch(watchlist, refresh),
    ),
    el(
      "div.body.stack",
      el(
        "ul.chips",
        watchlist.tickers
          .slice(0, LISTED)
          .map((ticker) =>
            el("li", el("a.ticker-name", { href: linkTo("ticker", ticker, { interval: watchlist.interval }) }, ticker)),
          ),
        watchlist.tickers.length > LISTED && el("li.muted", `and ${count(watchlist.tickers.length - LISTED)} more`),
      ),
      buildFacts({
        Scanned: watchlist.schedule === "after_close" ? "after each closed bar" : el("code", watchlist.schedule),
        "Anomaly from": watchlist.threshold === null ? "as the model says" : `grade ${watchlist.threshold}`,
        "Last scan": watchlist.last_scan
          ? el("span", { title: moment(watchlist.last_scan) }, ago(watchlist.last_scan))
          : "never",
        "Next scan": watchlist.next_scan
          ? el("span", { title: moment(watchlist.next_scan) }, ago(watchlist.next_scan))
          : "none",
      }),
      strip,
      el(
        "div.row",
        buildScan(watchlist, strip, signal),
        el("button.button.small", { type: "button", on: { click: () => edit(watchlist) } }, "Edit"),
        buildRemove(watchlist, refresh),
      ),
    ),
  );
}

export const matchVersion = ({ version }) => ({ "If-Match": `"${version}"` });

function buildSwitch(watchlist, refresh) {
  const button = el(
    "button.switch",
    { type: "button", role: "switch", "aria-checked": String(watchlist.enabled) },
    el("i", { "aria-hidden": "true" }),
    watchlist.enabled ? "On" : "Off",
    el("span.hidden-text", ` watchlist ${watchlist.name}`),
  );
  button.addEventListener("click", async () => {
    const { tickers, interval, schedule, threshold, enabled } = watchlist;
    const body = { tickers, interval, schedule, threshold, enabled: !enabled };
    if (
      await attempt(button, () =>
        put(`/watchlists/${encodeURIComponent(watchlist.name)}`, body, matchVersion(watchlist)),
      )
    )
      refresh();
  });
  return button;
}

function buildScan(watchlist, strip, signal) {
  const button = el("button.button.small", { type: "button" }, "Scan now");
  const bar = buildProgress(`Progress of the scan of ${watchlist.name}`);
  const status = el("div.row.spread");
  const show = (run) => {
    fill(status, el("a.run-name", { href: linkTo("runs", run._id) }, "Scan"), buildStatus(run));
    bar.update(run);
  };
  const scan = async () => {
    const body = { watchlist: watchlist.name, interval: watchlist.interval };
    const { run_id: id } = await post("/anomalies/incremental", body, { key: newIdentifier() });
    fill(strip, status, bar.node);
    strip.hidden = false;
    const run = await followRun(id, show, signal);
    if (run) say(`Scan of ${watchlist.name}: ${describeOutcome(run)}`, run.status === "complete" ? "ok" : "bad");
  };
  button.addEventListener("click", () => attempt(button, scan));
  return button;
}

function buildRemove(watchlist, refresh) {
  const button = el("button.button.small", { type: "button" }, "Delete");
  button.addEventListener("click", async () => {
    const text = `${plural(watchlist.tickers.length, "ticker")} will not be scanned any more. Runs and anomalies stay.`;
    if (!(await confirm(`Delete ${watchlist.name}?`, text, "Delete"))) return;
    const path = `/watchlists/${encodeURIComponent(watchlist.name)}`;
    await attempt(button, () => remove(path, matchVersion(watchlist)));
    refresh();
  });
  return button;
}
