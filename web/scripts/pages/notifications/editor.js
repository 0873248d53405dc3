// The dialog that creates or changes a notification rule. A secret stays as it is if its field is
// left empty.

import { patch, put } from "../../lib/api.js";
import { el } from "../../lib/dom.js";
import { getAll } from "../../lib/pages.js";
import { askInDialog } from "../../parts/form_dialog.js";
import { buildTickerInput, readTicker } from "../../parts/suggestions.js";

const SCOPES = ["market", "sector", "own", "mixed", "quiet"];

/** Resolve to the stored rule, or null; `rule` is the one to change. */
export async function openRuleEditor(rule = null) {
  const watchlists = await getAll("/watchlists");
  const fields = buildFields(watchlists, rule);
  const send = ({ name, ...body }) =>
    (rule ? patch : put)(`/notifications/rules/${encodeURIComponent(name)}`, body);
  return askInDialog({
    title: rule ? `Edit ${rule.name}` : "New rule",
    lead: rule && "Addresses and the secret are never shown: leave them empty to keep them.",
    nodes: fields.nodes,
    verb: rule ? "Save" : "Make it",
    send: () => send(fields.read()),
  });
}

const here = () => Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

function buildFields(watchlists, rule) {
  const typed = (attributes = {}) =>
    el("input", { autocomplete: "off", spellcheck: "false", ...attributes });
  const share = (value, max) =>
    el("input", { type: "number", min: 0, max, step: "any", value, required: true });
  const choose = (options, value) => {
    const node = el(
      "select",
      options.map(([each, text]) => el("option", { value: each }, text)),
    );
    node.value = value ?? "";
    return node;
  };
  const tick = (value) => {
    const node = el("input", { type: "checkbox" });
    node.checked = value;
    return node;
  };
  const name = typed({ required: true, maxlength: 64, value: rule?.name ?? "" });
  name.disabled = Boolean(rule);
  const channel = typed({
    required: !rule,
    maxlength: 1000,
    placeholder: rule ? `${rule.shown_channel}://… as it is` : "slack://TOKEN_A/TOKEN_B/TOKEN_C",
  });
  const grade = share(rule?.min_grade ?? 75, 100);
  const confidence = share(Math.round(100 * (rule?.min_confidence ?? 0)), 100);
  const watchlist = choose(
    [["", "all tickers"], ...watchlists.map((each) => [each.name, each.name])],
    rule?.watchlist,
  );
  const ticker = buildTickerInput({ value: rule?.ticker ?? "", placeholder: "any" });
  const kinds = [
    ["", "events and faults"],
    ["event", "events"],
    ["fault", "faults"],
  ];
  const kind = choose(kinds, rule?.kind);
  const scope = choose([["", "anybody's"], ...SCOPES.map((each) => [each, each])], rule?.scope);
  const time = (value) => el("input", { type: "time", value: value ?? "" });
  const [from, until] = [time(rule?.quiet_from), time(rule?.quiet_until)];
  const zone = typed({ required: true, maxlength: 60, value: rule?.timezone ?? here() });
  const digests = [
    ["", "one a scan"],
    ["daily", "one a day"],
    ["weekly", "one on Mondays"],
  ];
  const digest = choose(digests, rule?.digest);
  const digestAt = time(rule?.digest_at ?? "08:00");
  const then = rule?.shown_next_channel;
  const next = typed({ maxlength: 1000, placeholder: then ? `${then}://… as it is` : "nobody" });
  const after = el("input", { type: "number", min: 1, max: 1440, required: true });
  after.value = rule?.escalate_after_minutes ?? 15;
  const secret = typed({
    type: "password",
    minlength: 16,
    maxlength: 200,
    autocomplete: "new-password",
    placeholder: rule?.signed ? "as it is" : "not signed",
  });
  const [nextGone, secretGone] = [tick(false), tick(false)];
  const backfills = tick(rule?.backfills ?? false);
  const failures = tick(rule?.failures ?? true);
  const enabled = tick(rule?.enabled ?? true);
  const secrets = () => ({
    ...(nextGone.checked && { next_channel: null }),
    ...(secretGone.checked && { secret: null }),
    ...Object.fromEntries(
      [
        ["channel", channel],
        ["next_channel", next],
        ["secret", secret],
      ]
        .map(([key, node]) => [key, node.value.trim()])
        .filter(([, value]) => value),
    ),
  });
  const read = () => ({
    name: rule?.name ?? name.value.trim(),
    ...secrets(),
    kind: kind.value || null,
    scope: scope.value || null,
    ticker: readTicker(ticker) || null,
    min_grade: Number(grade.value),
    min_confidence: Number(confidence.value) / 100,
    watchlist: watchlist.value || null,
    quiet_from: from.value || null,
    quiet_until: until.value || null,
    timezone: zone.value.trim(),
    digest: digest.value || null,
    digest_at: digestAt.value || "08:00",
    escalate_after_minutes: Number(after.value),
    backfills: backfills.checked,
    failures: failures.checked,
    enabled: enabled.checked,
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
        el("label.field", "Whose move", scope),
        el("label.field", "From confidence, in %", confidence),
        el("label.field", "Of", watchlist),
        el("label.field", "Ticker", ticker),
      ),
      el(
        "div.row.fields",
        el("label.field", "Messages", digest),
        el("label.field", "Digest at", digestAt),
      ),
      el(
        "div.row.fields",
        el("label.field", "Quiet from", from),
        el("label.field", "until", until),
        el("label.field", "Time zone of these", zone),
      ),
      el(
        "div.row.fields",
        el("label.field", "Critical and not acknowledged: to", next),
        el("label.field", "after minutes", after),
        el("label.field", "Secret that signs a webhook", secret),
      ),
      then && el("label.tick", nextGone, `Tell ${then}:// no more of what nobody acknowledges`),
      rule?.signed && el("label.tick", secretGone, "Sign no more, and forget the secret"),
      el("label.tick", backfills, "Tell of backfills too"),
      el("label.tick", failures, "Tell of runs that failed"),
      el("label.tick", enabled, "The rule counts"),
    ],
  };
}
