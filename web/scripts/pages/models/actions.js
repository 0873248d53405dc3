// Promoting, rolling back and retiring: each asks first, since it changes what every worker does next.

import { post } from "../../api.js";
import { el } from "../../dom.js";
import { confirm } from "../../parts/confirmation.js";
import { attempt, say } from "../../parts/toasts.js";

export function buildPromotion(model, refresh) {
  return buildAction(
    "Promote",
    `Promote ${model.version}?`,
    `It becomes the champion of ${model.market}: the next batch of every worker takes it.`,
    () => post(`/models/${model.version}/promote`, {}),
    `${model.version} is the champion of ${model.market} now.`,
    refresh,
  );
}

export function buildRetirement(model, refresh) {
  return buildAction(
    "Retire",
    `Retire ${model.version}?`,
    "It cannot be promoted any more. What it found can still be verified.",
    () => post(`/models/${model.version}/retire`),
    `${model.version} is retired.`,
    refresh,
  );
}

/** Back to the version that was champion before; null where there is none. */
export function buildRollback(models, refresh) {
  const [before] = models
    .filter((model) => model.state === "candidate" && model.promoted_at)
    .sort((a, b) => (a.promoted_at < b.promoted_at ? 1 : -1));
  if (!before) return null;
  return buildAction(
    `Roll back to ${before.version}`,
    `Roll back to ${before.version}?`,
    "It was the champion before, and becomes it again.",
    () => post(`/models/${before.version}/promote`, {}),
    `${before.version} is the champion of ${before.market} again.`,
    refresh,
  );
}

function buildAction(label, question, text, act, done, refresh) {
  const button = el("button.button.small", { type: "button" }, label);
  button.addEventListener("click", async () => {
    if (!(await confirm(question, text, label))) return;
    if (!(await attempt(button, act))) return;
    say(done, "ok");
    refresh();
  });
  return button;
}
