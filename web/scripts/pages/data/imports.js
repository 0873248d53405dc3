// The last imports, each with its report on demand.

import { get } from "../../lib/api.js";
import { el, fill } from "../../lib/dom.js";
import { buildAge } from "../../parts/age.js";
import { buildPaging } from "../../parts/more.js";
import { buildStatus, describeRun } from "../../parts/run_progress.js";
import { buildEmpty, buildSection, loadInto } from "../../parts/states.js";
import { buildReport } from "./report.js";

const PART = 20;

export function showImports(node, asked, signal) {
  const ask = (cursor) =>
    get("/detection-runs", { ...asked, task: "import", limit: PART, cursor }, signal);
  const paging = buildPaging(ask, signal);
  const draw = ({ items, next_cursor: next }) => {
    if (items.length === 0) return drawEmpty();
    const list = el("div.imports.stack");
    const add = (runs) => list.append(...runs.map((run) => buildItem(run, signal)));
    add(items);
    return [list, paging.offer(next, add)];
  };
  const section = buildSection(paging.load, draw, signal);
  fill(node, section.node);
  return section.show();
}

const drawEmpty = () =>
  buildEmpty(
    "No imports yet",
    "Files that are dropped here or imported at the command line, and bars that are pushed, " +
      "show up with what became of every row.",
  );

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
        el("span.muted", buildAge(run.requested_at)),
      ),
    ),
    body,
  );
  const load = () =>
    loadInto(
      body,
      () => get(`/detection-runs/${run._id}`, {}, signal),
      (ended) => buildReport(ended, signal),
      signal,
      3,
    );
  node.addEventListener("toggle", load, { once: true });
  return node;
}
