// One alert: chart, why, whose move it was, what people said, and who did what.

import { get, getFile, post } from "../../lib/api.js";
import { el, fill, svg } from "../../lib/dom.js";
import {
  barTime,
  change,
  confidence,
  figure,
  frequency,
  grade,
  moment,
  price,
  words,
} from "../../lib/format.js";
import { listenToKeys } from "../../lib/keyboard.js";
import { doNow, pause, repeat } from "../../lib/live.js";
import { linkTo } from "../../lib/router.js";
import { buildAge } from "../../parts/age.js";
import { buildFacts } from "../../parts/facts.js";
import { buildSeverity } from "../../parts/severity.js";
import { loadInto } from "../../parts/states.js";
import { buildTable } from "../../parts/table.js";
import { attempt } from "../../parts/toasts.js";
import { drawFollowed } from "./followed.js";
import { linkBeside } from "./inbox_place.js";
import { drawChildren, drawTrail, keepLists } from "./lists.js";
import { askToAssign, askToResolve, askToSnooze, takeStep } from "./steps.js";
import { countBars, countFlagged, nameSubject } from "./subject.js";

const REFRESH_MILLISECONDS = 4000;
const BARS = 90;
const [WIDTH, HEIGHT, EDGE] = [640, 180, 8];
const OPEN = ["active", "acknowledged", "snoozed"];

export async function showAlert(main, id, signal) {
  const path = `/alerts/${encodeURIComponent(id)}`;
  const lists = keepLists(id, signal);
  // Kept when everything around it is redrawn: its text has not been sent yet.
  const text = el("textarea", { rows: 2, maxlength: 2000, required: true });
  let shown = "";
  const load = () => get(path, {}, signal);
  const draw = (alert) => {
    if (shown === "")
      pause(REFRESH_MILLISECONDS, signal).then(() =>
        repeat(REFRESH_MILLISECONDS, refresh, signal),
      );
    shown = JSON.stringify(alert);
    return drawAlert(alert, lists, text, refresh, signal);
  };
  const refresh = async () => {
    const alert = await load();
    const isWriting = document.activeElement?.closest("textarea, dialog");
    if (signal.aborted || isWriting || JSON.stringify(alert) === shown) return;
    fill(main, draw(alert));
  };
  // As in the inbox, each key does what its button does, if the button is there.
  const press = (key) => main.querySelector(`button[data-key="${key}"]`)?.click();
  listenToKeys(Object.fromEntries(["e", "r", "s"].map((key) => [key, () => press(key)])), signal);
  await loadInto(main, load, draw, signal, 8);
}

function drawAlert(alert, { trail, children }, text, refresh, signal) {
  const isTicker = alert.entity_type === "ticker";
  const name = nameSubject(alert);
  return [
    el(
      "div.head",
      el(
        "div",
        el("h1", `${name}, ${barTime(alert.last_bar, alert.interval, alert.market)}`),
        el(
          "p.row",
          buildSeverity(alert.severity),
          el("span.badge", alert.state),
          alert.muted_by && el("span.badge", "muted"),
          alert.scope && el("span.badge", `${alert.scope} move`),
        ),
      ),
      el("div.row", buildEvidence(alert), el("a.button", { href: linkBeside() }, "All alerts")),
    ),
    el(
      "div.columns",
      el(
        "div.stack",
        isTicker && drawChart(alert, signal),
        drawWhy(alert),
        isTicker && drawFollowed(alert, signal),
        alert.children.length > 0 && card("Its tickers", drawChildren(children, alert)),
      ),
      el(
        "div.stack",
        drawSteps(alert, refresh),
        drawComments(alert, text, refresh),
        card("Trail", drawTrail(trail, alert)),
      ),
    ),
  ];
}

function buildEvidence(alert) {
  const button = el("button.button", { type: "button" }, "Evidence");
  button.title = "Bars, features, models, verifications and trail as a zip with hashes";
  button.addEventListener("click", async () => {
    const path = `/alerts/${encodeURIComponent(alert._id)}/evidence`;
    const file = await attempt(button, () => getFile(path));
    if (!file) return;
    const href = URL.createObjectURL(file);
    el("a", { href, download: `evidence ${nameSubject(alert)}.zip` }).click();
    URL.revokeObjectURL(href);
  });
  return button;
}

