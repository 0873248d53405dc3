// One anomaly in full: how strange it is, why, its features, and its model, run and bars.

import { get } from "../../lib/api.js";
import { el } from "../../lib/dom.js";
import {
  amount,
  barTime,
  change,
  confidence as writeConfidence,
  figure,
  frequency,
  grade,
  hash,
  moment,
  price,
  words,
} from "../../lib/format.js";
import { linkTo } from "../../lib/router.js";
import { findCorrection } from "../../parts/anomaly_list.js";
import { buildFacts } from "../../parts/facts.js";
import { buildSeverity } from "../../parts/severity.js";
import { buildEmpty } from "../../parts/states.js";
import { buildActs } from "./acts.js";
import { describeColumn, describeFeatures } from "./features.js";
import { buildVerification } from "./verification.js";

const SHOWN_SHARES = 6;

const describe = ({ Ticker: ticker, interval, market }) => ({ ticker, interval, market });

/** @param {{at: number, of: number, step: (move: number) => void}} place the anomaly's place
 * among those of the ticker */
export function drawAnomaly(anomaly, place, refresh, signal) {
  return [
    drawHeader(barTime(anomaly.Datetime, anomaly.interval), place),
    el(
      "div.body.stack",
      anomaly.status === "superseded" && drawSuperseded(anomaly),
      anomaly.bars_gone_at &&
        el(
          "p.notice.warn",
          `Its bars are gone since ${moment(anomaly.bars_gone_at)}: they were deleted, or their ` +
            `import was undone.`,
        ),
      drawCorrection(anomaly),
      drawGrade(anomaly),
      anomaly.kind === "event" && anomaly.suspected_split && drawSplit(anomaly.suspected_split),
      el("section", el("h3", "Why"), drawReasons(anomaly, signal), drawAcross(anomaly)),
      anomaly.kind === "event" &&
        el("section", el("h3", "What the score rests on"), drawAttribution(anomaly)),
      anomaly.members.length > 0 &&
        el("section", el("h3", "Votes of the members"), drawMembers(anomaly.members)),
      buildVerification(anomaly, signal),
      el("section", el("h3", "What to do"), buildActs(describe(anomaly), anomaly, refresh)),
      Object.keys(anomaly.features).length > 0 &&
        drawMore(
          "The 14 features",
          el("div.features.number", buildFacts(describeFeatures(anomaly.features))),
        ),
      anomaly.opinions.length > 0 &&
        drawMore(`Later opinions (${anomaly.opinions.length})`, drawOpinions(anomaly.opinions)),
      drawMore("Lineage", drawLineage(anomaly)),
    ),
  ];
}

export function drawNoAnomaly(known, step, missing = null) {
  return [
    drawHeader("Anomaly", { at: -1, of: known, step }),
    missing &&
      el(
        "p.notice.warn",
        { role: "status" },
        `Nothing was found in a bar of ${missing}, the one that this address names.`,
      ),
    known === 0
      ? buildEmpty("No anomalies", "There is nothing to show until a backfill has found something.")
      : buildEmpty(
          "Pick an anomaly",
          "Click a marker on the chart, choose one from the list, or step with the arrow keys.",
        ),
  ];
}

/** The reasons and, as soon as it is loaded, what the whole market did at that bar. */
function drawReasons(anomaly, signal) {
  const list = el(
    "ul.reasons",
    [...anomaly.root_causes, ...anomaly.reasons].map((reason) => el("li", reason)),
  );
  get(`/anomalies/${encodeURIComponent(anomaly._id)}`, {}, signal)
    .then(({ market_conditions: market }) =>
      list.append(...(market?.words ?? []).map((said) => el("li.muted", said))),
    )
    .catch(() => {}); // the reasons stand without it
  return list;
}

/** Links to that day across the market, and to the ticker beside its index. */
function drawAcross({ Ticker: ticker, Datetime: time, market, interval }) {
  const day = time.slice(0, 10);
  return el(
    "p.across",
    el("a", { href: linkTo("day", day, { market, interval }) }, "This day across the market"),
    " · ",
    el("a", { href: linkTo("compare", ticker, { interval, against: "index" }) }, "Compare"),
  );
}

function drawHeader(heading, { at, of, step }) {
  const button = (label, arrow, move, disabled) =>
    el(
      "button.button.small",
      {
        type: "button",
        "aria-label": label,
        title: label,
        disabled,
        on: { click: () => step(move) },
      },
      arrow,
    );
  return el(
    "header",
    el("h2.number", heading),
    el(
      "div.row",
      at >= 0 && el("span.muted.number", `${at + 1} of ${of}`),
      button("Previous anomaly", "←", -1, of === 0 || at === 0),
      button("Next anomaly", "→", 1, of === 0 || at === of - 1),
    ),
  );
}

