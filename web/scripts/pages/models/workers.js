// The models in the caches of the worker processes, as reported after their last batch.

import { get } from "../../lib/api.js";
import { el } from "../../lib/dom.js";
import { count } from "../../lib/format.js";
import { linkTo } from "../../lib/router.js";
import { buildAge } from "../../parts/age.js";
import { buildEmpty, buildSection } from "../../parts/states.js";
import { buildTable } from "../../parts/table.js";

const COLUMNS = [
  "Worker",
  ["Process", ".wide-only"],
  "Models",
  ["Loads", ".number.wide-only"],
  ["Hits", ".number.wide-only"],
  "Last report",
];

export function buildWorkers(signal) {
  const section = buildSection(() => get("/model-stats", {}, signal), drawStats, signal, 2);
  section.show();
  return el(
    "section.card",
    { "aria-labelledby": "workers-title" },
    el("header", el("h2", { id: "workers-title" }, "Loaded by workers")),
    section.node,
  );
}

function drawStats({ workers }) {
  const processes = workers.flatMap((worker) =>
    worker.processes.map((process) => ({ ...process, worker: worker.name })),
  );
  if (processes.length === 0)
    return buildEmpty(
      "None is loaded",
      workers.length ? "A worker loads a model with its first batch." : "No worker answers.",
    );
  return buildTable(
    "Worker processes",
    COLUMNS,
    processes.map((process) =>
      el(
        "tr",
        el("td.nowrap", process.worker),
        el("td.wide-only", el("code", String(process.pid))),
        el(
          "td",
          process.models.map((version, n) => [
            n > 0 && ", ",
            el("a", { href: linkTo("models", version) }, version),
          ]),
        ),
        el("td.number.wide-only", count(process.loads)),
        el("td.number.wide-only", count(process.hits)),
        el("td.muted.nowrap", buildAge(process.at)),
      ),
    ),
  );
}
