// Steps on alerts: one step on one or many alerts, each of which may accept or refuse it.

import { Problem, post } from "../../lib/api.js";
import { now } from "../../lib/clock.js";
import { el } from "../../lib/dom.js";
import { plural } from "../../lib/format.js";
import { PAGE } from "../../lib/pages.js";
import { askInDialog } from "../../parts/form_dialog.js";
import { say } from "../../parts/toasts.js";

const HOUR = 3_600_000;
const TOLD = 3;
const SNOOZES = [
  ["4", "four hours"],
  ["24", "a day"],
  ["168", "a week"],
];
const SILENCES = [
  ["", "no: tell of the next one"],
  ["72", "for three days"],
  ["336", "for two weeks"],
  ["720", "for 30 days"],
];
const FEEDBACK = [
  ["", "nothing to say"],
  ["confirmed", "confirmed: it was one"],
  ["expected", "expected: known beforehand"],
  ["false_alarm", "a false alarm"],
  ["new_trend", "the beginning of a trend"],
];
const CAUSES = [
  ["", "not known"],
  ["earnings", "earnings"],
  ["corporate_action", "a corporate action"],
  ["news", "news"],
  ["data_error", "an error of the data"],
  ["market_wide", "the whole market"],
  ["other", "something else"],
];

/** Take a step on alerts, and report those on which it was refused. Throws if all refused it. */
export async function takeStep(ids, action, said = {}) {
  let taken = 0;
  const failed = [];
  for (let first = 0; first < ids.length; first += PAGE) {
    const some = ids.slice(first, first + PAGE);
    const answer = await post("/alerts/bulk", { ids: some, action, ...said });
    taken += answer.success.length;
    failed.push(...answer.failed);
  }
  // The dialog then stays open, with what was entered.
  if (taken === 0) throw new Problem(409, "not_taken", describeRefusals(failed));
  if (failed.length) say(describeRefusals(failed), "bad");
  return true;
}

function describeRefusals(failed) {
  const told = failed.slice(0, TOLD).map(({ error }) => error);
  if (failed.length > TOLD) told.push(`and ${plural(failed.length - TOLD, "alert")} more`);
  return told.join("; ");
}

/** Ask what the alerts were, and resolve them. */
export function askToResolve(ids) {
  const feedback = buildChoice(FEEDBACK);
  const cause = buildChoice(CAUSES);
  const silence = buildChoice(SILENCES);
  const silencing = el("label.field", { hidden: true }, "Silence alerts like it", silence);
  feedback.addEventListener("change", () => {
    silencing.hidden = feedback.value !== "expected";
    if (silencing.hidden) silence.value = "";
  });
  const notes = el("textarea", { rows: 3, maxlength: 2000 });
  return askInDialog({
    title: ids.length === 1 ? "Resolve the alert" : `Resolve ${ids.length} alerts`,
    lead: "What it was is a label that thresholds and models can learn from.",
    nodes: el(
      "div.fields",
      el("label.field", "It was", feedback),
      silencing,
      el("label.field", "Because of", cause),
      el("label.field", "Notes", notes),
    ),
    verb: "Resolve",
    send: () =>
      takeStep(ids, "resolve", {
        feedback: feedback.value || null,
        cause: (feedback.value && cause.value) || null,
        resolution_notes: notes.value.trim() || null,
        ...(silence.value && { mute_until: inHours(silence.value) }),
      }),
  });
}

/** The fields of a mute that silences alerts like one of a ticker or market. */
export const describeAlike = (alert) => ({
  watchlist: alert.watchlist,
  ticker: alert.entity_type === "ticker" ? alert.entity_id : null,
  market: alert.market,
  interval: alert.interval,
  direction: alert.direction,
  scope: alert.scope,
});

/**
 * Whether a mute can be narrowed to alerts like this one: not to a market's alert without a scope,
 * which is a vendor's fault.
 */
export const canMute = ({ entity_type: type, scope }) =>
  type === "ticker" || (type === "market" && scope !== null);

/** Ask until when and why alerts are expected, and mute future ones. */
export function askToExpect(of, title) {
  const lasting = buildChoice(SILENCES.slice(1));
  const reason = el("input", { required: true, maxlength: 2000, autocomplete: "off" });
  return askInDialog({
    title,
    lead: "Alerts that come meanwhile are listed and counted, and nobody is told.",
    nodes: el(
      "div.fields",
      el("label.field", "Mute", lasting),
      el("label.field", "What is expected", reason),
    ),
    verb: "Mute",
    send: async () => {
      const said = { until: inHours(lasting.value), reason: reason.value.trim() };
      for (const what of of) await post("/mutes", { ...what, ...said });
      return true;
    },
  });
}

/** Ask for how long, and snooze alerts. */
export function askToSnooze(ids) {
  const lasting = buildChoice(SNOOZES);
  return askInDialog({
    title: ids.length === 1 ? "Snooze the alert" : `Snooze ${ids.length} alerts`,
    lead: "It is active again when the time is over.",
    nodes: el("div.fields", el("label.field", "For", lasting)),
    verb: "Snooze",
    send: () =>
      takeStep(ids, "snooze", {
        until: inHours(lasting.value),
      }),
  });
}

/** Ask for an owner, and assign alerts. */
export function askToAssign(ids) {
  const owner = el("input", { maxlength: 100, autocomplete: "off" });
  return askInDialog({
    title: "Assign",
    lead: "Leave it empty for nobody.",
    nodes: el("div.fields", el("label.field", "To", owner)),
    verb: "Assign",
    send: () => takeStep(ids, "assign", { owner: owner.value.trim() || null }),
  });
}

const inHours = (hours) => new Date(now() + Number(hours) * HOUR).toISOString();

const buildChoice = (options) =>
  el(
    "select",
    options.map(([value, text]) => el("option", { value }, text)),
  );
