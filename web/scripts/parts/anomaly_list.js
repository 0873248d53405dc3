// Anomalies as a list, one line each, every line a link to its chart.

import { el } from "../lib/dom.js";
import { barTime, change, frequency, grade, price } from "../lib/format.js";
import { linkTo } from "../lib/router.js";
import { buildSeverity } from "./severity.js";

const SHOWN_REASONS = 2; // the reasons with the most weight; all are on the ticker's page

// The fields of an anomaly that a line shows; a long list requests only these.
export const LISTED_FIELDS =
  "Ticker,Datetime,interval,market,Close,kind,severity,grade,reasons,suspected_split," +
  "features.return_1,opinions,model_version,bars_fingerprint";

/**
 * The latest result for a bar that was corrected after its anomaly was written; or null. A
 * corrected high or low does not show in the close; it shows when the same model finds another kind
 * in other bars.
 */
export function findCorrection({ opinions, ...first }) {
  const latest = opinions.at(-1);
  if (latest?.Close == null) return null; // anomalies of earlier versions have no close
  const differs = (name) => latest[name] !== first[name];
  const isOther = differs("kind") && differs("bars_fingerprint") && !differs("model_version");
  return differs("Close") || isOther ? latest : null;
}

export const linkToAnomaly = (anomaly) =>
  linkTo("ticker", anomaly.Ticker, { interval: anomaly.interval, anomaly: anomaly.Datetime });

/**
 * @param {object[]} anomalies as the API lists them
 * @param {{withTicker?: boolean, extra?: (anomaly: object) => Node}} options `extra` draws a
 * picture into each line
 */
export function buildAnomalyList(anomalies, { withTicker = true, extra = null } = {}) {
  return el(
    "ul.anomalies",
    anomalies.map((anomaly) => buildItem(anomaly, withTicker, extra)),
  );
}

function buildItem(anomaly, withTicker, extra) {
  const date = barTime(anomaly.Datetime, anomaly.interval, anomaly.market);
  const move = anomaly.features.return_1;
  return el(
    "li",
    el(
      "a.anomaly",
      { href: linkToAnomaly(anomaly), data: { id: anomaly._id } },
      el(
        "span.what",
        withTicker && el("span.ticker-name", anomaly.Ticker),
        el("span.when.number", date),
      ),
      el("span.how", buildSeverity(anomaly.severity)),
      extra && el("span.spark", extra(anomaly)),
      el("span.price.number", price(anomaly.Close)),
      el(`span.move.number.${move < 0 ? "fell" : "rose"}`, change(move)),
      el(
        "span.grade.number",
        { title: frequency(anomaly.grade) },
        el("span.hidden-text", "grade "),
        grade(anomaly.grade),
      ),
      el(
        "span.why",
        { title: anomaly.reasons.join(", ") },
        anomaly.bars_gone_at && [el("span.badge.warn", "bar gone"), " "],
        findCorrection(anomaly) && [el("span.badge.warn", "corrected since"), " "],
        anomaly.kind === "fault" && [el("span.badge.warn", "fault"), " "],
        anomaly.kind !== "fault" &&
          anomaly.suspected_split && [el("span.badge.warn", "split?"), " "],
        anomaly.reasons.slice(0, SHOWN_REASONS).join(", "),
      ),
    ),
  );
}
