// The quality of each series' bars, the worst first, with the parts of the score.

import { get } from "../../lib/api.js";
import { el, fill } from "../../lib/dom.js";
import { barTime, figure, plural } from "../../lib/format.js";
import { buildPagedTable } from "../../parts/paged_table.js";
import { buildEmpty } from "../../parts/states.js";
import { linkTicker } from "../../parts/table.js";

const PART = 50;
const COLUMNS = [
  "Series",
  ["Score", ".number"],
  "What takes points off",
  ["Complete", ".number.wide-only"],
  ["Last bar", ".wide-only"],
];
const share = (value) => `${figure(value * 100)} %`;
const shareOf = (what) => [what, (value) => `${share(value)} ${what}`];
const countOf = (one, many = `${one}s`) => [many, (value) => plural(value, one, many)];
// In the order of the API's formula: what each figure is called, and what is said of it.
const FIGURES = {
  lacking_share: shareOf("bars missing"),
  sessions_behind: countOf("session behind", "sessions behind"),
  rejected_share: shareOf("rows rejected"),
  revisions: countOf("revision in 30 days", "revisions in 30 days"),
  open_gaps: countOf("open gap"),
  stale_runs: countOf("stale run"),
  no_volume_share: shareOf("bars without volume"),
  suspected_splits: countOf("suspected split"),
};
const GOOD = 90;
const FAIR = 70;

export function showQuality(node, asked, signal) {
  const formula = el("div");
  const table = buildPagedTable(buildList(asked, formula, signal), signal);
  fill(node, table.node, formula);
  return table.show();
}

function buildList(asked, formula, signal) {
  const load = async (cursor) => {
    const page = await get("/data/quality", { ...asked, limit: PART, cursor }, signal);
    const known = formula.firstChild ?? buildFormula(page.formula); // an opened row stays open
    fill(formula, page.items.length > 0 && known);
    return page;
  };
  return {
    name: "Quality of series",
    columns: COLUMNS,
    load,
    buildRow,
    buildEmpty: () =>
      buildEmpty("No such series", "Of what was asked about no bars are stored."),
  };
}

function buildRow(one) {
  return el(
    "tr",
    el(
      "td.nowrap",
      linkTicker(one.ticker, { interval: one.interval }),
      " ",
      el("span.muted", one.interval),
    ),
    el("td.number", el(`span.badge.${grade(one.score)}`, writeScore(one.score))),
    el("td", describeDeductions(one)),
    el("td.number.wide-only", one.completeness === null ? "–" : share(one.completeness)),
    el("td.nowrap.wide-only", barTime(one.last_bar, one.interval)),
  );
}

/** Rounded down: a score below a limit must not look like the limit. */
const writeScore = (score) => (Math.floor(10 * score + 1e-9) / 10).toFixed(1);

function grade(score) {
  if (score >= GOOD) return "ok";
  return score >= FAIR ? "warn" : "bad";
}

/** "12 open gaps −5" of each figure that takes points off, the heaviest first. */
function describeDeductions({ figures, deductions, jumps }) {
  const found = Object.entries(deductions).sort(([, one], [, other]) => other - one);
  if (found.length === 0) return el("span.muted", "nothing");
  return el(
    "ul.chips.deductions",
    found.map(([name, points]) => {
      const [, describe] = FIGURES[name];
      const days = jumps.map((day) => barTime(day, "1d")).join(", ");
      return el(
        "li",
        name === "suspected_splits" && { title: days },
        `${describe(figures[name])} `,
        el("span.muted", `−${figure(points)}`),
      );
    }),
  );
}

function buildFormula(rules) {
  return el(
    "details.formula",
    el("summary", "How the score is made"),
    el("p", "100, less for each figure the figure times its factor, at most so many points:"),
    el(
      "ul",
      rules.map(({ figure: name, points, most, counts }) =>
        el(
          "li",
          `${FIGURES[name][0]} × ${figure(points)}, at most ${plural(most, "point")}: `,
          el("span.muted", counts),
        ),
      ),
    ),
  );
}
