// The status of a series, and why it has a result or none.

import { el } from "../../lib/dom.js";
import { barTime, change, count, plural, price, words } from "../../lib/format.js";
import { INTERVALS } from "../../lib/intervals.js";
import { go, linkTo } from "../../lib/router.js";
import { buildAge, buildNext } from "../../parts/age.js";
import { buildChoice } from "../../parts/choice.js";
import { buildFacts } from "../../parts/facts.js";
import { buildFirstLook } from "../../parts/first_look.js";
import { buildProse } from "../../parts/prose.js";
import { writePanes } from "./pane_menu.js";

const KINDS = {
  up_to_date: "ok",
  behind: "warn",
  never_detected: "warn",
  in_progress: "busy",
  failed: "bad",
};

const FIRST = new Set(["no_model", "never_detected"]);

/**
 * @param {object[]} bars the last two
 * @param {string[]} intervals of which the ticker has bars
 * @param {{panes: string[]}} asked what is kept where another interval is chosen
 */
export function drawHead(status, bars, intervals, { panes }) {
  const [before, last] = [bars.at(-2), bars.at(-1)];
  const goTo = (interval) => go("ticker", status.ticker, { interval, panes: writePanes(panes) });
  return [
    el(
      "div.row",
      el("h1", status.ticker),
      el("span.badge", status.market),
      intervals.length > 1
        ? buildChoice("Interval", sortIntervals(intervals), status.interval, goTo).node
        : el("span.badge", status.interval),
      status.synthetic && el("span.badge.warn", "synthetic bars"),
    ),
    last &&
      el(
        "p.lead.number",
        el("strong", price(last.close)),
        before && ` ${change(last.close / before.close - 1)}`,
        ` on ${barTime(last.time, status.interval)}`,
      ),
  ];
}

const sortIntervals = (intervals) =>
  INTERVALS.filter((one) => intervals.includes(one)).map((one) => [one, one]);

export function drawStatus(status) {
  const run = status.last_run;
  const kind = KINDS[status.reason] ?? "";
  return [
    el(
      "p.verdict",
      el(kind ? `span.badge.${kind}` : "span.badge", {}, words(status.reason)),
      " ",
      status.reason === "no_model"
        ? `Market ${status.market} has no model for ${status.interval} bars yet.`
        : buildProse(status.message),
    ),
    FIRST.has(status.reason) &&
      el("p", buildFirstLook(status.market, status.interval, { ticker: status.ticker })),
    buildFacts({
      Bars:
        `${count(status.bars)}, from ${barTime(status.first_bar, status.interval)} to ` +
        `${barTime(status.last_bar, status.interval)}`,
      "Bars needed": count(status.bars_needed),
      "Last bar came":
        status.sessions_behind > 0 && `${plural(status.sessions_behind, "session")} ago`,
      Watermark: status.watermark ? barTime(status.watermark, status.interval) : "not detected yet",
      Model:
        status.model_version &&
        el("a", { href: linkTo("models", status.model_version) }, status.model_version),
      "Last run":
        run &&
        el(
          "span",
          el("a.in-text", { href: linkTo("runs", run.run_id) }, words(run.status)),
          " ",
          buildAge(run.completed_at ?? run.started_at),
        ),
      "Next scan": status.next_scan && buildNext(status.next_scan),
    }),
  ];
}
