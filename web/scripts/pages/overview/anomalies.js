// The card of anomalies: the latest or the strangest.

import { get } from "../../lib/api.js";
import { el } from "../../lib/dom.js";
import { keepInUrl, linkTo } from "../../lib/router.js";
import { LISTED_FIELDS, buildAnomalyList } from "../../parts/anomaly_list.js";
import { buildChoice } from "../../parts/choice.js";
import { buildSparkline } from "../../parts/sparkline.js";
import { buildEmpty, buildSection } from "../../parts/states.js";

const SHOWN = 12;
const ORDERS = [
  ["latest", "Latest"],
  ["strangest", "Strangest"],
  ["faults", "Faults"],
];
// Faults have an order of their own.
const ASKED = {
  latest: { sort: "-Datetime" },
  strangest: { sort: "-grade", kind: "event" },
  faults: { sort: "-Datetime", kind: "fault" },
};

export function buildAnomalyCard(route, filters, signal) {
  const asked = route.query.get("order");
  let order = asked in ASKED ? asked : "latest";
  const load = () => {
    const { kind, ...query } = filters.query();
    const all = { ...query, kind, ...ASKED[order], ...(kind && { kind }) };
    return get("/anomalies", { ...all, limit: SHOWN, fields: LISTED_FIELDS }, signal);
  };
  const draw = ({ items }) => drawList(items, order, filters, signal);
  const section = buildSection(load, draw, signal, SHOWN);
  const choose = (chosen) => {
    order = chosen;
    keepInUrl({ order: chosen === "latest" ? null : chosen });
    section.show();
  };
  section.show();
  const choice = buildChoice("Order", ORDERS, order, choose);
  const all = el("a.all", { href: linkTo("anomalies") }, "All anomalies");
  const node = el(
    "section.card",
    { "aria-labelledby": "anomalies-title" },
    el("header", el("h2", { id: "anomalies-title" }, "Anomalies"), el("div.row", choice.node, all)),
    section.node,
  );
  const reload = () => {
    all.href = linkTo("anomalies");
    return section.reload();
  };
  return { node, refresh: section.refresh, reload };
}

function drawList(anomalies, order, { values }, signal) {
  if (anomalies.length === 0 && Object.values(values).some(Boolean))
    return buildEmpty("None is like that", "No anomaly passes the filters; clear one to see more.");
  if (anomalies.length === 0 && order === "faults")
    return buildEmpty("No faults", "No stored bar looks wrong by the rules for faults of feeds.");
  if (anomalies.length === 0)
    return buildEmpty(
      "No anomalies yet",
      "Those of bars that were looked at appear here: a backfill looks at what is stored.",
    );
  return el(
    "div.with-spark",
    buildAnomalyList(anomalies, { extra: (anomaly) => buildSparkline(anomaly, signal) }),
  );
}
