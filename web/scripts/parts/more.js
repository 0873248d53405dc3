// A button that loads the next page of a list.

import { el, fill } from "../lib/dom.js";
import { attempt } from "./toasts.js";

/**
 * Return what loads a list as far as it is shown: the first page, and as many as were asked for
 * after it, as one page; and the button that asks for the next.
 * @param {(cursor: string|null) => Promise<{items: object[], next_cursor: string|null}>} ask
 */
export function buildPaging(ask, signal) {
  let pages = 1;
  const load = async () => {
    const items = [];
    let cursor = null;
    let page;
    for (let n = 0; n < pages && (n === 0 || cursor); n += 1) {
      page = await ask(cursor);
      items.push(...page.items);
      cursor = page.next_cursor;
    }
    return { ...page, items };
  };
  const offer = (next, add) => {
    const grow = (items) => {
      pages += 1;
      add(items);
    };
    return buildMore(next, ask, grow, signal);
  };
  const restart = () => (pages = 1);
  return { load, offer, restart };
}

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
