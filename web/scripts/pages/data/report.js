// The report of an import, ticker by ticker, with the rejected rows and their reasons.

import { el } from "../../lib/dom.js";
import { count, plural, words } from "../../lib/format.js";
import { buildMore } from "../../parts/more.js";
import { buildProse } from "../../parts/prose.js";
import { buildStatus } from "../../parts/run_progress.js";
import { buildTable, linkTicker } from "../../parts/table.js";
import { writeValues } from "./rejected.js";

const LISTED_ROWS = 100;
const PART = 100;
const COUNTS = [
  ["Read", ".number.wide-only", "read"],
  ["New", ".number", "new"],
  ["Changed", ".number", "changed"],
  ["Unchanged", ".number.wide-only", "unchanged"],
  ["Rejected", ".number", "rejected_rows"],
];

/** @param {object} run a finished import */
export function buildReport(run, signal) {
  const report = run.result;
  if (!report)
    return el(
      "p.row",
      buildStatus(run),
      el("strong", run.options.filename),
      el("span", buildProse(run.error ?? words(run.reason ?? run.status))),
    );
  const rejected = report.series.flatMap((series) =>
    series.rejected.map((row) => ({ ...row, ticker: series.ticker })),
  );
  return el(
    "div.stack",
    el("p.row", buildStatus(run), el("strong", report.source), el("span.muted", summarize(report))),
    buildFiles(report.files ?? []),
    buildSeriesTable(report.series, signal),
    report.series_total > report.series.length &&
      el("p.muted", `and ${count(report.series_total - report.series.length)} more tickers`),
    rejected.length > 0 && buildRejected(rejected, report.rejected_rows),
  );
}

function summarize(report) {
  return (
    `${plural(report.read, "row")} of ` +
    `${plural(report.series_total ?? report.series.length, "series", "series")} read: ` +
    `${count(report.new)} new, ` +
    `${count(report.changed)} changed, ${count(report.unchanged)} unchanged, ` +
    `${count(report.rejected_rows)} rejected`
  );
}

/** How the columns, numbers and times of the files were read, and which files could not be. */
function buildFiles(files) {
  const told = files.filter((file) => file.error || file.skipped || file.notes.length > 0);
  if (told.length === 0) return null;
  return el(
    "ul.muted.plain",
    told.flatMap((file) =>
      [file.error, file.skipped && `skipped, ${file.skipped}`, ...file.notes]
        .filter(Boolean)
        .map((text) => el("li", files.length > 1 && el("strong", `${file.name}: `), text)),
    ),
  );
}

/**
 * A row for each series, some at each click, because a whole market has ten thousand: first those
 * that failed, then those with rejected rows, the most first, then those with notes, which all may
 * have.
 */
function buildSeriesTable(all, signal) {
  const rank = (one) =>
    one.error ? 0 : one.rejected_rows > 0 ? 1 : one.notes.length > 0 ? 2 : 3;
  const series = [...all].sort(
    (one, other) => rank(one) - rank(other) || other.rejected_rows - one.rejected_rows,
  );
  const names = ["Ticker", ...COUNTS.map(([name, kind]) => [name, kind]), "Notes"];
  const body = el("tbody", series.slice(0, PART).map(buildRow));
  const follow = (from) => (from < series.length ? from : null);
  const load = async (from) => ({
    items: series.slice(from, from + PART),
    next_cursor: follow(from + PART),
  });
  const add = (more) => body.append(...more.map(buildRow));
  return [
    buildTable("Import report", names, body),
    buildMore(follow(PART), load, add, signal),
  ];
}

function buildRow(one) {
  return el(
    "tr",
    el("td", linkTicker(one.ticker, { interval: one.interval })),
    COUNTS.map(([, kind, field]) => el(`td${kind}`, count(one[field]))),
    el("td.muted", one.error ?? one.notes.join("; ")),
  );
}

function buildRejected(rows, total) {
  return el(
    "details",
    { open: rows.length <= 20 },
    el(
      "summary",
      `Rejected rows: ${count(total)}`,
      total > LISTED_ROWS ? `, the first ${LISTED_ROWS} shown` : "",
    ),
    buildTable(
      "Rejected rows",
      ["Row", "Ticker", "Time", "Reason", "Values"],
      rows
        .slice(0, LISTED_ROWS)
        .map((row) =>
          el(
            "tr",
            el("td", count(row.row)),
            el("td", row.ticker),
            el("td.nowrap", row.time),
            el("td", words(row.reason)),
            el("td", el("code", writeValues(row.values))),
          ),
        ),
    ),
  );
}
