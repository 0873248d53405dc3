// Models: the versions of every market, and one version in full.

import { get } from "../../lib/api.js";
import { el } from "../../lib/dom.js";
import { barTime, count, hash, moment, plural, words } from "../../lib/format.js";
import { INTERVALS } from "../../lib/intervals.js";
import { PAGE, getAll } from "../../lib/pages.js";
import { go, linkTo } from "../../lib/router.js";
import { buildCurrent, buildEmpty } from "../../parts/states.js";
import { buildTable } from "../../parts/table.js";
import { buildRollback, isChampionOf } from "./actions.js";
import { drawModel } from "./model.js";
import { buildState } from "./state.js";
import { buildTraining } from "./training.js";
import { buildWatch } from "./watch.js";
import { buildWorkers } from "./workers.js";

const COLUMNS = [
  "Version",
  "State",
  "Trained on",
  ["Window", ".wide-only"],
  ["Detector", ".wide-only"],
  ["Feature set", ".wide-only"],
  ["Threshold", ".number.wide-only"],
  ["Hash", ".wide-only"],
  ["Made", ".wide-only"],
];
export const title = (route) => route.name ?? "Models";

export function show(main, route, signal) {
  if (!route.name) return buildCurrent(main, loadModels, draw, signal)();
  const load = (both) => get(`/models/${encodeURIComponent(route.name)}`, {}, both);
  return buildCurrent(main, load, drawModel, signal)();
}

async function loadModels(signal) {
  const [models, drifts, challengers] = await Promise.all([
    getAll("/models", {}, signal),
    get("/drifts", { limit: PAGE }, signal),
    get("/challengers", { limit: PAGE }, signal),
  ]);
  return { models, drifts, challengers: challengers.items };
}

function draw({ models, drifts, challengers }, refresh, signal) {
  const { button, strip } = buildTraining(refresh, signal);
  const markets = [...new Set(models.map((model) => model.market))].sort();
  return [
    el(
      "div.head",
      el(
        "div",
        el("h1", "Models"),
        el(
          "p.lead",
          "Every version that was trained, and which ones are in use: the champions of each " +
            "market, one an interval.",
        ),
      ),
      button,
    ),
    strip,
    models.length === 0
      ? el(
          "div.card",
          buildEmpty(
            "No models yet",
            "A market needs a model before its bars can be scored: train one here once it has " +
              "bars.",
          ),
        )
      : el(
          "div.stack",
          markets.map((market) => drawMarket(market, models, refresh)),
          buildWatch(drifts, challengers),
          buildWorkers(signal),
        ),
  ];
}

function drawMarket(market, all, refresh) {
  const models = all.filter((model) => model.market === market);
  // The champion of a ticker or watchlist is not the market's, which may be one of all markets.
  const champions = all.filter((model) => isChampionOf(market, model));
  return el(
    "section.card",
    { "aria-label": `Models of ${market}` },
    el(
      "header",
      el("h2", market === "ALL" ? "All markets" : `Market ${market}`),
      el(
        "div.row",
        el("span.muted", `champion: ${champions.map(describeChampion).join(", ") || "none"}`),
        INTERVALS.map((interval) =>
          buildRollback(
            market,
            interval,
            all.filter((model) => model.interval === interval),
            refresh,
          ),
        ),
      ),
    ),
    buildTable(`Versions of ${market}`, COLUMNS, models.map(buildRow)),
  );
}

const describeChampion = ({ version, interval }) => `${version} (${interval})`;

function buildRow(model) {
  return el(
    "tr.link",
    { on: { click: () => go("models", model.version) } },
    el(
      "td.nowrap",
      el("a.ticker-name", { href: linkTo("models", model.version) }, model.version),
      " ",
      el("span.muted", model.interval),
    ),
    el("td", buildState(model)),
    el(
      "td",
      `${plural(model.rows, "bar")} of ${plural(model.ticker_count, "ticker")}`,
      model.synthetic && el("span.badge.warn", "synthetic"),
    ),
    el(
      "td.wide-only",
      el("span.nowrap", barTime(model.window_start, model.interval)),
      " to ",
      el("span.nowrap", barTime(model.window_end, model.interval)),
    ),
    el("td.wide-only", words(model.parameters.detector)),
    el("td.wide-only", model.feature_set),
    el("td.number.wide-only", model.threshold.toFixed(4).replace("-", "−")),
    el("td.wide-only", el("code", { title: model.sha256 }, hash(model.sha256))),
    el("td.nowrap.muted.wide-only", moment(model.created_at)),
  );
}
