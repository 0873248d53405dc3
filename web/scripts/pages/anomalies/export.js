// The anomalies of the page as a file for other programs.

import { get, getFile, post } from "../../lib/api.js";
import { el, fill } from "../../lib/dom.js";
import { newIdentifier } from "../../lib/identifier.js";
import { pollRun } from "../../lib/live.js";
import { loadMarkets } from "../../lib/markets.js";
import { buildMenu } from "../../parts/menu.js";
import { attempt, say } from "../../parts/toasts.js";

/** A menu with files of each interval of which bars are stored. */
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
  const buildFile = (label, format, interval, load, data = {}) => {
    const name = `${label} of ${interval} bars`;
    const button = el("button.button.small", { type: "button", "aria-label": name, data }, label);
    button.addEventListener("click", async () => {
      const file = await attempt(button, load);
      if (!file) return;
      const href = URL.createObjectURL(file);
      el("a", { href, download: `anomalies.${format}` }).click();
      URL.revokeObjectURL(href);
      menu.close();
    });
    return button;
  };
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

/** Have a worker write the file, and resolve to it; null where there is none, which is said. */
async function write(filters, interval, signal) {
  const { tickers, ...asked } = Object.fromEntries(listAsked(filters, interval));
  const body = { table: "anomalies", ...asked, tickers: tickers ? [tickers] : [] };
  const { run_id: id } = await post("/exports", body, { key: newIdentifier() });
  const run = await pollRun(id, () => {}, signal);
  if (!run) return null;
  const { files } = await get(`/exports/${id}`, {}, signal);
  const name = Object.keys(files).find((one) => one.endsWith(".parquet"));
  if (name) return getFile(`/exports/${id}/${name}`);
  say(run.error ?? "The export ended without a file: nothing passes the filters.", "bad");
  return null;
}
