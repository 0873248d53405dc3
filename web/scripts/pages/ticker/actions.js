// Backfill and Scan now, with their progress. A run that is in progress when the page opens is
// followed again.

import { SHARED } from "../../lib/access.js";
import { get, post, remove } from "../../lib/api.js";
import { el, fill } from "../../lib/dom.js";
import { newIdentifier } from "../../lib/identifier.js";
import { followRun, isOpen } from "../../lib/live.js";
import { go, linkTo } from "../../lib/router.js";
import { confirm } from "../../parts/confirmation.js";
import { buildProse } from "../../parts/prose.js";
import {
  buildProgress,
  buildStatus,
  describeOutcome,
  describeRun,
} from "../../parts/run_progress.js";
import { buildSelect } from "../../parts/select.js";
import { attempt, say } from "../../parts/toasts.js";

const PERIODS = [
  ["max", "all bars"],
  ["5y", "5 years"],
  ["1y", "1 year"],
];

/** @returns {{buttons, progress}}; `refresh` is called whenever a run of the series has ended */
export function buildActions({ ticker, interval }, refresh, signal) {
  const progress = el("div.run-strip", { hidden: true });
  let period = PERIODS[0][0];
  const follow = async (id) => {
    const ended = await followRun(id, buildStrip(progress), signal);
    if (!ended) return;
    say(
      `${describeRun(ended)}: ${describeOutcome(ended)}`,
      ended.status === "complete" ? "ok" : "bad",
    );
    await refresh();
  };
  const ask = (button, path, body) =>
    attempt(button, async () => follow((await enqueue(path, body)).run_id));
  const backfill = el(
    "button.button.primary",
    { type: "button", data: { needs: "enqueue" } },
    "Backfill",
  );
  const scan = el("button.button", { type: "button", data: { needs: "enqueue" } }, "Scan now");
  backfill.addEventListener("click", () =>
    ask(backfill, "/anomalies/backfill", { ticker, interval, max_period: period }),
  );
  scan.addEventListener("click", () => ask(scan, "/anomalies/incremental", { ticker, interval }));
  const choose = (value) => {
    period = value;
  };
  findOpenRun(ticker, interval, signal)
    .then((run) => run && follow(run._id))
    .catch(() => {});
  return {
    progress,
    buttons: el(
      "div.row.actions",
      buildSelect("Backfill", PERIODS, period, choose),
      backfill,
      scan,
      buildDeletion(ticker, interval),
    ),
  };
}

function buildDeletion(ticker, interval) {
  const button = el("button.button", { type: "button", data: SHARED }, "Delete bars");
  const send = async () => {
    await remove(`/tickers/${encodeURIComponent(ticker)}?interval=${interval}`);
    return true;
  };
  button.addEventListener("click", async () => {
    const text = "Anomalies, models and runs stay, and say that their bars are gone.";
    if (!(await confirm(`Delete the ${interval} bars of ${ticker}?`, text, "Delete"))) return;
    if (!(await attempt(button, send))) return;
    say(`The ${interval} bars of ${ticker} are deleted.`, "ok");
    go("data");
  });
  return button;
}

/**
 * Request a run; if one is in the way, follow that one. Repeating after a lost answer enqueues
 * nothing twice.
 */
async function enqueue(path, body) {
  const key = newIdentifier();
  try {
    return await post(path, body, { key });
  } catch (error) {
    if (error.status === 0) return post(path, body, { key });
    if (error.status !== 409 || !error.document.run_id) throw error;
    say("That is being done already; here is how far it is.");
    return error.document;
  }
}

async function findOpenRun(ticker, interval, signal) {
  const { items } = await get("/detection-runs", { ticker, limit: 10 }, signal);
  return items.find((run) => isOpen(run) && run.interval === interval);
}

function buildStrip(node) {
  const bar = buildProgress("Progress of the run");
  const head = el("div.row.spread");
  const outcome = el("p.muted");
  let shown = null;
  fill(node, head, bar.node, outcome);
  node.hidden = false;
  return (run) => {
    bar.update(run);
    const state = `${run.status} ${run.cancel_requested}`;
    if (state === shown) return; // a button that has the focus stays
    shown = state;
    fill(
      head,
      el("a.run-name", { href: linkTo("runs", run._id) }, describeRun(run)),
      buildStatus(run),
      isOpen(run) && buildCancel(run),
    );
    fill(outcome, !isOpen(run) && buildProse(describeOutcome(run)));
  };
}

function buildCancel(run) {
  const button = el(
    "button.button.small",
    { type: "button", disabled: run.cancel_requested, data: { needs: "enqueue" } },
    "Cancel",
  );
  button.addEventListener("click", () =>
    attempt(button, () => post(`/detection-runs/${run._id}/cancel`)),
  );
  return button;
}
