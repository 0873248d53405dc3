// Health: each part of the service, its state and since when, and what to do.

import { get } from "../../lib/api.js";
import { el } from "../../lib/dom.js";
import { moment } from "../../lib/format.js";
import { repeat, pause } from "../../lib/live.js";
import { NAMES } from "../../lib/shell.js";
import { buildAge } from "../../parts/age.js";
import { buildProse } from "../../parts/prose.js";
import { buildSection } from "../../parts/states.js";
import { buildTable } from "../../parts/table.js";

const LOOK_MILLISECONDS = 5000;
const STATES = {
  ok: ["ok", "well"],
  warning: ["warn", "look at it"],
  failed: ["bad", "does not work"],
  unused: ["", "not used"],
};
const gravity = ({ state }) => ["failed", "warning", "ok", "unused"].indexOf(state);

export const title = () => "Health";

export function show(main, route, signal) {
  const section = buildSection(() => load(signal), draw, signal, 8);
  main.replaceChildren(
    el(
      "div.head",
      el(
        "div",
        el("h1", "Health"),
        el("p.lead", "Each part of the service: how it is, since when, and what to do."),
      ),
    ),
    el("section.card", { "aria-label": "Parts" }, section.node),
  );
  pause(LOOK_MILLISECONDS, signal).then(() => repeat(LOOK_MILLISECONDS, section.refresh, signal));
  return section.show();
}

/**
 * Each part. If MongoDB does not answer, no key can be looked up, and only the public parts are
 * shown.
 */
async function load(signal) {
  try {
    return await get("/health/parts", {}, signal);
  } catch (error) {
    if (error.status !== 503) throw error;
    const told = await get("/health", {}, signal);
    const known = Object.entries(told).filter(([name]) => name in NAMES);
    return {
      parts: known.map(([name, { ok, detail }]) => ({
        name: NAMES[name],
        state: ok ? "ok" : "failed",
        found: detail ?? (ok ? "it answers" : "it does not answer"),
      })),
    };
  }
}

function draw({ parts }) {
  const rows = [...parts].sort((a, b) => gravity(a) - gravity(b)).map(buildRow);
  return buildTable("Parts of the service", ["Part", "State", "Found"], rows, ".parts-table");
}

function buildRow({ name, state, found, todo, since, is_first_seen: isFirstSeen }) {
  const [kind, label] = STATES[state];
  return el(
    "tr",
    el("th", { scope: "row" }, name),
    el(
      "td.nowrap.when",
      el(kind ? `span.badge.${kind}` : "span.badge", {}, label),
      since &&
        el(
          "div.muted",
          isFirstSeen ? ["first seen so ", buildAge(since)] : `since ${moment(since)}`,
        ),
    ),
    el("td.found", buildProse(found), todo && el("p.muted", buildProse(`To do: ${todo}.`))),
  );
}
