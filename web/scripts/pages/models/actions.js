// Promoting, rolling back and retiring a model. Each asks first, because it changes what every
// worker does next.

import { SHARED } from "../../lib/access.js";
import { post } from "../../lib/api.js";
import { el } from "../../lib/dom.js";
import { confirm } from "../../parts/confirmation.js";
import { attempt, say } from "../../parts/toasts.js";

/** Whether a version is the champion of a market for its interval. */
export const isChampionOf = (market, model) =>
  model.champion_of.includes(`champion::${market}::${model.interval}`);

export function buildPromotion(model, refresh) {
  return buildAction(
    "Promote",
    `Promote ${model.version}?`,
    `It becomes the champion of ${model.market} for ${model.interval} bars: the next batch ` +
      `of every worker takes it.`,
    () => post(`/models/${model.version}/promote`, {}),
    `${model.version} is the champion of ${model.market} for ${model.interval} bars now.`,
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

/**
 * A rollback to the version that was champion before the present one; null if there never was
 * another.
 */
export function buildRollback(market, interval, models, refresh) {
  const used = models.filter(
    (model) => model.promoted_at && (model.market === market || isChampionOf(market, model)),
  );
  if (used.length < 2 || !used.some((model) => isChampionOf(market, model))) return null;
  return buildAction(
    `Roll back ${interval}`,
    `Roll back the champion of ${market} for ${interval} bars?`,
    "The version that was in use before becomes the champion again: the next batch of every " +
      "worker takes it.",
    () => post("/models/rollback", { market, interval }),
    (pointer) => `${pointer.version} is the champion of ${market} for ${interval} bars again.`,
    refresh,
  );
}

function buildAction(label, question, text, act, done, refresh) {
  const button = el("button.button.small", { type: "button", data: SHARED }, label);
  button.addEventListener("click", async () => {
    if (!(await confirm(question, text, label))) return;
    const answer = await attempt(button, act);
    if (!answer) return;
    say(typeof done === "string" ? done : done(answer), "ok");
    refresh();
  });
  return button;
}
