// What followed anomalies like an alert's, of all tickers.

import { get } from "../../lib/api.js";
import { el, fill } from "../../lib/dom.js";
import { change, plural } from "../../lib/format.js";
import { buildTable } from "../../parts/table.js";

const HORIZONS = [1, 5, 20];
const COLUMNS = [
  "After",
  ["Known", ".number"],
  ["Quarter below", ".number"],
  ["Median", ".number"],
  ["Quarter above", ".number"],
];

/**
 * Return a card that is filled when the answer arrives, and stays hidden if there is nothing to
 * show.
 */
export function drawFollowed(alert, signal) {
  const body = el("div.body.stack");
  const card = el(
    "section.card",
    { "aria-label": "What followed", hidden: true },
    el("header", el("h2", "What followed anomalies like this")),
    body,
  );
  get(`/alerts/${encodeURIComponent(alert._id)}/followed`, {}, signal)
    .then((told) => {
      fill(body, drawTable(told));
      card.hidden = false;
    })
    .catch(() => {}); // the alert stands without it
  return card;
}

function drawTable({ like, followed }) {
  const rows = HORIZONS.map((ahead) => {
    const of = followed[`after_${ahead}`];
    const share = (value) => el("td.number.nowrap", value === null ? "–" : change(value));
    return el(
      "tr",
      el("td.nowrap", plural(ahead, "bar")),
      el("td.number", String(of.count)),
      share(of.first_quartile),
      share(of.median),
      share(of.third_quartile),
    );
  });
  const scope = like.scope ? `${like.scope} moves` : "moves of no known scope";
  return [
    el(
      "p.muted",
      `${plural(like.anomalies, "anomaly", "anomalies")} of ${plural(like.tickers, "ticker")}: ` +
        `${like.severity}, ${like.direction}, ${scope}, market ${like.market}, ${like.interval}.`,
    ),
    buildTable(
      "Returns after so many bars",
      COLUMNS,
      el("tbody", rows),
    ),
  ];
}
