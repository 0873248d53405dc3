// The card of runs: those in progress with live bars, then the last that ended.

import { get } from "../../api.js";
import { el, fill } from "../../dom.js";
import { ago } from "../../format.js";
import { isOpen, pollRun, repeat } from "../../live.js";
import { linkTo } from "../../router.js";
import { buildProse } from "../../parts/prose.js";
import { buildProgress, buildStatus, describeOutcome, describeRun } from "../../parts/run_progress.js";
import { buildEmpty, loadInto } from "../../parts/states.js";

const SHOWN = 6;
const LOOK_MILLISECONDS = 3000;

export function buildRunsCard(signal) {
  const body = el("div");
  let shown = null;
  let drawing = new AbortController();
  const load = () => get("/detection-runs", { limit: SHOWN }, signal);
  const redraw = ({ items }) => {
    drawing.abort();
    drawing = new AbortController();
    shown = describeState(items);
    return draw(items, AbortSignal.any([signal, drawing.signal]));
  };
  const look = async () => {
    const page = await load();
    if (describeState(page.items) !== shown) fill(body, redraw(page));
  };
  loadInto(body, load, redraw, signal).then(() => repeat(LOOK_MILLISECONDS, look, signal));
  return el(
    "section.card",
    { "aria-labelledby": "runs-title" },
    el("header", el("h2", { id: "runs-title" }, "Runs"), el("a", { href: linkTo("runs") }, "All runs")),
    body,
  );
}

const describeState = (runs) => JSON.stringify(runs.map((run) => [run._id, run.status]));

function draw(runs, signal) {
  if (runs.length === 0)
    return buildEmpty("No runs yet", "Whatever is asked for becomes a run: a backfill, a scan, an upload.");
  return el(
    "ul.runs",
    runs.map((run) => buildItem(run, signal)),
  );
}

function buildItem(run, signal) {
  const item = el("li");
  const progress = isOpen(run) ? buildProgress(describeRun(run)) : null;
  const show = (state) => {
    fill(
      item,
      el(
        "div.row.spread",
        el("a.run-name", { href: linkTo("runs", state._id) }, describeRun(state)),
        buildStatus(state),
      ),
      progress
        ? progress.node
        : el("p.muted.outcome", ago(state.completed_at), ": ", buildProse(describeOutcome(state))),
    );
    if (progress) progress.update(state);
  };
  if (progress) pollRun(run._id, show, signal);
  else show(run);
  return item;
}
