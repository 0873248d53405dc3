// Tickers by time: one lane a ticker, one mark an anomaly, as high as its grade and coloured by its
// severity. The histogram above counts all anomalies, drawn or not, so that a turmoil of the whole
// market stands out. A click on one of its spans, or on a cell of a lane, chooses that time.

import { el, fill, svg } from "../lib/dom.js";
import { day } from "../lib/format.js";
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
const NARROWEST = MOST_NAME_WIDTH + 40;
const MARK_WIDTH = 3;

/**
 * @param {{lanes: {ticker: string, interval: string}[], anomalies: object[],
 * counting: Promise<{start: string, span_seconds: number, spans: object[]}>,
 * extents: Promise<Map<string, [number, number]>>,
 * range: {start: number, end: number},
 * choose: (start: number, end: number, ticker?: string) => object}} shown lanes, anomalies and, a
 * little later, their counts as the API gives them and from when to when bars are stored; times are
 * in milliseconds, and `choose` returns the attributes of a link
 */
export function buildSwimLane(shown, signal) {
  const hint = buildHint();
  const node = el("div.lanes", hint.node);
  let width = 0;
  let histogram = null;
  let scale = null;
  let extents = null;
  // Groups of their own, so that the focus on an element beside them stays when they are filled.
  const counts = svg("g");
  const bars = svg("g");
  const drawBarsStored = () => {
    if (extents && scale) bars.replaceChildren(...drawExtents(shown.lanes, extents, scale));
  };
  const drawCounts = () => {
    if (!histogram || !scale) return;
    counts.replaceChildren(
      drawCells(shown, histogram, scale),
      ...drawHistogram(histogram, scale, shown.choose),
    );
  };
  const draw = () => {
    // only its height has changed, because it was drawn; or it is not laid out (any more)
    if (node.clientWidth === width || node.clientWidth < NARROWEST) return;
    width = node.clientWidth;
    scale = buildScale(shown.range, width, shown.lanes);
    fill(node, drawPicture(shown, bars, counts, scale, hint), hint.node);
    drawBarsStored();
    drawCounts();
  };
  const observer = new ResizeObserver(draw);
  observer.observe(node);
  signal.addEventListener("abort", () => observer.disconnect());
  shown.counting
    .then((found) => {
      histogram = found;
      drawCounts();
    })
    .catch(() => {}); // the marks are shown without it
  shown.extents
    .then((found) => {
      extents = found;
      drawBarsStored();
    })
    .catch(() => {}); // the same
  node.addEventListener("keydown", (event) => step(event, node));
  return node;
}

const findRows = (lanes) => new Map(lanes.map((lane, row) => [lane.ticker, STRIP + row * LANE]));

function buildScale(span, width, lanes) {
  const letters = Math.max(...lanes.map((lane) => lane.ticker.length));
  const left = Math.min(MOST_NAME_WIDTH, Math.max(LEAST_NAME_WIDTH, 24 + LETTER_WIDTH * letters));
  const room = width - left - 16;
  const at = (time) => left + ((time - span.start) / Math.max(1, span.end - span.start)) * room;
  return { ...span, at, width, left, right: left + room };
}

function drawPicture({ lanes, anomalies }, bars, counts, scale, hint) {
  const height = STRIP + lanes.length * LANE + AXIS;
  const rows = findRows(lanes);
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
    bars,
    lanes.map((lane) => drawName(lane, rows.get(lane.ticker))),
    buildTimeAxis(scale, STRIP - 4, height - AXIS),
    counts,
    marks,
  );
}

