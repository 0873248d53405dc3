// A ticker whose bars are gone: the anomalies that were found in them are still shown.

import { el } from "../../lib/dom.js";
import { buildSelection } from "./selection.js";

const NO_CHART = { select() {}, setAnomalies() {} };

/**
 * @param {object[]} found the anomalies
 * @param {{ticker: string, interval: string, anomaly: string|null}} asked
 */
export function drawGone(found, { ticker, interval, anomaly }, signal) {
  const selection = buildSelection(NO_CHART, anomaly, () => {}, signal);
  selection.set(found, "");
  return [
    el("div.head", el("h1", ticker)),
    el(
      "p.notice.warn",
      `No ${interval} bars of ${ticker} are stored any more: what was found in them is kept.`,
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
