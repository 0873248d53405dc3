// LINE Login: the browser goes to LINE, and comes back with a code that the API exchanges.

import { post } from "../../lib/api.js";
import { el } from "../../lib/dom.js";
import { keepInUrl } from "../../lib/router.js";
import { askInDialog } from "../../parts/form_dialog.js";
import { attempt, say } from "../../parts/toasts.js";

/** Ask for a rule's name, and send the browser to LINE for it. */
export async function goToLine(rules) {
  const name = el("input", {
    required: true,
    maxlength: 64,
    autocomplete: "off",
    list: "line-rules",
  });
  const known = el(
    "datalist",
    { id: "line-rules" },
    rules.map((rule) => el("option", { value: rule.name })),
  );
  const begun = await askInDialog({
    title: "Tell somebody on LINE",
    lead: "Whoever logs in at LINE is told what the rule asks for, in place of its channel.",
    nodes: [el("label.field", "Rule; a new name makes one", name), known],
    verb: "Log in at LINE",
    send: () => post("/auth/line", { rule: name.value.trim() }),
  });
  if (begun) location.assign(begun.address);
}

/** Finish a login whose answer is in the URL; resolves when there is nothing more to finish. */
export async function finishLogin({ query }) {
  const [code, state] = [query.get("code"), query.get("state")];
  if (!state) return;
  const refused = query.get("error_description") ?? query.get("error");
  keepInUrl({ code: "", state: "", error: "", error_description: "" });
  if (!code) {
    say(`LINE did not log in: ${refused ?? "it gave no code"}`, "bad");
    return;
  }
  const tied = await attempt({}, () => post("/auth/line/callback", { code, state }));
  if (!tied) return;
  const who = tied.name ?? "Somebody";
  if (tied.is_friend === false)
    say(`${who} has to add the account that sends messages as a friend, or none arrives.`, "bad");
  else say(`${who} is told what ${tied.rule.name} asks for.`, "ok");
}
