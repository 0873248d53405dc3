// The time that each series covers, drawn on one axis, and the sessions of its exchange that it
// lacks.

import { get } from "../../lib/api.js";
import { el, fill } from "../../lib/dom.js";
import { barTime, count, plural, words } from "../../lib/format.js";
import { buildEmpty, buildSection, loadInto } from "../../parts/states.js";
import { buildTable, linkTicker } from "../../parts/table.js";
import { buildGapSteps, nameStretch } from "./gaps.js";

const LISTED = 200;
const COLUMNS = [
  "Series",
  ["Bars", ".number.wide-only"],
  ["From", ".wide-only"],
  ["Covered", ".wide-only"],
  "To",
  "Sessions",
  ["Revision", ".number.wide-only"],
];

/** List the first series whose ticker contains a text, and show totals of all of them. */
export function showCoverage(node, { ticker, market }, signal) {
  const query = { contains: ticker, market };
  const load = () => get("/tickers", { ...query, limit: LISTED }, signal);
  const section = buildSection(load, (page) => draw(page, query, signal), signal);
  fill(node, section.node);
  return section.show();
}

function draw({ items: series, next_cursor: next }, query, signal) {
  if (series.length === 0)
    return query.contains || query.market
      ? buildEmpty("No such series", "Of what was asked about no bars are stored.")
      : buildEmpty("No bars yet", "Drop a file above.");
  const summary = el("p.summary.muted", "\u00a0");
  get("/tickers/summary", query, signal)
    .then((total) => fill(summary, summarize(total)))
    .catch(() => {}); // what is listed stands without it
  const start = Math.min(...series.map((one) => Date.parse(one.first_bar)));
  const end = Math.max(...series.map((one) => Date.parse(one.last_bar)));
  const share = (time) =>
    Math.min(1, Math.max(0, (Date.parse(time) - start) / Math.max(1, end - start)));
  return [
    summary,
    buildTable(
      "Stretches of time",
      COLUMNS,
      series.flatMap((one) => buildRows(one, share, signal)),
      ".coverage",
    ),
    next && el("p.more.muted", `The first ${LISTED} are listed; a ticker above shows others.`),
  ];
}

function summarize({ series, bars, missing, with_gaps: lacking, no_trade: idle }) {
  const where = plural(lacking, "series", "series");
  const gaps = !lacking
    ? "no gap"
    : missing
      ? `${plural(missing, "session")} missing, gaps in ${where}`
      : `bars missing in ${where}, of no session all`;
  const still = idle ? `, nothing traded in ${plural(idle, "bar")}` : "";
  return `${plural(series, "series", "series")}, ${plural(bars, "bar")}${still}, ${gaps}.`;
}

/** How long ago the last bar was, if sessions have ended since. */
const describeBehind = (behind) =>
  behind > 0 && el("div.muted.behind", `${plural(behind, "session")} ago`);

/** The row of a series, and below it a row that lists its gaps on demand. */
function buildRows(one, share, signal) {
  const [from, to] = [share(one.first_bar), share(one.last_bar)];
  const stretch = el(
    "div.stretch",
    { "aria-hidden": "true" },
    el("i", { vars: { "--from": from, "--width": to - from } }),
  );
  const row = el(
    "tr",
    el(
      "td.nowrap",
      linkTicker(one.ticker, { interval: one.interval }),
      " ",
      el("span.muted", one.interval),
      " ",
      one.synthetic && el("span.badge.warn", "synthetic"),
    ),
    el("td.number.wide-only", count(one.bars)),
    el("td.nowrap.wide-only", barTime(one.first_bar, one.interval, one.market)),
    el("td.covered.wide-only", stretch),
    el(
      "td.nowrap",
      barTime(one.last_bar, one.interval, one.market),
      describeBehind(one.sessions_behind),
    ),
  );
  const revision = el(
    "td.number.muted.wide-only",
    { title: "raised by each correction of stored bars" },
    count(one.revision),
  );
  if (!one.coverage?.gap_count) {
    row.append(el("td.nowrap", describeComplete(one.coverage)), revision);
    return [row];
  }
  const details = el("tr.details", { hidden: true }, el("td", { colspan: COLUMNS.length }));
  row.append(el("td.nowrap", buildToggle(one, details, stretch, share, signal)), revision);
  return [row, details];
}

function describeComplete(coverage) {
  if (!coverage)
    return el("span.muted", { title: "counted at the next import" }, "not counted yet");
  return el(
    "span",
    el("span.badge.ok", "complete"),
    el("span.muted.number", ` ${count(coverage.sessions)}`),
  );
}

function buildToggle(one, details, stretch, share, signal) {
  const { missing, sessions, bars_expected: expected, bars_held: held } = one.coverage;
  const button = el(
    "button.button.small",
    { type: "button", "aria-expanded": "false" },
    missing
      ? `${count(missing)} of ${count(sessions)} missing`
      : `${plural(expected - held, "bar")} missing`,
  );
  button.addEventListener("click", () => {
    const isOpen = details.hidden;
    details.hidden = !isOpen;
    button.setAttribute("aria-expanded", String(isOpen));
    if (!isOpen || details.dataset.loaded) return;
    details.dataset.loaded = "true";
    load();
  });
  const path = `/tickers/${encodeURIComponent(one.ticker)}/coverage`;
  const draw = (coverage) => {
    markGaps(stretch, coverage.gaps, share);
    return drawGaps(coverage, load);
  };
  const load = () =>
    loadInto(
      details.firstChild,
      () => get(path, { interval: one.interval }, signal),
      draw,
      signal,
      2,
    );
  return button;
}

function markGaps(stretch, gaps, share) {
  const marks = gaps.map(({ first, last }) => {
    const from = share(first);
    return el("b", { vars: { "--from": from, "--width": share(last) - from } });
  });
  fill(stretch, stretch.firstChild, marks);
}

/** How much of a gap is filled, and what else is known of it. */
function describeGap({ bars_held: held, bars_expected: expected, state, reason }) {
  const part = held > 0 ? `: ${count(held)} of ${plural(expected, "bar")}` : "";
  const known = reason ?? (["filling", "error"].includes(state) ? state : null);
  return known ? `${part} (${words(known)})` : part;
}

function drawGaps({ gaps, interval, gap_count: total }, refresh) {
  if (gaps.length === 0) return el("p.muted", "Nothing lacks that is not known to.");
  return [
    el(
      "ul.chips.gaps",
      { "aria-label": "Sessions that lack bars", tabindex: 0 },
      gaps.map(({ first, last, sessions, ...gap }) =>
        el(
          "li",
          nameStretch(first, last),
          sessions > 1 && el("span.muted", `, ${plural(sessions, "session")}`),
          el("span.muted", describeGap(gap)),
        ),
      ),
    ),
    total > gaps.length && el("p.muted", `The latest ${gaps.length} of ${plural(total, "gap")}.`),
    buildGapSteps(gaps, interval, refresh),
  ];
}