/** The cell of the lane under the pointer: a click chooses its ticker and its time. */
function drawCells({ lanes, choose }, { start, span_seconds: seconds }, scale) {
  const rows = findRows(lanes);
  const [first, length] = [Date.parse(start), 1000 * seconds];
  const cell = svg("rect.cell", { height: LANE, rx: 3 });
  const link = svg("a", { "aria-hidden": "true", tabindex: -1 }, cell);
  const group = svg("g.cells", { "aria-hidden": "true" });
  const point = (event, { ticker }) => {
    const box = group.ownerSVGElement.getBoundingClientRect();
    const share = (event.clientX - box.left - scale.left) / (scale.right - scale.left);
    const time = scale.start + share * (scale.end - scale.start);
    const from = first + Math.floor((time - first) / length) * length;
    const to = Math.min(from + length, scale.end);
    const x = Math.max(scale.left, scale.at(from));
    for (const [name, value] of [
      ["x", x],
      ["y", rows.get(ticker)],
      ["width", Math.max(2, scale.at(to) - x)],
    ])
      cell.setAttribute(name, value);
    const { href, on } = choose(Math.max(from, scale.start), to, ticker);
    link.setAttribute("href", href);
    link.onclick = on.click;
  };
  const fields = lanes.map((lane) => {
    const field = svg("rect.field", {
      x: scale.left,
      y: rows.get(lane.ticker),
      width: scale.right - scale.left,
      height: LANE,
      data: { cells: lane.ticker },
    });
    field.addEventListener("pointermove", (event) => point(event, lane));
    // The cell lies above the field, and gets the click.
    field.addEventListener("click", (event) => {
      point(event, lane);
      link.dispatchEvent(new MouseEvent("click", event));
    });
    return field;
  });
  cell.addEventListener("pointerleave", () => cell.removeAttribute("width"));
  group.append(...fields, link);
  return group;
}

function drawName(lane, top) {
  return svg(
    "a",
    { href: linkTo("ticker", lane.ticker, { interval: lane.interval }) },
    svg("text.lane-name", { x: 16, y: top + LANE / 2 + 4 }, lane.ticker),
  );
}

/** The line from the first to the last stored bar of each lane, where it is visible. */
function drawExtents(lanes, extents, scale) {
  const rows = findRows(lanes);
  return lanes
    .filter(({ ticker }) => extents.has(ticker))
    .map(({ ticker }) => {
      const [first, last] = extents.get(ticker);
      const from = Math.max(scale.at(first), scale.left);
      const width = Math.min(scale.at(last), scale.right) - from;
      return svg("rect.extent", {
        x: from,
        y: rows.get(ticker) + 3,
        width: Math.max(last < scale.start ? 0 : MARK_WIDTH, width),
        height: LANE - 6,
        rx: 3,
      });
    });
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

/** The numbers of anomalies by severity; the spans are one Tab stop. */
function drawHistogram({ span_seconds: seconds, spans }, scale, choose) {
  const sum = (counts) => Object.values(counts).reduce((a, b) => a + b, 0);
  const unit = (STRIP - 12) / Math.max(4, ...spans.map((span) => sum(span.by_severity)));
  return spans.map(({ start, by_severity: counts }, n) => {
    const from = Date.parse(start);
    const to = Math.min(from + 1000 * seconds, scale.end);
    const x = scale.at(from);
    const width = Math.max(1, scale.at(to) - x);
    const days = seconds === 86_400 ? day(from) : `${day(from)} to ${day(to - 86_400_000)}`;
    const told = `${days}: ${SEVERITIES.filter((one) => counts[one])
      .map((one) => `${counts[one]} ${one}`)
      .join(", ")}`;
    return svg(
      "a.span",
      { ...choose(from, to), tabindex: n === 0 ? 0 : -1, "aria-label": told, data: { span: n } },
      svg("title", told),
      svg("rect.field", { x, y: 0, width, height: STRIP - 4 }),
      drawBars(x, Math.max(1, width - 1), counts, unit),
    );
  });
}

function drawBars(x, width, counts, unit) {
  let y = STRIP - 4;
  return SEVERITIES.filter((severity) => counts[severity]).map((severity) => {
    const height = counts[severity] * unit;
    y -= height;
    return svg(`rect.bin.${severity}`, { x, y, width, height });
  });
}

const byTickerAndTime = (rows) => (a, b) =>
  rows.get(a.Ticker) - rows.get(b.Ticker) || (a.Datetime < b.Datetime ? -1 : 1);

/** Arrow keys move along the marks, and along the histogram, so that each is a single Tab stop. */
function step(event, node) {
  const move = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  const kind = document.activeElement.matches("[data-span]") ? "[data-span]" : "[data-mark]";
  const marks = [...node.querySelectorAll(kind)];
  const at = marks.indexOf(document.activeElement);
  if (!move || at < 0) return;
  event.preventDefault();
  const next = marks[(at + move + marks.length) % marks.length];
  marks[at].setAttribute("tabindex", -1);
  next.setAttribute("tabindex", 0);
  next.focus();
}
