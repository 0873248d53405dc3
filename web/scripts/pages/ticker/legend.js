// One bar in words and numbers: its date, prices, change and volume.

import { el } from "../../dom.js";
import { barTime, change, price, short } from "../../format.js";

/** @param {object[]} data bars with `time` in seconds; `row` says which */
export function describeBar(data, row, interval) {
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
    el("span", el("span.muted", "Vol "), short(bar.volume)),
  ];
}
