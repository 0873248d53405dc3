// The last imports, each with its report on demand.

import { get } from "../../lib/api.js";
import { el } from "../../lib/dom.js";
import { ago } from "../../lib/format.js";
import { buildStatus, describeRun } from "../../parts/run_progress.js";
import { buildEmpty, loadInto } from "../../parts/states.js";
import { buildReport } from "./report.js";

export function buildImports(runs, signal) {
  if (runs.length === 0)
    return buildEmpty(
      "No imports yet",
      "Files that are dropped here or imported at the command line, and bars that are pushed, " +
        "show up with what became of every row.",
    );
  return el(
    "div.imports.stack",
    runs.map((run) => buildItem(run, signal)),
  );
}

function buildItem(run, signal) {
  const body = el("div");
  const node = el(
    "details",
    el(
      "summary",
      el(
        "span.row.inline",
        describeRun(run),
        buildStatus(run),
        el("span.muted", ago(run.requested_at)),
      ),
    ),
    body,
  );
  const load = () =>
    loadInto(body, () => get(`/detection-runs/${run._id}`, {}, signal), buildReport, signal, 3);
  node.addEventListener("toggle", load, { once: true });
  return node;
}
