// A table of a list that the API gives page by page: the next page comes at the click of a button.

import { el, fill } from "../lib/dom.js";
import { buildTable } from "./table.js";
import { attempt } from "./toasts.js";
import { loadInto } from "./states.js";

/**
 * @param {Node} node where it goes
 * @param {{name: string, columns: Array, load: (cursor: string|null) => Promise<{items,
 * next_cursor}>,
 *   buildRow: (item: object) => Node, buildEmpty: () => Node}} list
 */
export function showPagedTable(node, { name, columns, load, buildRow, buildEmpty }, signal) {
  const draw = ({ items, next_cursor: first }) => {
    if (items.length === 0) return buildEmpty();
    const body = el("tbody", items.map(buildRow));
    const more = el("div.more");
    const offer = (cursor) => fill(more, cursor && buildButton(cursor));
    const buildButton = (cursor) => {
      const button = el("button.button.small", { type: "button" }, "Show more");
      button.addEventListener("click", async () => {
        const page = await attempt(button, () => load(cursor));
        if (!page || signal.aborted) return;
        body.append(...page.items.map(buildRow));
        offer(page.next_cursor);
      });
      return button;
    };
    offer(first);
    return [buildTable(name, columns, body), more];
  };
  return loadInto(node, () => load(null), draw, signal);
}
