// The audit records of a run's tickers, page by page, by status and reason.

import { get } from "../../lib/api.js";
import { el } from "../../lib/dom.js";
import { count, duration, words } from "../../lib/format.js";
import { buildPagedTable } from "../../parts/paged_table.js";
import { buildProse } from "../../parts/prose.js";
import { buildStatus } from "../../parts/run_progress.js";
import { buildSelect } from "../../parts/select.js";
import { buildEmpty } from "../../parts/states.js";
import { linkTicker } from "../../parts/table.js";

const PART = 50;
const STATUSES = ["complete", "failed"];
const COLUMNS = [
  "Ticker",
  "Status",
  "Reason",
  ["Bars loaded", ".number.wide-only"],
  ["Scored", ".number"],
  ["Anomalies", ".number"],
  ["Model", ".wide-only"],
  ["Took", ".number.wide-only"],
];

export function buildTickers(run, signal) {
  const wanted = { status: "", reason: "" };
  const load = (cursor) =>
    get(`/detection-runs/${run._id}/tickers`, { ...wanted, limit: PART, cursor }, signal);
  const list = buildPagedTable(
    { name: "Tickers of the run", columns: COLUMNS, load, buildRow, buildEmpty: drawEmpty },
    signal,
  );
  const buildFilter = (label, name, options) =>
    buildSelect(label, [["", "all"], ...options], "", (value) => {
      wanted[name] = value;
      list.show();
    });
  const reasons = Object.entries(run.reasons).sort((a, b) => b[1] - a[1]);
  list.show();
  return el(
    "section.card",
    { "aria-label": "Tickers" },
    el(
      "header",
      el("h2", "Tickers"),
      el(
        "div.row",
        buildFilter(
          "Status",
          "status",
          STATUSES.map((status) => [status, words(status)]),
        ),
        reasons.length > 0 &&
          buildFilter(
            "Reason",
            "reason",
            reasons.map(([reason, number]) => [reason, `${words(reason)} (${count(number)})`]),
          ),
      ),
    ),
    list.node,
  );
}

const drawEmpty = () => buildEmpty("No such tickers", "No ticker of this run has ended so.");

function buildRow(audit) {
  return el(
    "tr",
    el("td.nowrap", linkTicker(audit.ticker, { interval: audit.interval })),
    el("td", buildStatus(audit)),
    el("td", describeReason(audit)),
    el("td.number.wide-only", count(audit.rows_loaded)),
    el("td.number", count(audit.rows_processed)),
    el("td.number", count(audit.anomalies_found)),
    el("td.nowrap.wide-only", audit.model_version ?? "–"),
    el("td.number.nowrap.wide-only", duration(audit.duration_seconds)),
  );
}

function describeReason({ reason, error, bars_needed: needed, bars_present: present }) {
  if (!reason) return "–";
  const detail =
    error ??
    (needed ? `${count(present)} of the ${count(needed)} bars that a first result takes` : null);
  return [words(reason), detail && el("div.muted", buildProse(detail))];
}