function drawSteps(alert, refresh) {
  const ids = [alert._id];
  const button = (label, action, key = "") => {
    const data = { needs: "respond", key };
    const node = el("button.button.small", { type: "button", data }, label);
    node.addEventListener("click", async () => {
      if (await attempt(node, () => action())) await doNow(refresh);
    });
    return node;
  };
  const can = (...states) => !alert.archived && states.includes(alert.state);
  const steps = [
    can("active", "snoozed") && button("Acknowledge", () => takeStep(ids, "acknowledge"), "e"),
    can(...OPEN, "expired") && button("Resolve", () => askToResolve(ids), "r"),
    can(...OPEN) && button("Snooze", () => askToSnooze(ids), "s"),
    can(...OPEN) && button("Assign", () => askToAssign(ids)),
    can("resolved") && button("Reopen", () => takeStep(ids, "reopen")),
  ].filter(Boolean);
  return card(
    "State",
    steps.length > 0 && el("div.row", steps),
    buildFacts({
      Watchlist: alert.watchlist ?? "none",
      Owner: alert.owner ?? "nobody",
      Grade: nameGrade(alert),
      "First bar": barTime(alert.bar_time, alert.interval, alert.market),
      [alert.entity_type === "feed" ? "Lacking" : "Bars"]: countBars(alert),
      "Snoozed until": alert.snoozed_until && moment(alert.snoozed_until),
      "Resolved by": alert.resolved_by,
      "It was": alert.feedback && words(alert.feedback),
      Because: alert.cause && words(alert.cause),
      Notes: alert.resolution_notes,
      "Part of":
        alert.parent_id &&
        el("a", { href: linkBeside(alert.parent_id) }, "a market-wide bar"),
    }),
  );
}

function drawChart(alert, signal) {
  const picture = el("div");
  const query = {
    ticker: alert.entity_id,
    interval: alert.interval,
    end: alert.last_bar,
    limit: BARS,
  };
  get("/data/candles", query, signal)
    .then(({ items }) => fill(picture, drawLine(items, alert)))
    .catch(() => {}); // the text is shown without its picture
  const address = { interval: alert.interval, anomaly: alert.last_bar };
  return card(
    "Closes",
    picture,
    el(
      "p.row",
      el("a", { href: linkTo("ticker", alert.entity_id, address) }, "Open the chart"),
      linkToDay(alert),
    ),
  );
}

/** The link to the other anomalies of its last bar. */
function linkToDay({ last_bar: time, market, interval }) {
  const address = linkTo("day", time.slice(0, 10), { market, interval });
  return el("a", { href: address }, "This day across the market");
}

function drawLine(bars, alert) {
  if (bars.length < 2) return el("p.muted", "Its bars are not stored any more.");
  const closes = bars.map((bar) => bar.close);
  const [low, high] = [Math.min(...closes), Math.max(...closes)];
  const x = (n) => EDGE + (n / (closes.length - 1)) * (WIDTH - 2 * EDGE);
  const y = (close) => EDGE + ((high - close) / (high - low || 1)) * (HEIGHT - 2 * EDGE);
  const points = closes.map((close, n) => `${x(n).toFixed(1)},${y(close).toFixed(1)}`).join(" ");
  const last = closes.length - 1;
  // If its bar was deleted or undone, the last stored bar is not the one that the alert is about.
  const isThere = Date.parse(bars[last].time) === Date.parse(alert.last_bar);
  const said = `The last ${bars.length} closes, to ${figure(closes[last])}`;
  const picture = svg(
    "svg.alert-chart",
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": said },
    svg("polyline.spark-line", { points }),
    isThere && svg(`circle.mark.${alert.severity}`, { cx: x(last), cy: y(closes[last]), r: 4 }),
  );
  const [first, end] = [bars[0], bars[last]].map(({ time }) =>
    barTime(time, alert.interval, alert.market),
  );
  const extent = `${first} to ${end}, between ${price(low)} and ${price(high)}`;
  return [
    picture,
    el("p.muted.number", extent),
    !isThere && el("p.muted", "Its own bar is not stored any more."),
  ];
}

