// Table headings that sort the table.

import { el } from "../lib/dom.js";

/**
 * @param {{label: string, by: string|null, usual: string}[]} columns `by` names what a column sorts
 * by, null where it does not; `usual` is the order of the first click, such as "-grade"
 * @param {string} order as it is: "-grade" is descending
 * @returns {(Node|string)[]} what stands in each heading
 */
export function buildSortHeads(columns, order, choose) {
  return columns.map(({ label, by, usual }) => {
    if (!by) return label;
    const isChosen = order.replace("-", "") === by;
    const flipped = order.startsWith("-") ? by : `-${by}`;
    const arrow =
      isChosen && el("span", { "aria-hidden": "true" }, order.startsWith("-") ? " ↓" : " ↑");
    const click = () => choose(isChosen ? flipped : (usual ?? by));
    return el("button.sort", { type: "button", on: { click } }, label, arrow);
  });
}

/** Mark a table's headings with the present order. */
export function markSorted(table, columns, order) {
  const at = columns.findIndex(({ by }) => by && by === order.replace("-", ""));
  const sort = order.startsWith("-") ? "descending" : "ascending";
  if (at >= 0) table.querySelectorAll("th")[at].setAttribute("aria-sort", sort);
}
