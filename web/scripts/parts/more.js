// What brings the next page of a list, at the click of a button.

import { el, fill } from "../lib/dom.js";
import { attempt } from "./toasts.js";

/**
 * @param {string|null} first the cursor of the second page; null where there is none
 * @param {(cursor: string) => Promise<{items: object[], next_cursor: string|null}>} load
 * @param {(items: object[]) => void} add puts the items of a page behind those that are there
 * @returns {Node} what stands below the list
 */
export function buildMore(first, load, add, signal) {
  const node = el("div.more");
  const offer = (cursor) => fill(node, cursor && buildButton(cursor));
  const buildButton = (cursor) => {
    const button = el("button.button.small", { type: "button" }, "Show more");
    button.addEventListener("click", async () => {
      const page = await attempt(button, () => load(cursor));
      if (!page || signal.aborted) return;
      add(page.items);
      offer(page.next_cursor);
    });
    return button;
  };
  offer(first);
  return node;
}
