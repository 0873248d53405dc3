// The regime of each bar as a band of colour behind the candles.

import { NAMES } from "../../parts/regimes.js";

const nameColour = (regime) => `band-${regime.replaceAll("_", "-")}`;

/** The names of its colours. */
export const BAND_COLOURS = NAMES.map(nameColour);

/**
 * @param {object} chart of Lightweight Charts
 * @param {object} series whose pane the band fills
 */
export function buildRegimeBand(chart, series) {
  const state = { stretches: [], colours: {}, redraw: () => {} };
  const draw = (target) =>
    target.useBitmapCoordinateSpace((scope) => paintStretches(scope, chart.timeScale(), state));
  const view = { zOrder: () => "bottom", renderer: () => ({ draw }) };
  series.attachPrimitive({
    attached: ({ requestUpdate }) => (state.redraw = requestUpdate),
    paneViews: () => [view],
  });
  return {
    /** @param {{row: number, regime: string}[]} regimes ascending, each with the row of its bar */
    set(regimes) {
      state.stretches = joinNeighbours(regimes);
      state.redraw();
    },
    paint(colours) {
      state.colours = colours;
      state.redraw();
    },
  };
}

/** Return runs of neighbouring bars with one regime, by their first and last row. */
function joinNeighbours(regimes) {
  const stretches = [];
  for (const { row, regime } of regimes) {
    const last = stretches.at(-1);
    if (last && last.regime === regime && last.to === row - 1) last.to = row;
    else stretches.push({ regime, from: row, to: row });
  }
  return stretches;
}

function paintStretches(
  { context, bitmapSize, horizontalPixelRatio: ratio },
  scale,
  { stretches, colours },
) {
  // Only whole bars have coordinates.
  const half = (scale.logicalToCoordinate(1) - scale.logicalToCoordinate(0)) / 2;
  for (const { regime, from, to } of stretches) {
    const [left, right] = [scale.logicalToCoordinate(from), scale.logicalToCoordinate(to)];
    if (left === null || right === null) continue;
    const [start, end] = [Math.round((left - half) * ratio), Math.round((right + half) * ratio)];
    if (end < 0 || start > bitmapSize.width) continue;
    context.fillStyle = colours[nameColour(regime)];
    context.fillRect(start, 0, end - start, bitmapSize.height);
  }
}
