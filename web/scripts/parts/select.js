// A labelled select.

import { el } from "../lib/dom.js";

/** @param {[string, string][]} options value and label */
export function buildSelect(label, options, chosen, choose) {
  const select = el(
    "select",
    options.map(([value, text]) => el("option", { value, selected: value === chosen }, text)),
  );
  select.addEventListener("change", () => choose(select.value));
  return el("label.field", label, select);
}
