// What a run that is no detection came to: an import report, a comparison, a model.

import { el } from "../../dom.js";
import { buildReport } from "../data/report.js";

export function buildResult(run) {
  const content =
    run.task === "import" && run.result.series ? buildReport(run) : el("pre", JSON.stringify(run.result, null, 2));
  return el("section.card", el("header", el("h2", "Result")), el("div.body", content));
}
