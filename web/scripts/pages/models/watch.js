// The drift of champions on their latest bars, session by session, and their challengers.

import { el } from "../../lib/dom.js";
import { barTime, moment, plural, words } from "../../lib/format.js";
import { linkTo } from "../../lib/router.js";
import { buildTable } from "../../parts/table.js";
import { describeColumn } from "../ticker/features.js";

const LISTED = 10;
const MOST_INDEX = 0.25;
const COLUMNS = [
  "Market",
  "Has drifted",
  ["Session", ".wide-only"],
  ["Stability index", ".number"],
  ["Flagged (expected)", ".number.wide-only"],
  ["Inputs that moved", ".wide-only"],
];

/**
 * @param {{items: object[], next_cursor: string | null}} drifts
 * @returns {Node | null} null where nothing was noted yet
 */
export function buildWatch(drifts, challengers) {
  if (drifts.items.length === 0 && challengers.length === 0) return null;
  return el(
    "section.card",
    { "aria-label": "Champions, watched" },
    el(
      "header",
      el("h2", "Champions, watched"),
      el("span.muted", "once a session, by their latest bars"),
    ),
    drifts.items.length > 0 &&
      buildTable("Drift of champions", COLUMNS, keepLatest(drifts.items).map(drawDrift)),
    drifts.next_cursor && tellCutOff(drifts.items),
    challengers.length > 0 &&
      el(
        "div.body",
        el("h3", "Challengers"),
        challengers.slice(0, LISTED).map(drawChallenger),
        challengers.length > LISTED &&
          el("p.muted", `The latest ${LISTED}; all: `, el("code", "flask models challengers")),
      ),
  );
}

const tellCutOff = (drifts) =>
  el(
    "p.more.muted",
    `What was noted since ${moment(drifts.at(-1).at)}; a champion that was watched last before ` +
      "that is among all: ",
    el("code", "flask models drift"),
  );

/** The latest drift of each market and interval; drifts come latest first. */
function keepLatest(drifts) {
  const latest = new Map();
  for (const drift of drifts) {
    const key = `${drift.market} ${drift.interval}`;
    if (!latest.has(key)) latest.set(key, drift);
  }
  return [...latest.values()];
}

function drawDrift(drift) {
  const { market, interval, session, version, reasons } = drift;
  const moved = Object.entries(drift.inputs)
    .filter(([, index]) => index > MOST_INDEX)
    .map(([name]) => describeColumn(name));
  return el(
    "tr",
    el(
      "td",
      `${market} `,
      el("span.muted", interval),
      el("div.nowrap", el("a.ticker-name", { href: linkTo("models", version) }, version)),
    ),
    el(
      "td",
      reasons.length
        ? el(
            "span.row.tight",
            reasons.map((reason) => el("span.badge.warn", words(reason))),
          )
        : el("span.badge.ok", "no"),
    ),
    el("td.nowrap.wide-only", barTime(session, "1d")),
    el("td.number", drift.stability_index === null ? "none" : drift.stability_index.toFixed(3)),
    el(
      "td.number.wide-only",
      `${write(drift.flagged_share)} (${write(drift.asked_share)}) of ${plural(drift.bars, "bar")}`,
    ),
    el("td.wide-only", moved.join("; ") || "none"),
  );
}

function drawChallenger(challenger) {
  const { version, champion, state, passed, promoted_at: promoted, gates, error } = challenger;
  const outcome = promoted
    ? el("span.badge.ok", "in use")
    : state === "judged"
      ? el(passed ? "span.badge.ok" : "span.badge.warn", passed ? "passed" : "did not pass")
      : el("span.badge", state);
  return el(
    "details",
    el(
      "summary",
      `${version ?? "In training"} beside ${champion} `,
      outcome,
      el("span.muted", ` ${moment(challenger.created_at)}`),
    ),
    el("p.muted", `Had drifted: ${challenger.reasons.map(words).join(", ")}.`),
    el(
      "ul",
      gates.map((gate) =>
        el(
          "li",
          el("strong", `${gate.passed ? "passed" : "not passed"}, ${gate.name}: `),
          gate.words,
        ),
      ),
    ),
    error && el("p.notice.warn", error),
    el(
      "p",
      version
        ? el(
            "a",
            { href: linkTo("models", version, { evaluation: challenger.evaluation }) },
            `Open ${version}${challenger.evaluation ? " and how the two compare" : ""}`,
          )
        : el("a", { href: linkTo("runs", challenger._id) }, "Watch its training"),
    ),
  );
}

const write = (value) => (value === null ? "none" : `${(value * 100).toFixed(2)} %`);
