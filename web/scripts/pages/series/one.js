// One series: its plot, kept up to date, its versions, a form to predict a point, and the stored
// predictions.

import { SHARED } from "../../lib/access.js";
import { get, getText, remove } from "../../lib/api.js";
import { el, fill } from "../../lib/dom.js";
import { count, hash, moment } from "../../lib/format.js";
import { repeat } from "../../lib/live.js";
import { go, keepInUrl, linkTo } from "../../lib/router.js";
import { confirm } from "../../parts/confirmation.js";
import { buildSelect } from "../../parts/select.js";
import { buildCurrent } from "../../parts/states.js";
import { buildTable } from "../../parts/table.js";
import { attempt } from "../../parts/toasts.js";
import { buildFit } from "./fit.js";
import { buildPredict, buildStored } from "./predictions.js";

const LIVE_MILLISECONDS = 2_000;
const COLUMNS = [
  "Version",
  "Detector",
  ["Points", ".number"],
  ["Learned since", ".number"],
  ["Data", ".wide-only"],
  ["Made", ".wide-only"],
];

export function showSeries(main, route, signal) {
  const path = `/series/${encodeURIComponent(route.name)}`;
  const load = (both) => get(path, {}, both);
  return buildCurrent(
    main,
    load,
    (series, refresh, both) => draw(series, route, refresh, both),
    signal,
  )();
}

function draw(series, route, refresh, signal) {
  const asked = Number((route.query.get("version") ?? "").replace(/^v/i, ""));
  let version = series.versions.some((one) => one.version === asked) ? asked : series.latest;
  const plot = el("div.series-drawing", { tabindex: 0, role: "region", "aria-label": "Drawing" });
  const stored = buildStored(series._id, signal);
  let shown = null;
  const update = async () => {
    const query = { series_id: series._id, version: String(version), format: "svg" };
    const text = await getText("/plot", query, signal);
    if (signal.aborted || text === shown) return;
    shown = text;
    fill(
      plot,
      document.importNode(
        new DOMParser().parseFromString(text, "image/svg+xml").documentElement,
        true,
      ),
    );
    stored.show(version);
  };
  const choose = (chosen) => {
    version = Number(chosen);
    keepInUrl({ version: chosen });
    update();
  };
  repeat(LIVE_MILLISECONDS, update, signal);
  return [
    el(
      "div.head",
      el(
        "div",
        el("p.muted", el("a", { href: linkTo("series") }, "Series")),
        el("h1", series._id),
        el(
          "p.lead",
          `${series.detector}, version ${series.latest}; ${count(series.predictions)} ` +
            `predictions stored.`,
        ),
      ),
      buildDelete(series._id),
    ),
    el(
      "div.stack",
      el(
        "section.card",
        { "aria-label": "Plot" },
        el(
          "header",
          el("h2", "Plot"),
          buildSelect(
            "Version",
            series.versions.map((one) => [
              String(one.version),
              `v${one.version} · ${one.detector}`,
            ]),
            String(version),
            choose,
          ),
        ),
        el("div.body", plot, buildLegend()),
      ),
      buildPredict(series, () => version, update),
      stored.node,
      el(
        "section.card",
        { "aria-label": "Versions" },
        el("header", el("h2", "Versions")),
        buildTable("List of versions", COLUMNS, series.versions.map(buildVersion)),
      ),
      buildFit(refresh, series._id),
    ),
  ];
}

function buildLegend() {
  const entry = (kind, text) => el("span", el(`i.series-key.key-${kind}`), text);
  return el(
    "p.series-legend.muted",
    entry("values", "learned from"),
    entry("expected", "expected"),
    entry("range", "normal range"),
    entry("prediction", "prediction"),
    entry("anomaly", "anomaly"),
  );
}

function buildVersion(version) {
  return el(
    "tr",
    el("td", `v${version.version}`),
    el("td", version.detector),
    el("td.number", count(version.points_used)),
    el("td.number", count(version.points_learned)),
    el("td.wide-only", el("code", { title: version.data_sha256 }, hash(version.data_sha256))),
    el("td.nowrap.muted.wide-only", moment(version.created_at)),
  );
}

function buildDelete(id) {
  const button = el("button.button", { type: "button", data: SHARED }, "Delete");
  button.addEventListener("click", async () => {
    const text =
      "All its versions, histories and stored predictions go with it. This cannot be taken back.";
    if (!(await confirm(`Delete ${id}?`, text, "Delete"))) return;
    const done = await attempt(button, async () => {
      await remove(`/series/${encodeURIComponent(id)}`);
      return true;
    });
    if (done) go("series");
  });
  return button;
}
