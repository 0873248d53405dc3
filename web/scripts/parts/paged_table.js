// A table of a list that the API gives page by page: the next page comes at the click of a button.

import { el } from "../lib/dom.js";
import { buildPaging } from "./more.js";
import { buildTable } from "./table.js";
import { buildSection } from "./states.js";

/**
 * Return {node, show, refresh}: a section of its rows, as `buildSection` keeps one. `load` is
 * called by each, so that another choice of rows is but another `show()`.
 * @param {{name: string, columns: Array, load: (cursor: string|null) => Promise<{items,
 * next_cursor}>,
 *   buildRow: (item: object) => Node, buildEmpty: () => Node}} list
 */
export function buildPagedTable({ name, columns, load, buildRow, buildEmpty }, signal) {
  const paging = buildPaging(load, signal);
  const draw = ({ items, next_cursor: next }) => {
    if (items.length === 0) return buildEmpty();
    const body = el("tbody", items.map(buildRow));
    const add = (more) => body.append(...more.map(buildRow));
    return [buildTable(name, columns, body), paging.offer(next, add)];
  };
  const section = buildSection(paging.load, draw, signal);
  const show = () => {
    paging.restart();
    return section.show();
  };
  return { node: section.node, show, refresh: section.refresh };
}
