// Evaluating a version on a period of bars, by labels or against another version; nothing is
// promoted.

import { get, post } from "../../lib/api.js";
import { el, fill } from "../../lib/dom.js";
import { toQuery } from "../../lib/filters.js";
import { barTime, count, plural, words } from "../../lib/format.js";
import { newIdentifier } from "../../lib/identifier.js";
import { followRun } from "../../lib/live.js";
import { getAll } from "../../lib/pages.js";
import { keepInUrl, readRoute } from "../../lib/router.js";
import { buildFacts } from "../../parts/facts.js";
import { askInDialog } from "../../parts/form_dialog.js";
import { buildProse } from "../../parts/prose.js";
import { buildProgress, describeOutcome } from "../../parts/run_progress.js";
import { say } from "../../parts/toasts.js";

const ANOMALY = new Set(["anomaly", "event", "fault", "true", "confirmed", "1", "yes"]);
const ALL = "ALL";
const DAY = /^\d{4}-\d{2}-\d{2}/;
const SPREADSHEETS = ["PK\x03\x04", "\xD0\xCF\x11\xE0"]; // first bytes of xlsx and ods, and of xls
const USUAL = new Set(["usual", "normal", "false", "false_alarm", "expected", "0", "no"]);

/** @returns {{button: Node, card: Node}} what asks for it, and where its result is shown */
export function buildJudging(model, signal) {
  const body = el("div.body");
  const card = el(
    "section.card.below",
    { hidden: true, "aria-label": "Evaluation" },
    el("header", el("h2", "Evaluation")),
    body,
  );
  const button = el(
    "button.button.small",
    { type: "button", data: { needs: "enqueue" } },
    "Evaluate",
  );
  button.addEventListener("click", () =>
    openDialog(model, signal)
      .then((id) => id && follow(id))
      .catch((error) => say(error.message, "bad")),
  );
  const follow = async (id) => {
    const bar = buildProgress("Progress of the evaluation");
    card.hidden = false;
    fill(body, bar.node);
    const ended = await followRun(id, (run) => bar.update(run), signal);
    if (!ended) return;
    if (ended.status !== "complete") {
      fill(body, el("p.notice.bad", el("span", buildProse(describeOutcome(ended)))));
      return;
    }
    keepInUrl({ evaluation: ended.options.evaluation });
    await read(ended.options.evaluation);
  };
  const read = async (id) => {
    card.hidden = false;
    const found = await get(`/evaluations/${encodeURIComponent(id)}`, {}, signal);
    fill(body, drawEvaluation(found));
  };
  const shown = readRoute().query.get("evaluation");
  if (shown)
    read(shown).catch((error) => signal.aborted || fill(body, el("p.notice.bad", error.message)));
  return { button, card };
}

async function openDialog(model, signal) {
  // A version of all markets can be compared with one of any market, on that market's bars.
  const others = (await getAll("/models", {}, signal)).filter(
    ({ version, interval, market }) =>
      version !== model.version &&
      interval === model.interval &&
      (market === model.market || market === ALL || model.market === ALL),
  );
  const other = el(
    "select",
    el("option", { value: "" }, "none"),
    others.map(({ version }) => el("option", { value: version }, version)),
  );
  const start = el("input", { type: "date" });
  const end = el("input", { type: "date" });
  const labels = el("input", { type: "file", accept: ".csv,text/csv" });
  const key = newIdentifier();
  return askInDialog({
    title: `Evaluate ${model.version}`,
    lead:
      "It scores every bar of the stretch and says how much it flags. Nothing is stored but the " +
      "result, and nothing is promoted.",
    nodes: [
      el(
        "div.row.fields",
        el("label.field", "Compare with", other),
        el("label.field", "From", start),
        el("label.field", "To", end),
      ),
      el("label.field", "Labels: CSV with ticker, time and label (anomaly or usual)", labels),
    ],
    verb: "Evaluate",
    send: async () => {
      const read = labels.files.length ? readLabels(await readText(labels.files[0])) : [];
      const asked = {
        versions: [model.version, other.value].filter(Boolean),
        ...(start.value && { start: start.value }),
        ...(end.value && toQuery({ end: end.value })),
        ...(read.length && { labels: read }),
      };
      return (await post("/models/evaluate", asked, { key })).run_id;
    },
  });
}

/**
 * The text of a file. A workbook has none, and Excel's "Unicode text" has two bytes a character.
 */
async function readText(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  const begins = String.fromCharCode(...bytes.slice(0, 4));
  if (SPREADSHEETS.some((mark) => begins.startsWith(mark)))
    throw new Error("This is a spreadsheet's own file: save it as CSV, and choose that.");
  const encoding = { "\xFF\xFE": "utf-16le", "\xFE\xFF": "utf-16be" }[begins.slice(0, 2)];
  return new TextDecoder(encoding ?? "utf-8").decode(bytes);
}