function drawWhy(alert) {
  const said = [...alert.root_causes, ...alert.reasons];
  return card(
    "Why",
    el(
      "ul.reasons",
      said.map((reason) => el("li", reason)),
    ),
    countFlagged(alert) && el("p", countFlagged(alert)),
    alert.detector_type && el("p.muted", nameFinder(alert)),
    alert.root_cause?.move !== null && alert.root_cause && drawParts(alert),
    alert.inputs.length > 0 && drawInputs(alert.inputs),
  );
}

/** How rare its bar is. The grade of a stopped feed only says how much of it has stopped. */
const nameGrade = ({ entity_type: type, grade: value }) =>
  type === "feed" ? grade(value) : `${grade(value)}, ${frequency(value)}`;

const nameFinder = ({ detector_type: detector, confidence: sure }) =>
  `Found by ${words(detector)}${sure === null ? "" : `, confidence ${confidence(sure)}`}`;

/** One digit, and no sign where it is 0.0. */
const deviations = (z) => z.toFixed(1).replace(/^-0\.0$/, "0.0").replace("-", "−");

/**
 * Whose move it was, as boxes from the market down to the ticker. Those of market and sector have
 * what the ticker took from them, which is not how far they moved themselves.
 */
function drawParts({ root_cause: cause, entity_id: ticker }) {
  const { beta_market: betaMarket, beta_sector: betaSector } = cause;
  const part = (name, value, z) =>
    el(
      "li",
      el("span.name", name),
      el("strong.number", change(Math.expm1(value ?? 0))),
      el("span.muted.number", z === null ? "" : `${deviations(z)} deviations`),
    );
  return el(
    "section",
    el("h3", "Whose move it was"),
    el(
      "ol.parts",
      betaMarket !== null && part("From the market", betaMarket * cause.market, cause.z_market),
      cause.sector &&
        betaSector !== null &&
        part(`From ${cause.sector}`, betaSector * cause.sector_move, cause.z_sector),
      cause.own !== null && part("Its own", cause.own, cause.z_own),
      part(`${ticker} in all`, cause.move, null),
    ),
    cause.carriers.length > 0 && el("p.below", `Carried by ${cause.carriers.join(", ")}`),
    cause.impact.length > 0 &&
      el("p.muted.below", `Hit on this bar too: ${cause.impact.join(", ")}`),
  );
}

function drawInputs(inputs) {
  const rows = inputs.map((input) =>
    el(
      "tr",
      el("td", input.label),
      el("td.number", figure(input.actual)),
      el("td.number", `${figure(input.low)} to ${figure(input.high)}`),
      el("td.number", `${Math.round(input.share * 100)} %`),
    ),
  );
  const columns = [
    "What the model read",
    ...["Value", "Usual", "Share"].map((label) => [label, ".number"]),
  ];
  return buildTable("What the model read", columns, el("tbody", rows));
}

function drawComments(alert, text, refresh) {
  const send = el("button.button.small", { type: "submit", data: { needs: "respond" } }, "Comment");
  const submit = async (event) => {
    event.preventDefault();
    const path = `/alerts/${encodeURIComponent(alert._id)}/comments`;
    if (!(await attempt(send, () => post(path, { text: text.value })))) return;
    text.value = "";
    send.focus();
    await doNow(refresh);
  };
  const list = alert.comments.map(({ by, at, text: said }) =>
    el("li", el("strong", by), " ", el("span.muted", buildAge(at)), el("p", said)),
  );
  return card(
    "Comments",
    list.length > 0 && el("ul.comments", list),
    !alert.archived &&
      el(
        "form.stack",
        { on: { submit } },
        el("label.field", "What you know", text),
        el("div", send),
      ),
  );
}

const card = (name, ...content) =>
  el(
    "section.card",
    { "aria-label": name },
    el("header", el("h2", name)),
    el("div.body.stack", content),
  );
