// The result of a run other than a detection: an import report, or the verdict on each verified
// anomaly.

import { get, getFile } from "../../lib/api.js";
import { el } from "../../lib/dom.js";
import { barTime, change, count, figure, plural } from "../../lib/format.js";
import { linkTo } from "../../lib/router.js";
import { buildFileButton } from "../../parts/file.js";
import { buildPagedTable } from "../../parts/paged_table.js";
import { buildEmpty } from "../../parts/states.js";
import { linkTicker } from "../../parts/table.js";
import { buildVerdict } from "../../parts/verdicts.js";
import { buildReport } from "../data/report.js";

const PART = 50;
const COLUMNS = [
  "Anomaly",
  "Verdict",
  ["What moved", ".wide-only"],
  ["Stored score", ".number.wide-only"],
  ["Today", ".number"],
];

export function buildResult(run, signal) {
  if (run.task === "verify") return buildVerdicts(run, signal);
  if (run.task === "export" && run.result.files) return buildFiles(run);
  if (run.result.overview) return buildOverview(run.result.overview, run.interval);
  const content =
    ["import", "fetch", "fill"].includes(run.task) && run.result.series
      ? buildReport(run, signal)
      : el("pre", JSON.stringify(run.result, null, 2));
  return el("section.card", el("header", el("h2", "Result")), el("div.body", content));
}

/** The files of an export, which are kept for a week. */
function buildFiles({ _id: id, result: { rows, files } }) {
  return el(
    "section.card",
    el("header", el("h2", "Files"), el("span.muted", plural(rows, "row"))),
    el(
      "div.body.row",
      files.map(({ name, bytes }) =>
        buildFileButton(
          `${name}, ${count(Math.ceil(bytes / 1024))} kB`,
          name,
          () => getFile(`/exports/${id}/${encodeURIComponent(name)}`),
        ),
      ),
    ),
  );
}

/** What the markets of a scan did at their latest computed bar. */
function buildOverview(markets, interval) {
  const drawMarket = (market) =>
    el(
      "div.stack.tight",
      el(
        "div.row",
        el("a", { href: linkTo("market", market.market) }, market.market),
        el("span.muted.number", barTime(market.time, interval)),
        el("span.number", change(Math.expm1(market.return ?? 0))),
      ),
      el("p", market.words.join("; ") || "Nothing out of the ordinary."),
    );
  return el(
    "section.card",
    el("header", el("h2", "The markets meanwhile")),
    el(
      "div.body.stack",
      markets.length > 0
        ? markets.map(drawMarket)
        : el("p.muted", "Nothing was computed of these markets yet."),
    ),
  );
}

function buildVerdicts(run, signal) {
  const counts = Object.entries(run.result.verdicts);
  const list = buildPagedTable(
    {
      name: "Verdicts",
      columns: COLUMNS,
      load: (cursor) =>
        get(`/detection-runs/${run._id}/verifications`, { limit: PART, cursor }, signal),
      buildRow,
      buildEmpty: () =>
        buildEmpty(
          "Nothing was derived again",
          run.failures.length
            ? "Why, is said of each ticker above."
            : "What the run was asked for has no anomalies.",
        ),
    },
    signal,
  );
  list.show();
  return el(
    "section.card",
    el(
      "header",
      el("h2", "Derived again"),
      el(
        "div.row",
        counts.map(([name, number]) => el("span.row.inline", buildVerdict(name), count(number))),
      ),
    ),
    Object.entries(run.result.not_derived ?? {}).map(([version, number]) =>
      el(
        "p.more.muted",
        `Not derived again: ${plural(number, "anomaly", "anomalies")} of ${version}.`,
      ),
    ),
    list.node,
  );
}

function buildRow(found) {
  const { ticker, interval, datetime } = found;
  return el(
    "tr",
    el(
      "td.nowrap",
      linkTicker(ticker, { interval, anomaly: datetime }),
      " ",
      el("span.muted", barTime(datetime, interval)),
    ),
    el("td", buildVerdict(found.verdict)),
    el("td.wide-only", found.cause ?? "nothing"),
    el("td.number.wide-only", figure(found.original_score)),
    el("td.number", figure(found.current_score)),
  );
}
