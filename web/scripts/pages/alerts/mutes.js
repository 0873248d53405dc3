// The mutes: until when, why, how much each silenced; and a button that ends it.

import { remove } from "../../lib/api.js";
import { el, fill } from "../../lib/dom.js";
import { moment, plural } from "../../lib/format.js";
import { getAll } from "../../lib/pages.js";
import { attempt } from "../../parts/toasts.js";

/** Show the mutes in force in `node`; nothing where there is none. */
export async function showMutes(node, signal) {
  const items = await getAll("/mutes", { active: true }, signal).catch(() => []);
  if (signal.aborted) return;
  fill(node, items.length > 0 && drawMutes(items, () => showMutes(node, signal)));
}

function drawMutes(items, refresh) {
  return el(
    "section.card",
    { "aria-label": "Muted" },
    el("header", el("h2", "Muted"), el("span.badge", plural(items.length, "mute"))),
    el(
      "ul.reasons.body",
      items.map((mute) => buildMute(mute, refresh)),
    ),
  );
}

function buildMute(mute, refresh) {
  const of = describe(mute);
  const button = el("button.button.small", { type: "button", data: { needs: "respond" } }, "End");
  button.append(el("span.hidden-text", ` the mute of ${of}`));
  button.addEventListener("click", async () => {
    if (await attempt(button, () => remove(`/mutes/${mute._id}`).then(() => true))) await refresh();
  });
  return el(
    "li",
    el("strong", of),
    ` until ${moment(mute.until)}: ${mute.reason}. `,
    el("span.muted", `By ${mute.created_by}, ${plural(mute.silenced, "alert")} silenced. `),
    button,
  );
}

function describe({ ticker, market, watchlist, scope, direction, interval }) {
  return [
    ticker,
    market && `market ${market}`,
    watchlist && `watchlist ${watchlist}`,
    scope && `${scope} moves`,
    direction,
    interval,
  ]
    .filter(Boolean)
    .join(", ");
}
