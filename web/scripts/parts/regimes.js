// The eight regimes: what they are called, what they mean, and in which colours they are drawn.

import { el, svg } from "../lib/dom.js";
import { barTime, count, words } from "../lib/format.js";

const REGIMES = {
  bullish_acceleration: "lively, busy, and rising faster than its own moves",
  bearish_acceleration: "lively, busy, and falling faster than its own moves",
  breakout_phase: "lively and busy, without a direction yet",
  turbulent_illiquidity: "lively, while little is traded",
  stable_accumulation: "calm, while much is traded",
  consolidation: "calm, and little is traded",
  balanced_market: "neither lively nor calm, neither busy nor quiet",
  transitional: "between the others",
};
export const NAMES = Object.keys(REGIMES);

const [WIDTH, HEIGHT] = [720, 120];

/** A regime as a word with its colour; a dash where there is none. */
export function buildRegime(name) {
  if (!name) return el("span.muted", "–");
  return el(
    "span.regime",
    { title: REGIMES[name] },
    el("i", { data: { regime: name } }),
    words(name),
  );
}

export function buildRegimeKey(names = NAMES) {
  return el(
    "ul.regime-key",
    names.map((name) => el("li", buildRegime(name))),
  );
}

/**
 * Shares of tickers in each regime over time, as a ribbon of one column a bar.
 * @param {{time: string, regimes: Object<string, number>}[]} bars the oldest first
 */
export function buildRibbon(bars, interval) {
  const width = WIDTH / bars.length;
  const columns = bars.map(({ regimes, time }, n) => {
    const total = Object.values(regimes).reduce((a, b) => a + b, 0);
    let top = 0;
    const parts = NAMES.filter((name) => regimes[name]).map((name) => {
      const height = (regimes[name] / total) * HEIGHT;
      const part = svg("rect", {
        x: (n * width).toFixed(2),
        y: top.toFixed(2),
        width: (width + 0.4).toFixed(2),
        height: height.toFixed(2),
        data: { regime: name },
      });
      top += height;
      return part;
    });
    const told = NAMES.filter((name) => regimes[name]).map(
      (name) => `${words(name)} ${count(regimes[name])}`,
    );
    return svg(
      "g",
      svg("title", `${barTime(time, interval)}: ${told.join(", ") || "no regimes yet"}`),
      parts,
    );
  });
  const label =
    `Regimes of the market's tickers from ${barTime(bars[0].time, interval)} to ` +
    `${barTime(bars.at(-1).time, interval)}`;
  return svg(
    "svg.ribbon",
    {
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
      preserveAspectRatio: "none",
      role: "img",
      "aria-label": label,
    },
    columns,
  );
}
