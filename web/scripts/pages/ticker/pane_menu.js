// Which panes and lines the chart shows: chosen from a menu, kept in the URL.

import { el } from "../../lib/dom.js";
import { buildMenu } from "../../parts/menu.js";
import { BELOW, CHOSEN_AT_FIRST, KNOWN, OVER_PRICES, readPanes } from "./pane_names.js";

const NONE = "none";

/** A choice as `readPanes` reads it from a URL; null for the usual one. */
export function writePanes(chosen) {
  if (chosen.join() === readPanes(CHOSEN_AT_FIRST.join()).join()) return null;
  return chosen.join() || NONE;
}

/** A button that opens a list to tick; `choose(names)` is called at each change. */
export function buildPaneMenu(chosen, choose, signal) {
  const boxes = new Map(KNOWN.map((name) => [name, buildBox(name, chosen.includes(name))]));
  const read = () => KNOWN.filter((name) => boxes.get(name).checked);
  const content = [
    buildGroup("Over the prices", OVER_PRICES, boxes),
    buildGroup("Below", BELOW.slice(0, CHOSEN_AT_FIRST.length), boxes),
    buildGroup("Features", BELOW.slice(CHOSEN_AT_FIRST.length), boxes),
  ];
  const menu = buildMenu("Panes", content, signal);
  menu.node.addEventListener("change", () => choose(read()));
  return menu.node;
}

const buildBox = (name, checked) => el("input", { type: "checkbox", name, checked });

function buildGroup(title, options, boxes) {
  return el(
    "fieldset",
    el("legend", title),
    options.map(([name, label]) => el("label", boxes.get(name), label)),
  );
}
