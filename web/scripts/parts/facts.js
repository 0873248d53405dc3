// Names and values, one a line; what is null is left out.

import { el } from "../lib/dom.js";

export function buildFacts(facts) {
  const shown = Object.entries(facts).filter(
    ([, value]) => value !== null && value !== undefined && value !== "" && value !== false,
  );
  return el(
    "dl.facts",
    shown.map(([name, value]) => [el("dt", name), el("dd", value)]),
  );
}
