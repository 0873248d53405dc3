// Data: bring bars in, see what is covered, and what was corrected or rejected.

import { get } from "../../lib/api.js";
import { el, fill } from "../../lib/dom.js";
import { keepInUrl } from "../../lib/router.js";
import { buildChoice } from "../../parts/choice.js";
import { loadInto } from "../../parts/states.js";
import { KNOWN_TICKERS } from "../../parts/suggestions.js";
import { showCoverage } from "./coverage.js";
import { buildImports } from "./imports.js";
import { showQuality } from "./quality.js";
import { showRejected } from "./rejected.js";
import { showRevisions } from "./revisions.js";
import { buildUpload } from "./upload.js";

const LISTED_IMPORTS = 20;
const VIEWS = [
  ["coverage", "Coverage"],
  ["quality", "Quality"],
  ["revisions", "Revised"],
  ["rejected", "Rejected"],
  ["imports", "Imports"],
];

export const title = () => "Data";

export function show(main, route, signal) {
  const state = {
    view: VIEWS.some(([name]) => name === route.query.get("view"))
      ? route.query.get("view")
      : VIEWS[0][0],
    ticker: (route.query.get("ticker") ?? "").toUpperCase(),
  };
  const body = el("div");
  let showing = new AbortController();
  const refresh = () => {
    showing.abort();
    showing = new AbortController();
    return SHOWN[state.view](body, state.ticker, AbortSignal.any([signal, showing.signal]));
  };
  const change = (changes) => {
    Object.assign(state, changes);
    keepInUrl({ view: state.view === VIEWS[0][0] ? null : state.view, ticker: state.ticker });
    return refresh();
  };
  fill(
    main,
    el("div.head", el("div", el("h1", "Data"), el("p.lead", "The bars that everything rests on."))),
    el(
      "div.stack",
      buildUpload(refresh, signal),
      el(
        "section.card",
        { "aria-label": "What is stored" },
        el(
          "header",
          buildChoice("Shown", VIEWS, state.view, (view) => change({ view })).node,
          buildFilter(state.ticker, (ticker) => change({ ticker })),
        ),
        body,
      ),
    ),
  );
  return refresh();
}

function buildFilter(ticker, choose) {
  const input = el("input", {
    type: "search",
    value: ticker,
    maxlength: 20,
    size: 12,
    placeholder: "Ticker",
    "aria-label": "Only of ticker",
    list: KNOWN_TICKERS,
    autocomplete: "off",
  });
  input.addEventListener("change", () => choose(input.value.trim().toUpperCase()));
  return el("label.field", input);
}

const SHOWN = {
  coverage: showCoverage,
  quality: showQuality,
  revisions: showRevisions,
  rejected: showRejected,
  imports: (body, ticker, signal) =>
    loadInto(
      body,
      () => get("/detection-runs", { task: "import", ticker, limit: LISTED_IMPORTS }, signal),
      ({ items }) => buildImports(items, signal),
      signal,
    ),
};