function drawGrade(anomaly) {
  const move = anomaly.features.return_1;
  return el(
    "div.grade-row",
    el(
      "div.grade-number.number",
      { data: { severity: anomaly.severity } },
      grade(anomaly.grade),
      el("span", "grade"),
    ),
    el(
      "div.stack.tight",
      el(
        "div.row",
        buildSeverity(anomaly.severity),
        anomaly.kind === "fault" && el("span.badge.warn", "fault"),
        el("strong.number", change(move)),
        el("span.muted.number", `to ${price(anomaly.Close)}`),
      ),
      el(
        "p.muted",
        anomaly.kind === "fault"
          ? "The bar is wrong, by a rule: correct it at its source and import it again."
          : `As strange is ${frequency(anomaly.grade)} of its market.`,
      ),
      anomaly.confidence_factors && drawConfidence(anomaly),
    ),
  );
}

function drawConfidence({ confidence, confidence_factors: factors }) {
  const [whole, stability, agreement, completeness] = [
    confidence,
    factors.stability,
    factors.agreement,
    factors.completeness,
  ].map(writeConfidence);
  const parts =
    `${stability} that a model of other bars would flag it too, ${agreement} of the votes, ` +
    `${completeness} of its history`;
  return el("p.muted", el("strong", `Confidence ${whole}: `), parts);
}

function drawMembers(members) {
  return buildFacts(
    Object.fromEntries(
      members.map(({ detector, weight, grade: vote, missing }) => [
        words(detector),
        `${missing ? words(missing) : `grade ${grade(vote)}`}, weight ${figure(weight)}`,
      ]),
    ),
  );
}

function drawSuperseded({ superseded_by: run, superseded_at: at }) {
  return el(
    "p.notice.warn",
    el(
      "span",
      "Superseded: a later run of the same bars no longer finds it, ",
      linkToRun(run),
      `, ${moment(at)}.`,
    ),
  );
}

function drawCorrection(anomaly) {
  const opinion = findCorrection(anomaly);
  if (opinion === null) return null;
  return el(
    "p.notice.warn",
    el(
      "span",
      `Its bars were corrected since. By those of now it is ${nameKind(opinion)} of grade ` +
        `${grade(opinion.grade)}, with a close of ${price(opinion.Close)}: ` +
        `${opinion.reasons.join("; ")} (`,
      linkToRun(opinion.detection_run_id),
      `, ${moment(opinion.detection_timestamp)}). Below is what was found first.`,
    ),
  );
}

const nameKind = ({ kind, fault }) =>
  kind === "fault" ? `a fault (${words(fault)})` : "an event";

function drawSplit(ratio) {
  return el(
    "p.notice.warn",
    `Looks like a stock split that the stored bars are not adjusted for (ratio ${figure(ratio)}).`,
  );
}

function drawAttribution({ attribution, inputs }) {
  const shares = Object.entries(attribution).sort((a, b) => b[1] - a[1]);
  const widest = Math.max(...shares.map(([, share]) => share), 1e-9);
  const items = shares.map(([column, share]) =>
    buildShare(
      column,
      share,
      share / widest,
      inputs.find(({ name }) => name === column),
    ),
  );
  return [
    el("ul.attribution", items.slice(0, SHOWN_SHARES)),
    items.length > SHOWN_SHARES &&
      drawMore(
        `${items.length - SHOWN_SHARES} smaller shares`,
        el("ul.attribution", items.slice(SHOWN_SHARES)),
      ),
  ];
}

function buildShare(column, share, width, input) {
  const usual = input && `, usually ${figure(input.low)} to ${figure(input.high)}`;
  return el(
    "li",
    { title: `${column} = ${figure(input?.actual)}${usual ?? ""}` },
    el("span.name", describeColumn(column)),
    el("span.share.number", `${Math.round(share * 100)} %`),
    el("span.track", { "aria-hidden": "true" }, el("i", { vars: { "--share": width } })),
  );
}

function drawMore(name, content) {
  return el("details", el("summary", name), content);
}

function drawOpinions(opinions) {
  return el(
    "ul.opinions",
    opinions.map((opinion) =>
      el(
        "li",
        buildFacts({
          Model: opinion.model_version,
          Found: nameKind(opinion),
          Close: price(opinion.Close),
          Why: opinion.reasons.join("; "),
          Grade: grade(opinion.grade),
          Score: figure(opinion.anomaly_score),
          Run: linkToRun(opinion.detection_run_id),
          At: moment(opinion.detection_timestamp),
        }),
      ),
    ),
  );
}

function drawLineage(anomaly) {
  return buildFacts({
    Score: `${figure(anomaly.anomaly_score)} (threshold ${figure(anomaly.threshold)})`,
    Model: el("a", { href: linkTo("models", anomaly.model_version) }, anomaly.model_version),
    "Model hash": el("code", { title: anomaly.model_hash }, hash(anomaly.model_hash)),
    "Feature set": anomaly.feature_set,
    Bars: el("code", { title: anomaly.bars_fingerprint }, hash(anomaly.bars_fingerprint)),
    Run: linkToRun(anomaly.detection_run_id),
    Detected: moment(anomaly.detection_timestamp),
    "Seen in training": anomaly.in_training_window ? "yes" : "no",
    Volume: amount(anomaly.Volume),
  });
}

const linkToRun = (id) => el("a", { href: linkTo("runs", id) }, el("code", id.slice(0, 8)));
