// All anomalies: by the filters of the header, in the order of a heading that is clicked, page by
// page; and as a file.

import { get } from "../../lib/api.js";
import { el, fill } from "../../lib/dom.js";
import { barTime, change, frequency, grade, plural, price, words } from "../../lib/format.js";
import { onReturn } from "../../lib/live.js";
import { go, keepInUrl, linkTo } from "../../lib/router.js";
import { findCorrection, linkToAnomaly } from "../../parts/anomaly_list.js";
import { buildFilters, writeDay } from "../../parts/filters.js";
import { buildPaging } from "../../parts/more.js";
import { buildSeverity, buildSeverityBar } from "../../parts/severity.js";
import { buildSortHeads, markSorted } from "../../parts/sorting.js";
import { buildEmpty, buildSection } from "../../parts/states.js";
import { buildTable } from "../../parts/table.js";
import { buildExport } from "./export.js";

const PAGE = 50;
const FIELDS =
  "Ticker,Datetime,interval,market,Close,kind,severity,grade,scope,reasons,suspected_split," +
  "features.return_1,review,opinions,model_version,bars_fingerprint";
const SHOWN_REASONS = 2;
const COLUMNS = [
  { label: "Ticker", by: "Ticker", usual: "Ticker" },
  { label: "Date", by: "Datetime", usual: "-Datetime" },
  { label: "Severity", by: null },
  { label: "Grade", by: "grade", usual: "-grade", kind: ".number" },
  { label: "Kind", by: null, kind: ".wide-only" },
  { label: "Whose move", by: null, kind: ".wide-only" },
  { label: "Return", by: null, kind: ".number" },
  { label: "Close", by: null, kind: ".number.wide-only" },
  { label: "Why", by: null, kind: ".wide-only" },
  { label: "Review", by: null, kind: ".wide-only" },
];
const ORDERS = COLUMNS.filter(({ by }) => by).flatMap(({ by }) => [by, `-${by}`]);

export const title = () => "Anomalies";

export function show(main, route, signal) {
  const asked = route.query.get("sort");
  const state = { order: ORDERS.includes(asked) ? asked : "-Datetime" };
  const changed = () => {
    exporting.update();
    reload();
    tell().catch(() => {}); // the list says what failed
  };
  const filters = buildFilters(route, changed, signal);
  const exporting = buildExport(filters, signal);
  const ask = (cursor) =>
    get(
      "/anomalies",
      { ...filters.query(), sort: state.order, limit: PAGE, cursor, fields: FIELDS },
      signal,
    );
  const choose = (order) => {
    state.order = order;
    keepInUrl({ sort: order === "-Datetime" ? null : order });
    reload();
  };
  const paging = buildPaging(ask, signal);
  const draw = (page) => drawPage(page, { state, paging, choose, filters });
  const list = buildSection(paging.load, draw, signal, 12);
  const reload = () => {
    paging.restart();
    return list.reload();
  };
  const counted = el("p.lead", "Every bar that was found strange, or wrong.");
  const legend = el("div.body");
  let turn = 0;
  const tell = async () => {
    const mine = ++turn;
    const { severity, ...query } = filters.query();
    const { by_severity: counts } = await get("/anomalies/summary", query, signal);
    if (mine !== turn) return;
    const total = Object.values(severity ? { [severity]: counts[severity] ?? 0 } : counts).reduce(
      (a, b) => a + b,
      0,
    );
    fill(counted, plural(total, "anomaly", "anomalies"));
    const link = (chosen) => filters.link({ severity: chosen });
    fill(legend, buildSeverityBar(counts, { chosen: severity, link }));
  };
  tell().catch(() => {});
  onReturn(() => tell().catch(() => {}), signal);
  list.show();
  fill(
    main,
    el("div.head", el("div", el("h1", "Anomalies"), counted), exporting.node),
    el(
      "div.stack",
      filters.node,
      el("section.card", { "aria-label": "Anomalies" }, legend, list.node),
    ),
  );
}

function drawPage({ items, next_cursor: next }, { state, paging, choose, filters }) {
  if (items.length === 0) {
    const isFiltered = Object.values(filters.values).some(Boolean);
    return buildEmpty(
      isFiltered ? "None is like that" : "No anomalies yet",
      isFiltered
        ? "No anomaly passes the filters; clear one to see more."
        : "A backfill looks at bars that are stored; the Overview offers one for each market.",
      ...(isFiltered ? [] : [el("a.button", { href: linkTo("overview") }, "Overview")]),
    );
  }
  const body = el("tbody", items.map(buildRow));
  const add = (found) => body.append(...found.map(buildRow));
  const heads = buildSortHeads(COLUMNS, state.order, choose);
  const columns = COLUMNS.map(({ kind = "" }, n) => [heads[n], kind]);
  const table = buildTable("List of anomalies", columns, body, ".found-table");
  markSorted(table, COLUMNS, state.order);
  return [table, paging.offer(next, add)];
}

function buildRow(anomaly) {
  const move = anomaly.features.return_1;
  const day = writeDay(Date.parse(anomaly.Datetime));
  const across = { market: anomaly.market, interval: anomaly.interval };
  const open = ({ target }) => {
    if (target.closest("a")) return;
    go("ticker", anomaly.Ticker, { interval: anomaly.interval, anomaly: anomaly.Datetime });
  };
  return el(
    "tr.link",
    { on: { click: open } },
    el(
      "td.nowrap",
      el("a.ticker-name", { href: linkToAnomaly(anomaly) }, anomaly.Ticker),
      " ",
      el("span.muted.wide-only", anomaly.interval),
    ),
    el(
      "td.nowrap",
      el(
        "a.day",
        { href: linkTo("day", day, across), title: "The day across the market" },
        barTime(anomaly.Datetime, anomaly.interval, anomaly.market),
      ),
    ),
    el("td", buildSeverity(anomaly.severity)),
    el("td.number", { title: frequency(anomaly.grade) }, grade(anomaly.grade)),
    el(
      "td.wide-only",
      anomaly.kind === "fault" ? el("span.badge.warn", "fault") : "event",
      anomaly.kind === "event" && anomaly.suspected_split && [" ", el("span.badge.warn", "split?")],
      findCorrection(anomaly) && [" ", el("span.badge.warn", "corrected since")],
    ),
    el("td.wide-only", anomaly.scope ?? el("span.muted", "–")),
    el("td.number.nowrap", change(move)),
    el("td.number.wide-only", price(anomaly.Close)),
    el(
      "td.wide-only.why",
      { title: anomaly.reasons.join(", ") },
      anomaly.reasons.slice(0, SHOWN_REASONS).join(", "),
    ),
    el("td.wide-only.nowrap", drawReview(anomaly.review)),
  );
}

/** What people said an anomaly was, or else the state of its alert. */
function drawReview(review) {
  if (!review) return el("span.muted", "no alert");
  const said = review.feedback ? words(review.feedback) : review.state;
  return el(
    "a",
    { href: linkTo("alerts", review.alert_id) },
    el(review.feedback ? "span.badge.ok" : "span.badge", {}, said),
    review.owner && el("span.muted", ` ${review.owner}`),
  );
}
