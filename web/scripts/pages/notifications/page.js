// Notifications: which rule tells whom, and what became of the messages.

import { get, post, remove } from "../../lib/api.js";
import { el, fill } from "../../lib/dom.js";
import { plural, words } from "../../lib/format.js";
import { linkTo } from "../../lib/router.js";
import { buildAge } from "../../parts/age.js";
import { confirm } from "../../parts/confirmation.js";
import { buildFacts } from "../../parts/facts.js";
import { buildPagedTable } from "../../parts/paged_table.js";
import { buildEmpty, buildSection } from "../../parts/states.js";
import { attempt, say } from "../../parts/toasts.js";
import { openRuleEditor } from "./editor.js";
import { finishLogin, goToLine } from "./line.js";

// A channel has 20 s to accept a message, and the API tells only then that it did not.
const TEST_MILLISECONDS = 30_000;
const SHOWN_KINDS = { event: "events", fault: "faults" };

export const title = () => "Notifications";

const KINDS = { sent: "ok", pending: "busy", failed: "bad" };

export function show(main, route, signal) {
  const drawKnown = (data) => {
    known = data.items;
    return drawRules(known, refresh);
  };
  const rules = buildSection(() => get("/notifications/rules", {}, signal), drawKnown, signal);
  const deliveries = buildDeliveries(signal);
  const refresh = () => {
    rules.show();
    return deliveries.show();
  };
  const make = el(
    "button.button.primary",
    { type: "button", data: { needs: "admin" } },
    "New rule",
  );
  make.addEventListener("click", () => openRuleEditor().then((stored) => stored && refresh()));
  let known = [];
  const line = el(
    "button.button",
    { type: "button", data: { needs: "admin" } },
    "Tell somebody on LINE",
  );
  line.addEventListener("click", () => goToLine(known));
  fill(
    main,
    el(
      "div.head",
      el(
        "div",
        el("h1", "Notifications"),
        el(
          "p.lead",
          "One message a scan to your mail, chat or webhook; backfills are silent unless asked.",
        ),
      ),
      el("div.row", line, make),
    ),
    el(
      "div.stack",
      rules.node,
      el(
        "section.card",
        { "aria-label": "Messages" },
        el("header", el("h2", "Messages")),
        deliveries.node,
      ),
    ),
  );
  return finishLogin(route).then(refresh);
}

function drawRules(rules, refresh) {
  if (rules.length === 0) {
    return el(
      "div.card",
      buildEmpty(
        "Nobody is told yet",
        "A rule says which channel is told of which anomalies, and when it is left in peace.",
      ),
    );
  }
  return el(
    "div.watchlists",
    rules.map((rule) => buildRule(rule, refresh)),
  );
}

function buildRule(rule, refresh) {
  const path = `/notifications/rules/${encodeURIComponent(rule.name)}`;
  const tryIt = el(
    "button.button.small",
    { type: "button", data: { needs: "admin" } },
    "Send a test",
  );
  tryIt.addEventListener("click", async () => {
    const test = () => post(`${path}/test`, {}, { limit: TEST_MILLISECONDS });
    const tried = await attempt(tryIt, test);
    if (tried)
      say(
        tried.sent ? "The channel took it." : `The channel did not take it: ${tried.error}`,
        tried.sent ? "ok" : "bad",
      );
  });
  const change = el("button.button.small", { type: "button", data: { needs: "admin" } }, "Edit");
  change.addEventListener("click", async () => {
    if (await openRuleEditor(rule)) refresh();
  });
  const drop = el("button.button.small", { type: "button", data: { needs: "admin" } }, "Delete");
  drop.addEventListener("click", async () => {
    if (
      !(await confirm(`Delete ${rule.name}?`, "Its channel is told of nothing any more.", "Delete"))
    )
      return;
    await attempt(drop, () => remove(path));
    refresh();
  });
  const told = [
    `${SHOWN_KINDS[rule.kind] ?? "anomalies"} of grade ${rule.min_grade} and above` +
      (rule.min_confidence
        ? `, of a confidence of ${Math.round(100 * rule.min_confidence)} % and above`
        : ""),
    rule.failures && "runs that failed",
    rule.backfills && "backfills too",
  ];
  return el(
    "article.card",
    { "aria-label": `Rule ${rule.name}` },
    el("header", el("h2", rule.name), !rule.enabled && el("span.badge", "off")),
    el(
      "div.body.stack",
      buildFacts({
        Channel: el("code", rule.shown_channel),
        "Is told of": told.filter(Boolean).join(", "),
        Tickers: rule.ticker ?? (rule.watchlist ? `watchlist ${rule.watchlist}` : "all"),
        "Whose move": rule.scope,
        Digest: rule.digest && `${rule.digest}, at ${rule.digest_at}`,
        "Quiet hours": rule.quiet_from && `${rule.quiet_from} to ${rule.quiet_until}`,
        "Time zone": rule.timezone,
        "Critical, not acknowledged":
          rule.shown_next_channel &&
          el(
            "span",
            el("code", rule.shown_next_channel),
            ` after ${plural(rule.escalate_after_minutes, "minute")}`,
          ),
        Signed: rule.signed && "yes",
      }),
      el("div.row", change, tryIt, drop),
    ),
  );
}

const describeTries = ({ attempts }) => plural(attempts, "try", "tries");

function buildState(state) {
  const kind = KINDS[state];
  return el(kind ? `span.badge.${kind}` : "span.badge", {}, words(state));
}

function buildDeliveries(signal) {
  const list = {
    name: "Messages",
    columns: ["When", "Rule", "Message", "State"],
    load: (cursor) => get("/notifications/deliveries", { limit: 50, cursor }, signal),
    buildRow: (delivery) =>
      el(
        "tr",
        el("td", buildAge(delivery.created_at)),
        el("td", delivery.rule),
        el(
          "td",
          delivery.run_id
            ? el("a", { href: linkTo("runs", delivery.run_id) }, delivery.title)
            : delivery.title,
        ),
        el(
          "td",
          buildState(delivery.state),
          delivery.error && el("p.muted", `${delivery.error} (${describeTries(delivery)})`),
        ),
      ),
    buildEmpty: () =>
      buildEmpty("Nothing was sent yet", "Messages are listed here with what became of them."),
  };
  return buildPagedTable(list, signal);
}
