// The closes that led to an anomaly, as a small line that ends in its mark.

import { get } from "../lib/api.js";
import { el, svg } from "../lib/dom.js";

const BARS = 40;
const [WIDTH, HEIGHT, EDGE] = [84, 24, 3];

export function buildSparkline(anomaly, signal) {
  const node = el("span", { "aria-hidden": "true" });
  const query = {
    ticker: anomaly.Ticker,
    interval: anomaly.interval,
    end: anomaly.Datetime,
    limit: BARS,
  };
  get("/data/candles", query, signal)
    .then(({ items }) =>
      node.replaceChildren(
        drawLine(
          items.map((bar) => bar.close),
          anomaly.severity,
        ),
      ),
    )
    .catch(() => {}); // a line without its picture is still complete
  return node;
}

function drawLine(closes, severity) {
  const [low, high] = [Math.min(...closes), Math.max(...closes)];
  const x = (n) => EDGE + (n / Math.max(1, closes.length - 1)) * (WIDTH - 2 * EDGE);
  const y = (close) => EDGE + ((high - close) / (high - low || 1)) * (HEIGHT - 2 * EDGE);
  const points = closes.map((close, n) => `${x(n).toFixed(1)},${y(close).toFixed(1)}`).join(" ");
  return svg(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, width: WIDTH, height: HEIGHT },
    svg("polyline.spark-line", { points }),
    svg(`circle.mark.${severity}`, { cx: x(closes.length - 1), cy: y(closes.at(-1)), r: 3 }),
  );
}
