// The lists of an alert that may be long: its steps, and its tickers' alerts. The first of each
// come with the alert; those that were loaded later stay when the alert is redrawn.

import { get } from "../../lib/api.js";
import { el, fill } from "../../lib/dom.js";
import { moment, words } from "../../lib/format.js";
import { attempt } from "../../parts/toasts.js";
import { linkBeside } from "./inbox_place.js";

const STEPS = {
  raise: "raised",
  extend: "extended",
  acknowledge: "acknowledged",
  resolve: "resolved",
  snooze: "snoozed",
  wake: "awake again",
  assign: "assigned",
  comment: "commented",
  reopen: "reopened",
  expire: "expired",
  supersede: "superseded",
  return: "came back",
  mute: "muted by a rule",
  unmute: "no longer muted",
  threshold: "threshold set",
};

/** @returns {{trail, children}} what `drawTrail` and `drawChildren` draw, for an alert's page */
export function keepLists(id, signal) {
  return {
    trail: keepList("/audit", { alert_id: id }, signal),
    children: keepList("/alerts", { parent_id: id }, signal),
  };
}

function keepList(path, query, signal) {
  const items = new Map();
  let cursor; // not known before the first items
  const take = (some, next) => {
    for (const item of some) items.set(item._id, item);
    cursor = next;
  };
  const load = () =>
    get(path, { ...query, cursor }, signal).then((page) => take(page.items, page.next_cursor));
  return {
    list: () => [...items.values()],
    /** Take over the items that came with the alert. */
    update: (some, next) => take(some, cursor === undefined ? next : cursor),
    /** A button that loads the missing items; nothing if all are there. */
    buildMore: (label, draw) => {
      if (!cursor) return null;
      const button = el("button.button.small", { type: "button" }, label);
      button.addEventListener("click", () => attempt(button, () => load().then(draw)));
      return el("div.more", button);
    },
  };
}

/** The steps in order of time, with the button for earlier ones above. */
export function drawTrail(kept, alert) {
  kept.update(alert.trail, alert.trail_cursor);
  const node = el("div.stack");
  const draw = () => {
    const steps = kept.list().sort((a, b) => Date.parse(a.at) - Date.parse(b.at));
    fill(
      node,
      kept.buildMore("Show earlier", draw),
      el("ol.trail", steps.map(buildStep)),
    );
  };
  draw();
  return node;
}

const buildStep = ({ step, by, to_state: state, at }) =>
  el(
    "li",
    el("strong", STEPS[step] ?? words(step)),
    ` by ${by}, ${state} `,
    el("span.muted", moment(at)),
  );

export function drawChildren(kept, alert) {
  kept.update(alert.children, alert.children_cursor);
  const node = el("div.stack");
  const draw = () => {
    const children = kept.list().map(buildChild);
    fill(node, el("ul.reasons", children), kept.buildMore("Show more", draw));
  };
  draw();
  return node;
}

const buildChild = ({ _id: id, entity_id: ticker, state, severity }) =>
  el("li", el("a", { href: linkBeside(id) }, ticker), ` ${state}, ${severity}`);
