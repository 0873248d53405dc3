// A ticker beside another, beside the index of its market or beside its sector: both lines begin at
// 100 where the visible stretch of time begins.

import { get } from "../../lib/api.js";
import { el, fill } from "../../lib/dom.js";
import { plural } from "../../lib/format.js";
import { INTERVALS } from "../../lib/intervals.js";
import { go, keepInUrl, linkTo } from "../../lib/router.js";
import { buildChoice } from "../../parts/choice.js";
import { buildFilters } from "../../parts/filters.js";
import { buildEmpty, buildSection } from "../../parts/states.js";
import { buildTickerInput, readTicker } from "../../parts/suggestions.js";

const MARKED = 500;
const MARK_FIELDS = "Ticker,Datetime,severity,grade,reasons,features.return_1";

export const title = (route) => (route.name ? `Compare ${route.name}` : "Compare");

export function show(main, route, signal) {
  if (!route.name) {
    const overview = el("a.button", { href: linkTo("overview") }, "Overview");
    fill(
      main,
      el("h1.hidden-text", "Compare"),
      buildEmpty("Which ticker?", "This address names none.", overview),
    );
    return;
  }
  const state = {
    ticker: route.name.toUpperCase(),
    interval: INTERVALS.includes(route.query.get("interval")) ? route.query.get("interval") : "1d",
    other: route.query.get("with"),
    against: ["index", "sector"].includes(route.query.get("against"))
      ? route.query.get("against")
      : null,
  };
  let latest = null;
  const load = async () => {
    const { ticker, interval, other } = state;
    const against = other ? null : state.against;
    const query = { ...filters.query(), interval };
    const ask = (beside) => get("/chart/comparison", { ...query, ticker, ...beside }, signal);
    // No index or sector is stored, so the ticker is drawn alone, with the choice of others to
    // compare it with.
    const lines = ask({ other, against }).catch((error) => {
      if (error.status !== 404 || against === null) throw error;
      state.against = null;
      return ask({});
    });
    const library = import("./chart.js");
    library.catch(() => {}); // where what is asked for first fails too, that is told
    const found = await lines;
    const names = [ticker, found.kind && found.kind !== "sector" && found.name].filter(Boolean);
    const marks = await Promise.all(
      names.map((name) =>
        get(
          "/anomalies",
          { ...query, ticker: name, sort: "-grade", limit: MARKED, fields: MARK_FIELDS },
          signal,
        ),
      ),
    );
    const { buildComparisonChart } = await library;
    return { found, marks: marks.map(({ items }) => items), buildComparisonChart };
  };
  const head = el("div");
  const choices = el("div.row");
  const drawn = { leave: null };
  const draw = (data) => {
    drawn.leave?.abort();
    drawn.leave = new AbortController();
    latest = Date.parse(data.found.times.at(-1)) || latest;
    fill(head, drawHead(data.found));
    fill(choices, drawChoices(data.found, state, choose));
    return drawChart(data, AbortSignal.any([signal, drawn.leave.signal]));
  };
  const section = buildSection(load, draw, signal, 10);
  const choose = (changes) => {
    Object.assign(state, { other: null, against: null }, changes);
    keepInUrl({ with: state.other, against: state.against });
    section.reload();
  };
  const filters = buildFilters(route, section.reload, signal, { latest: () => latest });
  fill(head, el("h1", state.ticker));
  section.show();
  fill(
    main,
    el(
      "div.head",
      head,
      el(
        "a.button",
        { href: linkTo("ticker", state.ticker, { interval: state.interval }) },
        `Open ${state.ticker}`,
      ),
    ),
    el(
      "div.stack",
      filters.node,
      el(
        "section.card",
        { "aria-label": "Comparison" },
        el("header", choices, buildSearch(choose)),
        section.node,
      ),
    ),
  );
}

function drawHead({ ticker, kind, name }) {
  return [
    el("h1", kind ? `${ticker} and ${name}` : ticker),
    el(
      "p.lead",
      kind
        ? "Both begin at 100 where the visible stretch of time begins."
        : "Choose what to compare it with.",
    ),
  ];
}

/** The index and the sector, where there are any. */
function drawChoices({ ticker, index, sector }, { other, against }, choose) {
  const options = [index && ["index", `Index ${index}`], sector && ["sector", sector]];
  const known = options.filter(Boolean);
  if (known.length === 0) return el("span.muted", `${ticker} has no index and no sector here`);
  const chosen = other ? null : against;
  return buildChoice("Compare with", known, chosen, (value) => choose({ against: value })).node;
}

function buildSearch(choose) {
  const input = buildTickerInput({
    type: "search",
    name: "other",
    placeholder: "Another ticker",
    "aria-label": "Compare with a ticker",
  });
  const submit = (event) => {
    event.preventDefault();
    const other = readTicker(input);
    if (other) choose({ other });
    input.value = "";
  };
  return el(
    "form.row",
    { role: "search", on: { submit } },
    el("label.field", input),
    el("button.button.small", { type: "submit" }, "Compare"),
  );
}

function drawChart({ found, marks, buildComparisonChart }, signal) {
  if (found.times.length === 0)
    return buildEmpty("No bars", "Neither has bars in this stretch of time; choose a longer one.");
  const chart = buildComparisonChart(found, marks, signal, ({ Ticker: ticker, Datetime: time }) =>
    go("ticker", ticker, { interval: found.interval, anomaly: time }),
  );
  return [
    chart.legend,
    chart.node,
    found.kind === "sector" &&
      el(
        "p.market-body.muted",
        `${found.name} is the mean of ${plural(found.tickers.length, "other ticker")} in equal ` +
          `parts: ${found.tickers.join(", ")}` +
          `${found.left_out ? `; ${found.left_out} are left out` : ""}.`,
      ),
  ];
}
