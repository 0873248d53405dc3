// Vertical lines and labels at round dates.

import { svg } from "../lib/dom.js";

const DAY = 86_400_000;
const LABEL_WIDTH = 54;
const MONTHS = [1, 3, 6, 12, 24, 60, 120];
const month = new Intl.DateTimeFormat("en-GB", {
  month: "short",
  year: "2-digit",
  timeZone: "UTC",
});

/** @param {{start: number, end: number, at: (time: number) => number, right: number}} scale */
export function buildTimeAxis(scale, top, bottom) {
  return svg(
    "g",
    { "aria-hidden": "true" },
    listTicks(scale).map((time) => {
      const x = scale.at(time);
      return svg(
        "g",
        svg("line.year", { x1: x, x2: x, y1: top, y2: bottom }),
        svg("text", { x, y: bottom + 15, "text-anchor": "middle" }, label(time)),
      );
    }),
  );
}

function listTicks({ start, end, at, right }) {
  const perMonth = (right - at(start)) / ((end - start) / (30.4 * DAY));
  const step = MONTHS.find((months) => months * perMonth >= LABEL_WIDTH) ?? MONTHS.at(-1);
  const first = new Date(start);
  const ticks = [];
  for (
    let n = Math.ceil((first.getUTCFullYear() * 12 + first.getUTCMonth() + 1) / step) * step;
    ;
    n += step
  ) {
    const time = Date.UTC(Math.floor(n / 12), n % 12, 1);
    if (time > end) return ticks;
    ticks.push(time);
  }
}

function label(time) {
  const date = new Date(time);
  return date.getUTCMonth() === 0 ? String(date.getUTCFullYear()) : month.format(date);
}
