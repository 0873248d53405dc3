// The card of anomalies: the latest or the strongest.

import { get } from "../../api.js";
import { el } from "../../dom.js";
import { keepInUrl } from "../../router.js";
import { buildAnomalyList } from "../../parts/anomaly_list.js";
import { buildChoice } from "../../parts/choice.js";
import { buildSparkline } from "../../parts/sparkline.js";
import { buildEmpty, loadInto } from "../../parts/states.js";

const SHOWN = 12;
const ORDERS = [
  ["latest", "Latest"],
  ["strongest", "Strongest"],
];
const SORTS = { latest: "-Datetime", strongest: "anomaly_score" };

export function buildAnomalyCard(route, signal) {
  const body = el("div");
  const draw = (order) =>
    loadInto(
      body,
      () => get("/anomalies", { sort: SORTS[order], limit: SHOWN }, signal),
      ({ items }) =>
        items.length
          ? el("div.with-spark", buildAnomalyList(items, { extra: (anomaly) => buildSparkline(anomaly, signal) }))
          : buildEmpty(
              "No anomalies yet",
              "Open a ticker and ask for a backfill: its history is scored and the strange bars appear here.",
            ),
      signal,
      SHOWN,
    );
  const order = route.query.get("order") === "latest" ? "latest" : "strongest";
  draw(order);
  const choose = (chosen) => {
    keepInUrl({ order: chosen === "strongest" ? null : chosen });
    draw(chosen);
  };
  return el(
    "section.card",
    { "aria-labelledby": "anomalies-title" },
    el("header", el("h2", { id: "anomalies-title" }, "Anomalies"), buildChoice("Order", ORDERS, order, choose)),
    body,
  );
}
