// Models of single series: the list of all, and one in full.

import { get } from "../../lib/api.js";
import { el } from "../../lib/dom.js";
import { count, moment } from "../../lib/format.js";
import { go, linkTo } from "../../lib/router.js";
import { buildPagedTable } from "../../parts/paged_table.js";
import { buildEmpty } from "../../parts/states.js";
import { buildFit } from "./fit.js";
import { showSeries } from "./one.js";

const COLUMNS = [
  "Series",
  "Latest",
  "Detector",
  ["Stored predictions", ".number.wide-only"],
  ["Changed", ".wide-only"],
];

export const title = (route) => route.name ?? "Series";

export function show(main, route, signal) {
  if (route.name) return showSeries(main, route, signal);
  const list = buildPagedTable(
    {
      name: "Series",
      columns: COLUMNS,
      load: (cursor) => get("/series", { cursor }, signal),
      buildRow,
      buildEmpty: () => buildEmpty("No series yet", "Drop a CSV above."),
    },
    signal,
  );
  main.replaceChildren(
    el(
      "div.head",
      el(
        "div",
        el("h1", "Series"),
        el(
          "p.lead",
          "Any history of numbers: send it once, then ask of each new point whether it is strange.",
        ),
      ),
    ),
    el(
      "div.stack",
      buildFit((fitted) => go("series", fitted.series_id)),
      el(
        "section.card",
        { "aria-label": "Series with models" },
        el("header", el("h2", "Series with models")),
        list.node,
      ),
    ),
  );
  return list.show();
}

function buildRow(series) {
  return el(
    "tr.link",
    { on: { click: () => go("series", series._id) } },
    el("td", el("a.ticker-name", { href: linkTo("series", series._id) }, series._id)),
    el("td", `v${series.latest}`),
    el("td", series.detector),
    el("td.number.wide-only", count(series.predictions)),
    el("td.nowrap.muted.wide-only", moment(series.updated_at)),
  );
}
