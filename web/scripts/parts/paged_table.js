// A table of a list that the API gives page by page: the next page comes at the click of a button.

import { el } from "../lib/dom.js";
import { buildMore } from "./more.js";
import { buildTable } from "./table.js";
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
    const add = (more) => body.append(...more.map(buildRow));
    return [buildTable(name, columns, body), buildMore(first, load, add, signal)];
  };
  return loadInto(node, () => load(null), draw, signal);
}
