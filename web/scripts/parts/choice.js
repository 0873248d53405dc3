// A row of buttons of which at most one is pressed.

import { el } from "../lib/dom.js";

/**
 * @param {[string, string][]} options value and label
 * @param {string|null} chosen
 * @returns {{node: Node, press: (value: string|null) => void}}; `press` marks a choice that was
 * made elsewhere
 */
export function buildChoice(name, options, chosen, choose) {
  const buttons = options.map(([value, label]) =>
    el("button", { type: "button", data: { value } }, label),
  );
  const press = (value) => {
    for (const button of buttons)
      button.setAttribute("aria-pressed", String(button.dataset.value === value));
  };
  const node = el("div.choice", { role: "group", "aria-label": name }, buttons);
  node.addEventListener("click", ({ target }) => {
    if (!buttons.includes(target)) return;
    press(target.dataset.value);
    choose(target.dataset.value);
  });
  press(chosen);
  return { node, press };
}
