// Data: bring bars in, see what is covered, and what was rejected.

import { get } from "../api.js";
import { el, fill } from "../dom.js";
import { loadSeries } from "../series.js";
import { loadInto } from "../parts/states.js";
import { buildCoverage } from "./data/coverage.js";
import { buildImports } from "./data/imports.js";
import { buildUpload } from "./data/upload.js";

const LISTED_IMPORTS = 10;

export const title = () => "Data";

export function show(main, route, signal) {
  const coverage = el("div");
  const imports = el("div");
  const refresh = () =>
    Promise.all([
      loadInto(coverage, () => loadSeries(signal), buildCoverage, signal),
      loadInto(
        imports,
        () => get("/detection-runs", { task: "import", limit: LISTED_IMPORTS }, signal),
        ({ items }) => buildImports(items, signal),
        signal,
      ),
    ]);
  fill(
    main,
    el("div.head", el("div", el("h1", "Data"), el("p.lead", "The bars that everything rests on."))),
    el(
      "div.stack",
      buildUpload(refresh, signal),
      el("section.card", el("header", el("h2", "Coverage")), coverage),
      el("section.card", el("header", el("h2", "Imports and rejected rows")), imports),
    ),
  );
  return refresh();
}
