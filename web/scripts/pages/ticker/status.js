// What is known of a series, and why it has a result or none.

import { el } from "../../dom.js";
import { ago, barTime, change, count, price, words } from "../../format.js";
import { linkTo } from "../../router.js";
import { buildFacts } from "../../parts/facts.js";
import { buildProse } from "../../parts/prose.js";

const KINDS = { up_to_date: "ok", behind: "warn", never_detected: "warn", in_progress: "busy", failed: "bad" };

export function buildHead(status, bars) {
  const [before, last] = [bars.at(-2), bars.at(-1)];
  return el(
    "div",
    el(
      "div.row",
      el("h1", status.ticker),
      el("span.badge", status.market),
      el("span.badge", status.interval),
      status.synthetic && el("span.badge.warn", "synthetic bars"),
    ),
    last &&
      el(
        "p.lead.number",
        `${price(last.close)} `,
        before && `${change(last.close / before.close - 1)} `,
        `on ${barTime(last.time, status.interval)}`,
      ),
  );
}

export function drawStatus(status) {
  const run = status.last_run;
  const kind = KINDS[status.reason] ?? "";
  return [
    el(
      "p.verdict",
      el(kind ? `span.badge.${kind}` : "span.badge", {}, words(status.reason)),
      " ",
      buildProse(status.message),
    ),
    buildFacts({
      Bars: `${count(status.bars)}, from ${barTime(status.first_bar, status.interval)} to ${barTime(status.last_bar, status.interval)}`,
      "Bars needed": count(status.bars_needed),
      Watermark: status.watermark ? barTime(status.watermark, status.interval) : "not detected yet",
      Model: status.model_version && el("a", { href: linkTo("models", status.model_version) }, status.model_version),
      "Last run":
        run &&
        el(
          "span",
          el("a", { href: linkTo("runs", run.run_id) }, words(run.status)),
          ` ${ago(run.completed_at ?? run.started_at)}`,
        ),
      "Next scan": status.next_scan && ago(status.next_scan),
    }),
  ];
}
