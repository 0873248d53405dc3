// The visible range of a chart.

const BARS_AROUND = 60;
const DAYS = { "5d": 5, "1mo": 31, "3mo": 91, "1y": 365, "5y": 1826 };

/** The visible range. A request before the chart has a size is kept until it has. */
export function buildView(scale, data, rows) {
  let wish = null;
  const see = (range) => {
    if (scale.width() === 0) wish = range;
    else scale.setVisibleLogicalRange(range);
  };
  scale.subscribeSizeChange(() => {
    if (wish) scale.setVisibleLogicalRange(wish);
    wish = null;
  });
  return {
    /** Move only if the bar would not be clearly visible; returns whether it did. */
    reveal(time) {
      const row = rows.get(time);
      const seen = wish ?? scale.getVisibleLogicalRange();
      if (row === undefined) return false;
      const isSeen =
        seen && row > seen.from + 2 && row < seen.to - 2 && seen.to - seen.from < 6 * BARS_AROUND;
      if (!isSeen) see({ from: row - BARS_AROUND, to: row + BARS_AROUND });
      return !isSeen;
    },
    /**
     * Show the days from one to another, either of which may be missing; returns whether any is
     * given.
     */
    showRange({ start, end }) {
      if (!start && !end) return false;
      const first = start ? Date.parse(start) / 1000 : -Infinity;
      const last = end ? Date.parse(end) / 1000 + 86_400 : Infinity;
      const from = data.findIndex((bar) => bar.time >= first);
      const to = data.findLastIndex((bar) => bar.time < last);
      if (from >= 0 && to >= from) see({ from: from - 1, to: to + 1 });
      return true;
    },
    showPeriod(period) {
      const start = period in DAYS ? data.at(-1)?.time - DAYS[period] * 86_400 : -Infinity;
      const from = data.findIndex((bar) => bar.time >= start);
      const margin = 1 + 0.015 * (data.length - from);
      see({ from: from - margin, to: data.length + margin });
    },
  };
}
