// The threshold that labels suggest for a watchlist, with what it would have changed; a person
// applies it.

import { get, put } from "../../lib/api.js";
import { el } from "../../lib/dom.js";
import { plural } from "../../lib/format.js";
import { linkTo } from "../../lib/router.js";
import { buildFacts } from "../../parts/facts.js";
import { askInDialog } from "../../parts/form_dialog.js";
import { attempt, say } from "../../parts/toasts.js";

/** Return the button that asks what labels suggest. */
export function buildSuggestion({ name }, refresh) {
  const path = `/watchlists/${encodeURIComponent(name)}/suggested-threshold`;
  const button = el(
    "button.button.small",
    { type: "button", data: { needs: "admin" } },
    "Learn threshold",
  );
  button.title = "What the labels of its alerts say of its threshold";
  button.addEventListener("click", async () => {
    const told = await attempt(button, () => get(path));
    if (!told) return;
    if (told.suggested === null) {
      say(`Labels do not tell yet: ${told.reason}.`);
      return;
    }
    const send = () => put(path, { grade: told.suggested });
    const done = await askInDialog({
      title: `Grade ${told.suggested} for ${name}?`,
      lead: `${told.reason}. Nothing changes until you apply it.`,
      nodes: drawChanges(told),
      verb: "Apply",
      send,
    });
    if (done) refresh();
  });
  return button;
}

function drawChanges(told) {
  const percent = (value) => (value === null ? "–" : `${Math.round(100 * value)} %`);
  const both = (name) => `${percent(told.now[name])} now, ${percent(told.then[name])} then`;
  const alerts = (total) => `${plural(total, "alert")} of the last ${told.days} days`;
  return [
    buildFacts({
      "True of what is told": both("precision"),
      "Told of what is true": both("recall"),
      "Fewer by": alerts(told.alerts_lost),
      "More by": alerts(told.alerts_gained),
    }),
    told.lost.length > 0 && drawList("Would not have been", told.lost, "alerts"),
    told.gained.length > 0 && drawList("Would have been", told.gained, null),
  ].filter(Boolean);
}

function drawList(title, ids, page) {
  const name = (id) => id.split("::").slice(page ? 1 : 0).join(" ").replace(/T00:00:00Z$/, "");
  return el(
    "details",
    el("summary", title),
    el(
      "ul.reasons",
      ids.map((id) => el("li", page ? el("a", { href: linkTo(page, id) }, name(id)) : name(id))),
    ),
  );
}
