// The dialog in which a notification rule is made.

import { put } from "../../lib/api.js";
import { el } from "../../lib/dom.js";
import { getAll } from "../../lib/pages.js";
import { askInDialog } from "../../parts/form_dialog.js";

/** Resolve to the rule that was stored, or null. */
export async function openRuleEditor() {
  const watchlists = await getAll("/watchlists");
  const fields = buildFields(watchlists);
  const store = ({ name, ...body }) =>
    put(`/notifications/rules/${encodeURIComponent(name)}`, body);
  return askInDialog({
    title: "New rule",
    nodes: fields.nodes,
    verb: "Make it",
    send: () => store(fields.read()),
  });
}

function buildFields(watchlists) {
  const name = el("input", { required: true, maxlength: 64, autocomplete: "off" });
  const channel = el("input", {
    required: true,
    maxlength: 1000,
    autocomplete: "off",
    spellcheck: "false",
    placeholder: "slack://TOKEN_A/TOKEN_B/TOKEN_C",
  });
  const grade = el("input", {
    type: "number",
    min: 0,
    max: 100,
    step: "any",
    value: 75,
    required: true,
  });
  const confidence = el("input", {
    type: "number",
    min: 0,
    max: 100,
    step: "any",
    value: 0,
    required: true,
  });
  const watchlist = el(
    "select",
    el("option", { value: "" }, "all tickers"),
    watchlists.map((each) => el("option", { value: each.name }, each.name)),
  );
  const kind = el(
    "select",
    el("option", { value: "" }, "events and faults"),
    el("option", { value: "event" }, "events"),
    el("option", { value: "fault" }, "faults"),
  );
  const [from, until] = [el("input", { type: "time" }), el("input", { type: "time" })];
  const backfills = el("input", { type: "checkbox" });
  const failures = el("input", { type: "checkbox", checked: true });
  const read = () => ({
    name: name.value.trim(),
    channel: channel.value.trim(),
    kind: kind.value || null,
    min_grade: Number(grade.value),
    min_confidence: Number(confidence.value) / 100,
    watchlist: watchlist.value || null,
    quiet_from: from.value || null,
    quiet_until: until.value || null,
    timezone: Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC",
    backfills: backfills.checked,
    failures: failures.checked,
  });
  return {
    read,
    nodes: [
      el("label.field", "Name", name),
      el(
        "label.field",
        "Channel, as apprise writes it: mailtos://, slack://, line://, json://, …",
        channel,
      ),
      el(
        "div.row.fields",
        el("label.field", "From grade", grade),
        el("label.field", "Kind", kind),
        el("label.field", "From confidence, in %", confidence),
        el("label.field", "Of", watchlist),
        el("label.field", "Quiet from", from),
        el("label.field", "until", until),
      ),
      el("label.tick", backfills, "Tell of backfills too"),
      el("label.tick", failures, "Tell of runs that failed"),
    ],
  };
}
