// Tickers by time: one lane a ticker, one mark an anomaly, as high as its grade and coloured by its
// severity. The strip above counts the anomalies of all lanes, so that a turmoil of the whole
// market stands out.

import { el, fill, svg } from "../lib/dom.js";
import { buildHint } from "./hint.js";
import { linkToAnomaly } from "./anomaly_list.js";
import { buildTimeAxis } from "./time_axis.js";
import { SEVERITIES } from "./severity.js";
import { linkTo } from "../lib/router.js";

const LANE = 26;
const STRIP = 44;
const AXIS = 20;
const LETTER_WIDTH = 8.2;
const [LEAST_NAME_WIDTH, MOST_NAME_WIDTH] = [62, 120];
const BIN_WIDTH = 6;
const MARK_WIDTH = 3;

/**
 * @param {{ticker: string, first: number, last: number}[]} lanes what to show, with the extent
 * of the stored bars
 * @param {object[]} anomalies of these tickers, as the API lists them
 * @param {{start: number, end: number}} span in milliseconds
 */
export function buildSwimLane(lanes, anomalies, span, signal) {
  const hint = buildHint();
  const node = el("div.lanes", hint.node);
  let width = 0;
  const draw = () => {
    if (node.clientWidth === width) return; // only its height has changed, by being drawn
    width = node.clientWidth;
    const scale = buildScale(span, width, lanes);
    fill(node, drawPicture(lanes, anomalies, scale, hint), hint.node);
  };
  const observer = new ResizeObserver(draw);
  observer.observe(node);
  signal.addEventListener("abort", () => observer.disconnect());
  node.addEventListener("keydown", (event) => step(event, node));
  return node;
}

function buildScale(span, width, lanes) {
  const letters = Math.max(...lanes.map((lane) => lane.ticker.length));
  const left = Math.min(MOST_NAME_WIDTH, Math.max(LEAST_NAME_WIDTH, 24 + LETTER_WIDTH * letters));
  const room = width - left - 16;
  const at = (time) => left + ((time - span.start) / Math.max(1, span.end - span.start)) * room;
  return { ...span, at, width, left, right: left + room };
}

function drawPicture(lanes, anomalies, scale, hint) {
  const height = STRIP + lanes.length * LANE + AXIS;
  const rows = new Map(lanes.map((lane, row) => [lane.ticker, STRIP + row * LANE]));
  const marks = anomalies
    .filter((anomaly) => rows.has(anomaly.Ticker))
    .sort(byTickerAndTime(rows))
    .map((anomaly, n) => drawMark(anomaly, rows.get(anomaly.Ticker), scale, hint, n === 0));
  return svg(
    "svg",
    {
      viewBox: `0 0 ${scale.width} ${height}`,
      height,
      role: "group",
      "aria-label": "Anomalies by ticker and time",
    },
    lanes.map((lane) => drawLane(lane, rows.get(lane.ticker), scale)),
    buildTimeAxis(scale, STRIP - 4, height - AXIS),
    drawStrip(anomalies, scale),
    marks,
  );
}

function drawLane(lane, top, scale) {
  const from = Math.max(scale.at(lane.first), scale.left);
  return svg(
    "g",
    svg("rect.extent", {
      x: from,
      y: top + 3,
      width: Math.max(
        lane.last < scale.start ? 0 : MARK_WIDTH,
        Math.min(scale.at(lane.last), scale.right) - from,
      ),
      height: LANE - 6,
      rx: 3,
    }),
    svg(
      "a",
      { href: linkTo("ticker", lane.ticker, { interval: lane.interval }) },
      svg("text.lane-name", { x: 16, y: top + LANE / 2 + 4 }, lane.ticker),
    ),
  );
}

function drawMark(anomaly, top, scale, hint, isFirst) {
  const height = 6 + ((LANE - 10) * Math.min(100, anomaly.grade)) / 100;
  const x = scale.at(Date.parse(anomaly.Datetime)) - MARK_WIDTH / 2;
  const link = svg(
    "a",
    {
      href: linkToAnomaly(anomaly),
      tabindex: isFirst ? 0 : -1,
      "aria-label": hint.describe(anomaly),
      data: { mark: "" },
    },
    svg("rect.mark", { x, y: top + (LANE - height) / 2, width: MARK_WIDTH, height, rx: 1 }),
  );
  link.firstChild.classList.add(anomaly.severity);
  for (const event of ["pointerenter", "focus"])
    link.addEventListener(event, () => hint.show(anomaly, x, top + LANE));
  for (const event of ["pointerleave", "blur"]) link.addEventListener(event, hint.hide);
  return link;
}

function drawStrip(anomalies, scale) {
  const bins = new Map();
  for (const { Datetime: time, severity } of anomalies) {
    const bin = Math.floor((scale.at(Date.parse(time)) - scale.left) / BIN_WIDTH);
    const counts = bins.get(bin) ?? {};
    counts[severity] = (counts[severity] ?? 0) + 1;
    bins.set(bin, counts);
  }
  const sum = (counts) => Object.values(counts).reduce((a, b) => a + b, 0);
  const unit = (STRIP - 12) / Math.max(4, ...[...bins.values()].map(sum));
  return svg(
    "g",
    { "aria-hidden": "true" },
    [...bins].map(([bin, counts]) => drawBin(scale.left + bin * BIN_WIDTH, counts, unit)),
  );
}

function drawBin(x, counts, unit) {
  let y = STRIP - 4;
  return SEVERITIES.filter((severity) => counts[severity]).map((severity) => {
    const height = counts[severity] * unit;
    y -= height;
    return svg(`rect.bin.${severity}`, { x, y, width: BIN_WIDTH - 1, height });
  });
}

const byTickerAndTime = (rows) => (a, b) =>
  rows.get(a.Ticker) - rows.get(b.Ticker) || (a.Datetime < b.Datetime ? -1 : 1);

/** Arrow keys move along the marks, so that all of them are one stop for the Tab key. */
function step(event, node) {
  const move = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  const marks = [...node.querySelectorAll("[data-mark]")];
  const at = marks.indexOf(document.activeElement);
  if (!move || at < 0) return;
  event.preventDefault();
  const next = marks[(at + move + marks.length) % marks.length];
  marks[at].setAttribute("tabindex", -1);
  next.setAttribute("tabindex", 0);
  next.focus();
}
