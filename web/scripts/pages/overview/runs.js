// The card of runs: those in progress with moving bars, then the last that ended.

import { get } from "../../lib/api.js";
import { el, fill } from "../../lib/dom.js";
import { isOpen, pause, pollRun, repeat } from "../../lib/live.js";
import { linkTo } from "../../lib/router.js";
import { buildAge } from "../../parts/age.js";
import { buildProse } from "../../parts/prose.js";
import {
  buildProgress,
  buildStatus,
  describeOutcome,
  describeRun,
} from "../../parts/run_progress.js";
import { buildEmpty } from "../../parts/states.js";

const SHOWN = 6;
const LOOK_MILLISECONDS = 3000;

/**
 * @param {object[]} runs from `loadRuns`
 * @param {() => Promise<void>} refresh called whenever a run has come or ended
 */
export function buildRunsCard(runs, refresh, signal) {
  const body = el("div");
  let shown = null;
  let isNews = false; // until the page was notified
  const watched = new Set(); // open runs, until they were seen to have ended
  let drawing = new AbortController();
  const show = (now) => {
    drawing.abort();
    drawing = new AbortController();
    shown = describeState(now);
    for (const run of now) {
      if (isOpen(run)) watched.add(run._id);
      else watched.delete(run._id);
    }
    fill(body, draw(now, AbortSignal.any([signal, drawing.signal])));
  };
  const look = async () => {
    const now = await loadRuns(signal, watched);
    if (describeState(now) !== shown) {
      show(now);
      isNews = true;
    }
    if (!isNews) return;
    await refresh();
    isNews = false;
  };
  show(runs);
  pause(LOOK_MILLISECONDS, signal).then(() => repeat(LOOK_MILLISECONDS, look, signal));
  return el(
    "section.card",
    { "aria-labelledby": "runs-title" },
    el(
      "header",
      el("h2", { id: "runs-title" }, "Runs"),
      el("a", { href: linkTo("runs") }, "All runs"),
    ),
    body,
  );
}

/**
 * The open runs, however many were requested after them, then those of `watched` that have ended
 * since, and the last that ended.
 */
export async function loadRuns(signal, watched = new Set()) {
  const ask = async (query) =>
    (await get("/detection-runs", { ...query, limit: SHOWN }, signal)).items;
  const found = await Promise.all([
    ask({ status: "in_progress" }),
    ask({ status: "queued" }),
    ask({}),
  ]);
  const runs = new Map(found.flat().map((run) => [run._id, run]));
  const gone = [...watched].filter((id) => !runs.has(id));
  const ended = await Promise.all(gone.map((id) => get(`/detection-runs/${id}`, {}, signal)));
  const all = [...ended, ...runs.values()];
  return all.sort((a, b) => isOpen(b) - isOpen(a)).slice(0, SHOWN);
}

const describeState = (runs) => JSON.stringify(runs.map((run) => [run._id, run.status]));

function draw(runs, signal) {
  if (runs.length === 0)
    return buildEmpty(
      "No runs yet",
      "Whatever is asked for becomes a run: a backfill, a scan, an upload.",
    );
  return el(
    "ul.runs",
    runs.map((run) => buildItem(run, signal)),
  );
}

function buildItem(run, signal) {
  const item = el("li");
  const progress = isOpen(run) ? buildProgress(describeRun(run)) : null;
  let shown = null;
  const show = (state) => {
    if (progress && state.progress) progress.update(state); // a list does not contain it
    const now = JSON.stringify([describeRun(state), state.status, state.cancel_requested]);
    if (now === shown) return; // a link that has the focus stays
    shown = now;
    fill(
      item,
      el(
        "div.row.spread",
        el("a.run-name", { href: linkTo("runs", state._id) }, describeRun(state)),
        buildStatus(state),
      ),
      progress
        ? progress.node
        : el(
            "p.muted.outcome",
            buildAge(state.completed_at),
            ": ",
            buildProse(describeOutcome(state)),
          ),
    );
  };
  show(run);
  if (progress) pollRun(run._id, show, signal);
  return item;
}
