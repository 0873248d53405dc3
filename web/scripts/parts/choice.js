// A row of buttons of which one is pressed.

import { el } from "../dom.js";

/** @param {[string, string][]} options value and label */
export function buildChoice(name, options, chosen, choose) {
  const buttons = options.map(([value, label]) =>
    el("button", { type: "button", "aria-pressed": String(value === chosen), data: { value } }, label),
  );
  const node = el("div.choice", { role: "group", "aria-label": name }, buttons);
  node.addEventListener("click", ({ target }) => {
    if (!buttons.includes(target)) return;
    for (const button of buttons) button.setAttribute("aria-pressed", String(button === target));
    choose(target.dataset.value);
  });
  return node;
}
