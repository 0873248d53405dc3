// Data: bring bars in, see what is covered, and what was corrected or rejected.

import { el, fill } from "../../lib/dom.js";
import { keepInUrl } from "../../lib/router.js";
import { buildChoice } from "../../parts/choice.js";
import { buildFilters } from "../../parts/filters.js";
import { buildTickerInput, readTicker } from "../../parts/suggestions.js";
import { showCoverage } from "./coverage.js";
import { showImports } from "./imports.js";
import { showQuality } from "./quality.js";
import { showRejected } from "./rejected.js";
import { showRevisions } from "./revisions.js";
import { buildUpload } from "./upload.js";

const VIEWS = [
  ["coverage", "Coverage"],
  ["quality", "Quality"],
  ["revisions", "Revised"],
  ["rejected", "Rejected"],
  ["imports", "Imports"],
];

// These views are filtered by ticker only and have no market.
const WITHOUT_MARKET = new Set(["revisions", "rejected"]);

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
    const asked = { ticker: state.ticker, ...filters.query() };
    filters.node.hidden = WITHOUT_MARKET.has(state.view);
    every.hidden = !filters.node.hidden;
    return SHOWN[state.view](body, asked, AbortSignal.any([signal, showing.signal]));
  };
  const filters = buildFilters(route, () => refresh(), signal);
  const every = el("span.muted", "of every market: these rows name a ticker alone");
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
          el(
            "div.row",
            filters.node,
            every,
            buildTicker(state.ticker, (ticker) => change({ ticker })),
          ),
        ),
        body,
      ),
    ),
  );
  return refresh();
}

function buildTicker(ticker, choose) {
  const input = buildTickerInput({
    type: "search",
    value: ticker,
    size: 12,
    placeholder: "Ticker",
    "aria-label": "Only of ticker",
  });
  input.addEventListener("change", () => choose(readTicker(input)));
  return el("label.field", input);
}

const SHOWN = {
  coverage: showCoverage,
  quality: showQuality,
  revisions: showRevisions,
  rejected: showRejected,
  imports: showImports,
};
