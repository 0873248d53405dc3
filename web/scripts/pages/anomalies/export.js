// Exporting the anomalies of the page as a file.

import { getFile } from "../../lib/api.js";
import { el, fill } from "../../lib/dom.js";
import { loadMarkets } from "../../lib/markets.js";
import { buildFileButton, writeFile } from "../../parts/file.js";
import { buildMenu } from "../../parts/menu.js";

/** A menu of files, for each interval with stored bars. */
export function buildExport(filters, signal) {
  const list = el("div.stack.tight");
  const menu = buildMenu("Export", list, signal);
  let intervals = [];
  const update = () => {
    const hindrance = findHindrance(filters.values);
    fill(
      list,
      el("p.muted", hindrance ?? "What passes the filters, by ticker and time."),
      !hindrance && intervals.map(buildRow),
    );
  };
  const buildRow = (interval) =>
    el(
      "div.row",
      el("span.muted", `${interval} bars`),
      buildFile("CSV", "csv", interval, () =>
        getFile(`/export/anomalies?${new URLSearchParams(listAsked(filters, interval))}`),
      ),
      buildFile("Parquet", "parquet", interval, () => write(filters, interval, signal), {
        needs: "enqueue",
      }),
    );
  const buildFile = (label, format, interval, load, data = {}) =>
    buildFileButton(
      label,
      `anomalies.${format}`,
      load,
      { "aria-label": `${label} of ${interval} bars`, data },
      () => menu.close(),
    );
  loadMarkets(signal)
    .then((markets) => {
      intervals = [...new Set(markets.flatMap((market) => market.intervals))];
      menu.node.hidden = intervals.length === 0;
      update();
    })
    .catch(() => {}); // without it there is nothing to export either
  update();
  return { node: menu.node, update };
}

function findHindrance(values) {
  const whose = ["ticker", "market", "watchlist"].filter((name) => values[name]);
  return whose.length > 1 ? `A file is of one of ${whose.join(", ")}: clear the others.` : null;
}

function listAsked(filters, interval) {
  const { ticker, ...query } = filters.query();
  return Object.entries({ ...query, tickers: ticker, interval }).filter(([, value]) => value);
}

function write(filters, interval, signal) {
  const { tickers, ...asked } = Object.fromEntries(listAsked(filters, interval));
  const body = { table: "anomalies", ...asked, tickers: tickers ? [tickers] : [] };
  return writeFile(body, "nothing passes the filters", signal);
}
