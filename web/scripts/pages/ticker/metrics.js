// The metrics of a series as of the last bar, and their past as small charts.

import { get } from "../../lib/api.js";
import { el, svg } from "../../lib/dom.js";
import { barTime, figure, plural, words } from "../../lib/format.js";
import { buildCompute } from "../../parts/compute.js";
import { buildRegime } from "../../parts/regimes.js";
import { buildEmpty, buildSection } from "../../parts/states.js";
import { buildTable } from "../../parts/table.js";

const CATEGORIES = ["volatility", "volume", "spread", "trend", "deviation", "seasonality"];
const PAST_BARS = 120;
const [WIDTH, HEIGHT] = [96, 22];
const REASONS = {
  flat: "nothing moved",
  no_volume: "no bar has a volume",
  no_depth: "no order book stored",
  no_benchmark: "no benchmark",
  not_significant: "within what noise shows",
  daily_bars: "bars of a day have no hour",
  weekly_bars: "bars of a week have no weekday",
  negative_variance: "the estimate is below zero",
  sparse: "too few bars to compare",
};

/** @returns {{node, refresh}} a card that is loaded at once, and again where something changed */
export function buildMetrics({ ticker, interval }, signal) {
  const load = async () => {
    const query = { ticker, interval, limit: PAST_BARS };
    const [regime, ...pages] = await Promise.all(
      ["regime", ...CATEGORIES].map((category) => get(`/analysis/${category}`, query, signal)),
    ).catch((error) => {
      if (error.status === 404) return [null];
      throw error;
    });
    return regime?.items.length
      ? { regime: regime.items, pages: pages.map((page) => page.items) }
      : null;
  };
  const compute = () =>
    buildCompute({ ticker }, { interval, bars: PAST_BARS }, () => section.show(), signal);
  const section = buildSection(load, (data) => drawMetrics(data, interval, compute), signal, 6);
  section.show();
  const node = el(
    "section.card.metrics",
    { "aria-label": "Metrics" },
    el("header", el("h2", "Metrics")),
    section.node,
  );
  return { node, refresh: section.refresh };
}

function drawMetrics(data, interval, compute) {
  if (data === null) {
    return buildEmpty(
      "Nothing was computed yet",
      "Metrics are computed by themselves once in a while, or now.",
      compute(),
    );
  }
  const [latest] = data.regime;
  const regime = latest.values.regime;
  return [
    el(
      "div.market-body.stack.tight",
      el(
        "p",
        regime
          ? [buildRegime(regime.regime), ` for ${describeAge(regime.since)}, `]
          : "No regime: ",
        regime
          ? `confidence ${Math.round(100 * regime.confidence)} %, volatility ` +
              `${regime.volatility_level}, volume ${regime.volume_level}, trend ` +
              `${regime.trend_direction}`
          : explain(latest.missing.regime),
      ),
      el(
        "p.muted",
        `As of ${barTime(latest.as_of, interval)}, ` +
          `${plural(latest.metadata.bars_used, "bar")} used; of its last 250 ` +
          `${(100 * latest.metadata.completeness).toFixed(1)} % are there.`,
      ),
    ),
    data.pages.map((items, n) => drawCategory(CATEGORIES[n], items)),
  ];
}

const describeAge = (since) => (since === null ? "more than 100 bars" : plural(since + 1, "bar"));

function drawCategory(category, items) {
  const [latest] = items;
  const rows = Object.entries(latest.values).map(([name, value]) => {
    const past = items.map((item) => readNumber(item.values[name])).reverse();
    return el(
      "tr",
      el("td", words(name)),
      el(
        "td.number",
        value === null ? el("span.muted", explain(latest.missing[name])) : describe(value),
      ),
      el("td.wide-only.muted", latest.units[name]),
      el("td", past.filter((one) => one !== null).length > 1 ? drawPast(past, words(name)) : ""),
    );
  });
  return el(
    "details.fold",
    { open: category === "volatility" },
    el("summary", `${category[0].toUpperCase()}${category.slice(1)}`),
    buildTable(
      `Metrics of ${category}`,
      ["Metric", ["Value", ".number"], ["Unit", ".wide-only"], "Past"],
      rows,
    ),
  );
}

function explain(why) {
  if (!why) return "–";
  if (why.reason) return REASONS[why.reason] ?? words(why.reason);
  return `needs ${why.needed} ${why.of ?? "bars"}, has ${why.have}`;
}

/** The number that represents a metric over time; null if it has none. */
function readNumber(value) {
  if (typeof value === "number") return value;
  return value?.value ?? value?.last ?? value?.quantity ?? null;
}

function describe(value) {
  if (typeof value === "number") return figure(value);
  if (value.method) return `${figure(readNumber(value))} (${value.method})`;
  if (value.state && value.bars_since === null) return value.state;
  if (value.state) return `${value.state}, ${plural(value.bars_since, "bar")} ago`;
  if (Array.isArray(value)) {
    return value[0]?.period_bars
      ? value.map((peak) => `${figure(peak.period_bars)} bars`).join(", ")
      : value.map((share) => `${Math.round(100 * share)} %`).join(" ");
  }
  const strongest = Object.entries(value)
    .filter(([, bucket]) => bucket?.mean_abs_return !== undefined)
    .sort(([, a], [, b]) => b.mean_abs_return - a.mean_abs_return);
  if (strongest.length > 0) {
    const [name, bucket] = strongest[0];
    return `liveliest: ${name}, ${(100 * bucket.mean_abs_return).toFixed(2)} % a bar`;
  }
  return Object.entries(value)
    .map(([name, one]) => `${words(name)} ${figure(one)}`)
    .join(", ");
}

/** Values over time as a small line; gaps where there is none. */
function drawPast(values, name) {
  const known = values.filter((value) => value !== null);
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const x = (n) => 2 + (n / Math.max(1, values.length - 1)) * (WIDTH - 4);
  const y = (value) => 2 + ((high - value) / (high - low || 1)) * (HEIGHT - 4);
  const pieces = [];
  values.forEach((value, n) => {
    if (value === null) return;
    if (n === 0 || values[n - 1] === null) pieces.push([]);
    pieces.at(-1).push(`${x(n).toFixed(1)},${y(value).toFixed(1)}`);
  });
  const label = `${name}, ${plural(known.length, "bar")}: from ${figure(low)} to ${figure(high)}`;
  return svg(
    "svg",
    {
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
      width: WIDTH,
      height: HEIGHT,
      role: "img",
      "aria-label": label,
    },
    svg("title", label),
    pieces.map((points) => svg("polyline.spark-line", { points: points.join(" ") })),
  );
}
