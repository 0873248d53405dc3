// A ticker whose bars are gone: what was found in them is still told.

import { el } from "../../lib/dom.js";
import { buildProse } from "../../parts/prose.js";
import { buildSelection } from "./selection.js";

const NO_CHART = { select() {}, setAnomalies() {} };

/**
 * @param {object[]} found the anomalies
 * @param {{ticker: string, anomaly: string|null}} asked
 * @param {string} reason why there is no chart, as the API says it
 */
export function drawGone(found, { ticker, anomaly }, reason, signal) {
  const selection = buildSelection(NO_CHART, anomaly, () => {}, signal);
  selection.set(found, "");
  return [
    el("div.head", el("h1", ticker)),
    el(
      "p.notice.warn",
      el("span", buildProse(reason), ". What was found while there were bars is kept."),
    ),
    el(
      "div.ticker-layout",
      el(
        "section.card.found",
        el("header", el("h2", "All anomalies"), el("span.muted", "latest first")),
        selection.list,
      ),
      selection.panel,
    ),
  ];
}
