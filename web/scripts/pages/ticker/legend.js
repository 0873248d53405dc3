// One bar in words and numbers: its date, prices, change, and the lines drawn over the prices.

import { el } from "../../lib/dom.js";
import { barTime, change, price } from "../../lib/format.js";
import { describeOverlays } from "./pane_names.js";

/** @param {object[]} data bars with `time` in seconds; `row` says which @param {object} lines by
 * name */
export function describeBar(data, row, interval, lines) {
  const bar = data[row];
  if (!bar) return [];
  const before = data[row - 1];
  return [
    el("strong", barTime(bar.time * 1000, interval)),
    [
      ["O", bar.open],
      ["H", bar.high],
      ["L", bar.low],
      ["C", bar.close],
    ].map(([name, value]) => el("span", el("span.muted", `${name} `), price(value))),
    before && el("span", change(bar.close / before.close - 1)),
    describeOverlays(lines, row).map(([name, colour, value]) =>
      el(
        "span",
        el("i.stroke", { vars: { "--colour": `var(--${colour})` } }),
        el("span.muted", `${name} `),
        value,
      ),
    ),
  ];
}
