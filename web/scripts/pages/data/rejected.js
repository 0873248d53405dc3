// Rows that imports kept aside, each with its reason and as its source wrote it.

import { get } from "../../lib/api.js";
import { el, fill } from "../../lib/dom.js";
import { count, words } from "../../lib/format.js";
import { buildAge } from "../../parts/age.js";
import { buildPagedTable } from "../../parts/paged_table.js";
import { buildEmpty } from "../../parts/states.js";

const PART = 50;
const COLUMNS = ["Series", "Time", "Reason", "Values", ["Source", ".wide-only"], "When"];

export function showRejected(node, { ticker }, signal) {
  const list = {
    name: "All rejected rows",
    columns: COLUMNS,
    load: (cursor) => get("/data/rejected", { ticker, limit: PART, cursor }, signal),
    buildRow,
    buildEmpty: () =>
      buildEmpty(
        "No row was rejected",
        "Rows that cannot be right, such as a high below its low or a day on which the " +
          "exchange was closed, are kept aside and listed here.",
      ),
  };
  const table = buildPagedTable(list, signal);
  fill(node, table.node);
  return table.show();
}

function buildRow(row) {
  return el(
    "tr",
    el("td.nowrap", el("strong", row.ticker), " ", el("span.muted", row.interval)),
    el("td.nowrap", row.time),
    el("td", el("span.badge.warn", words(row.reason))),
    el("td.nowrap", el("code", writeValues(row.values))),
    el("td.muted.wide-only", `${row.source}, row ${count(row.row)}`),
    el("td.muted.nowrap", buildAge(row.rejected_at)),
  );
}

export const writeValues = (values) =>
  Object.entries(values)
    .map(([name, value]) => `${name} ${value}`)
    .join(", ");
