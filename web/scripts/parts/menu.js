// A button that opens a sheet below it, which closes with Escape or a click elsewhere.

import { el } from "../lib/dom.js";

/** @returns {{node, label: Node, close: () => void}} */
export function buildMenu(name, content, signal) {
  const label = el("span", name);
  const summary = el("summary.button.small", label);
  // The browser keeps only one of the same name open.
  const node = el("details.menu", { name: "menu" }, summary, el("div.sheet", content));
  const close = () => {
    node.open = false;
  };
  const closeBy = (event) => {
    if (!node.open) return;
    if (event.type === "pointerdown" && !node.contains(event.target)) close();
    if (event.type === "keydown" && event.key === "Escape") {
      close();
      summary.focus();
    }
  };
  for (const event of ["pointerdown", "keydown"])
    document.addEventListener(event, closeBy, { signal });
  return { node, label, close };
}