function readLabels(text) {
  const rows = text.trim().split(/\r?\n/);
  // Excel's line that names the column separator.
  const first = /^"?sep=.?"?$/i.test(rows[0]) ? 1 : 0;
  const [head, ...lines] = rows.slice(first);
  const parts = (mark) => splitLine(head ?? "", mark).length;
  const mark = [",", ";", "\t"].reduce((most, each) => (parts(each) > parts(most) ? each : most));
  const split = (line) => splitLine(line, mark);
  const names = split(head ?? "").map((name) => name.toLowerCase());
  const at = (...wanted) => names.findIndex((name) => wanted.includes(name));
  const [ticker, time, label] = [at("ticker"), at("time", "date", "datetime"), at("label")];
  const interval = at("interval");
  if (Math.min(ticker, time, label) < 0)
    throw new Error("The file needs the columns ticker, time and label in its first line.");
  const labels = lines.flatMap((line, number) => {
    const values = split(line);
    // Spreadsheets also write rows that were emptied.
    if (![ticker, time, label].some((place) => values[place])) return [];
    const word = (values[label] ?? "").toLowerCase();
    const where = `Line ${number + first + 2}`;
    if (!ANOMALY.has(word) && !USUAL.has(word))
      throw new Error(`${where}: the label "${word}" is neither anomaly nor usual.`);
    // Such a date is ambiguous (3/2/2005), and a spreadsheet's number of a day is no date.
    if (!DAY.test(values[time]))
      throw new Error(
        `${where}: the time "${values[time]}" is not written year first: write 2005-02-28, or ` +
          "2005-02-28 15:30.",
      );
    const read = { ticker: values[ticker], time: values[time], is_anomaly: ANOMALY.has(word) };
    return [values[interval] ? { ...read, interval: values[interval] } : read];
  });
  if (!labels.length) throw new Error("The file has no labels below its first line.");
  return labels;
}

/** The values of a line; a separator that is part of a value is inside quotes. */
function splitLine(line, mark) {
  const values = [""];
  let isQuoted = false;
  for (const sign of line) {
    if (sign === '"') isQuoted = !isQuoted;
    else if (sign === mark && !isQuoted) values.push("");
    else values[values.length - 1] += sign;
  }
  return values.map((value) => value.trim());
}

function drawEvaluation({ judgements, agreement, errors, start, end, interval }) {
  if (judgements === null) return el("p.notice.warn", "It goes on, or has failed.");
  return el(
    "div.stack",
    el(
      "p.muted",
      `Of bars ${start ? `from ${barTime(start, interval)}` : "from the first"} ` +
        `${end ? `to ${barTime(end, interval)}` : "to the last"}; kept for 30 days.`,
    ),
    el(
      "div.columns.even",
      judgements.map((judged) =>
        el("section", el("h3", judged.version), buildFacts(describeJudgement(judged))),
      ),
    ),
    agreement &&
      el(
        "p",
        `Of ${plural(agreement.bars, "bar")} both flag ${count(agreement.flagged_by_both)}, only ` +
          `the first ${count(agreement.only_by_first)}, only the second ` +
          `${count(agreement.only_by_second)}; of the strangest hundredth they have ` +
          `${share(agreement.strangest_in_common)} in common.`,
      ),
    Object.entries(errors ?? {}).map(([name, error]) =>
      el("p.notice.warn", el("span", buildProse(`${name}: ${error}`))),
    ),
  );
}

function describeJudgement(judged) {
  const { bars, tickers, alarms, alarms_per_thousand: rate, labels, drift } = judged;
  return {
    Bars: `${count(bars)} of ${plural(tickers, "ticker")}`,
    Alarms: count(alarms),
    "Alarms a thousand bars": rate === null ? "none" : rate.toFixed(1),
    ...describeThresholds(judged),
    ...(labels && {
      Precision: share(labels.precision),
      Recall: share(labels.recall),
      "Labels without a score": count(labels.not_scored),
      "Bars labelled both ways": count(labels.contradictory),
    }),
    "Has drifted":
      drift.reasons.map(words).join(", ") || (drift.distance === null ? "not known" : "no"),
    "Stability index": drift.stability_index === null ? "none" : drift.stability_index.toFixed(3),
    "Inputs that moved":
      Object.entries(drift.inputs)
        .filter(([, index]) => index > 0.25)
        .map(([name]) => words(name))
        .join(", ") || "none",
    "Large moves flagged": `${count(judged.large_moves_flagged)} of ${count(judged.large_moves)}`,
    ...(judged.faults_planted && {
      "Planted faults found": `${count(judged.faults_found)} of ${count(judged.faults_planted)}`,
    }),
  };
}

/** If bars of several markets were evaluated, each market has its own threshold. */
function describeThresholds({ threshold, thresholds }) {
  const own = Object.entries(thresholds);
  if (own.length < 2) return { Threshold: writeThreshold(own[0]?.[1] ?? threshold) };
  return {
    Thresholds: own.map(([market, value]) => `${market} ${writeThreshold(value)}`).join(", "),
  };
}

const writeThreshold = (value) => value.toFixed(4).replace("-", "−");

const share = (value) => (value === null ? "none" : `${Math.round(value * 100)} %`);
