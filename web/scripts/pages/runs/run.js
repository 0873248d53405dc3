// One run: live while it works, its audit record afterwards.

import { SHARED } from "../../lib/access.js";
import { get, getFile, post } from "../../lib/api.js";
import { el, fill } from "../../lib/dom.js";
import {
  barTime,
  count,
  duration,
  hash,
  moment,
  nameSome,
  plural,
  words,
} from "../../lib/format.js";
import { followRun, isOpen, pause, repeat } from "../../lib/live.js";
import { newIdentifier } from "../../lib/identifier.js";
import { go, linkTo } from "../../lib/router.js";
import { buildFacts } from "../../parts/facts.js";
import { buildAnomalyList } from "../../parts/anomaly_list.js";
import { buildFileButton, writeFile } from "../../parts/file.js";
import { buildProse } from "../../parts/prose.js";
import {
  buildProgress,
  buildStatus,
  describeInterval,
  describeRun,
  isOfNoTicker,
} from "../../parts/run_progress.js";
import { loadInto } from "../../parts/states.js";
import { buildTable, linkTicker } from "../../parts/table.js";
import { attempt, say } from "../../parts/toasts.js";
import { buildResult } from "./result.js";
import { buildTickers } from "./tickers.js";

const LISTED_ANOMALIES = 50;
const LOOK_MILLISECONDS = 4000;
const KEPT_MILLISECONDS = 30 * 24 * 3_600_000;

const DETECTIONS = new Set(["backfill", "incremental"]);
const UNLOOKED = {
  already_detected: "no bar came since they were looked at last",
  no_bars: "no bars are stored",
  no_model: "their market has no model",
  not_enough_bars: "they have fewer bars than a first result takes",
};
const RETRIED = new Set(["partial", "failed", "cancelled"]);

export function showRun(main, id, signal) {
  return loadInto(
    main,
    () => get(`/detection-runs/${encodeURIComponent(id)}`, {}, signal),
    (run) => draw(run, signal),
    signal,
    8,
  );
}

function draw(first, signal) {
  const head = el("div.head");
  const progress = buildProgress("Progress of the run");
  const details = el("div.stack");
  const waits = el("p.muted", { role: "status" });
  let before = null;
  let latest = first;
  const show = (run) => {
    latest = run;
    progress.update(run);
    fill(waits, isOpen(run) && run.waits && buildProse(writeSentence(run.waits.detail)));
    const state = JSON.stringify([
      run.status,
      run.cancel_requested,
      run.failures,
      run.warnings,
    ]);
    if (state === before) return;
    before = state;
    fill(head, drawHead(run, show));
    fill(details, drawDetails(run, signal));
  };
  show(first);
  // Events contain the progress; the reason why a run waits is requested separately, because it
  // means asking the workers.
  const look = async () => {
    if (!isOpen(latest)) return;
    const run = await get(`/detection-runs/${first._id}`, {}, signal);
    if (isOpen(latest)) show(run);
  };
  // Alerts are raised after the end of a run, on a busy machine some time after it; how many
  // anomalies raised none is among its warnings.
  const lookAtEnd = async (ended) => {
    const before = ended?.warnings.length;
    for (const pauses of ended?.new_anomalies ? [1, 2, 4, 8] : []) {
      await pause(pauses * LOOK_MILLISECONDS, signal);
      if (signal.aborted || latest.warnings.length > before) return;
      show(await get(`/detection-runs/${first._id}`, {}, signal));
    }
  };
  if (isOpen(first)) {
    followRun(first._id, show, signal)
      .then(lookAtEnd)
      .catch((error) => say(error.message, "bad"));
    repeat(LOOK_MILLISECONDS, look, signal);
  }
  return [
    el("p.crumb", el("a", { href: linkTo("runs") }, "Runs")),
    head,
    el(
      "div.stack",
      el("section.card", { "aria-label": "Progress" }, el("div.body", progress.node, waits)),
      details,
    ),
  ];
}

const writeSentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}.`;

function drawHead(run, show) {
  return [
    el(
      "div",
      el("div.row", el("h1", describeRun(run)), buildStatus(run)),
      el("p.lead", el("code", run._id)),
    ),
    isOpen(run) ? buildCancel(run, show) : canRetry(run) && buildRetry(run),
  ];
}

/** A run of the command line is repeated there. */
const canRetry = (run) => RETRIED.has(run.status) && !run.options.by;

function buildCancel(run, show) {
  const button = el(
    "button.button",
    { type: "button", disabled: run.cancel_requested, data: { needs: "enqueue" } },
    run.cancel_requested ? "Cancelling" : "Cancel run",
  );
  button.addEventListener("click", async () => {
    const changed = await attempt(button, () => post(`/detection-runs/${run._id}/cancel`));
    if (changed) show(changed);
  });
  return button;
}

/** Whether the run may promote a model, or changes an exchange's session. */
const isShared = ({ task, options }) =>
  (task === "train" && options.promote !== false) || "session" in options;

function buildRetry(run) {
  const button = el(
    "button.button",
    { type: "button", data: isShared(run) ? SHARED : { needs: "enqueue" } },
    run.failures.length && !isOfNoTicker(run)
      ? `Retry ${plural(run.progress.tickers_failed, "failed ticker")}`
      : "Retry what is left",
  );
  const key = newIdentifier();
  button.addEventListener("click", async () => {
    const accepted = await attempt(button, () =>
      post(`/detection-runs/${run._id}/retry`, null, { key }),
    );
    if (accepted) go("runs", accepted.run_id);
  });
  return button;
}

function drawDetails(run, signal) {
  return [
    run.error && el("p.notice.bad", { role: "alert" }, el("span", buildProse(run.error))),
    run.failures.length > 0 && !isOfNoTicker(run) && drawFailures(run),
    run.warnings.length > 0 &&
      el(
        "section.card",
        el("header", el("h2", "Warnings")),
        el(
          "ul.body",
          run.warnings.map((text) => el("li", buildProse(text))),
        ),
      ),
    drawLeftOut(run),
    run.result && !isOpen(run) && buildResult(run, signal),
    run.options.keep_scores && !isOpen(run) && run.rows_processed > 0 && drawScores(run, signal),
    run.options.evaluation && run.status === "complete" && drawEvaluation(run.options),
    el("section.card", el("header", el("h2", "Audit record")), el("div.body", drawRecord(run))),
    !isOpen(run) &&
      DETECTIONS.has(run.task) &&
      run.tickers.length !== 1 &&
      buildTickers(run, signal),
    !isOpen(run) && (run.new_anomalies ?? 0) > 0 && drawFound(run, signal),
  ];
}

/** The bars that the run left out, and why; null if it left out none. */
function drawLeftOut({ options, reasons, period, watchlist }) {
  const { not_looked_at: left, without_bars: lacking, stale } = options;
  const said = [
    left &&
      `Bars of ${plural(left.tickers, "ticker")} from ${barTime(left.first, "1d")} to ` +
        `${barTime(left.before, "1d")}: before the ${period} that were asked for.`,
    lacking?.length > 0 &&
      `${nameSome(lacking)}: of ${watchlist ?? "what was asked for"}, without stored bars.`,
    stale && `${nameSome(stale.named, 5, stale.tickers)}: no bar of the last session has come.`,
    ...Object.entries(reasons)
      .filter(([reason]) => reason in UNLOOKED)
      .map(([reason, number]) => `${plural(number, "ticker")}: ${UNLOOKED[reason]}.`),
  ].filter(Boolean);
  if (said.length === 0) return null;
  return el(
    "section.card",
    el("header", el("h2", "Not looked at")),
    el(
      "ul.body",
      said.map((text) => el("li", text)),
    ),
  );
}

function drawFailures({ failures, progress: { tickers_failed: failed } }) {
  return el(
    "section.card",
    el(
      "header",
      el("h2", `Failed: ${plural(failed, "ticker")}`),
      failed > failures.length && el("span.muted", `the first ${count(failures.length)}`),
    ),
    buildTable(
      "Failures",
      ["Ticker", "Reason", "What was found"],
      failures.map((failure) =>
        el(
          "tr",
          el("td", linkTicker(failure.ticker)),
          el("td.nowrap", words(failure.reason)),
          el("td", buildProse(failure.error ?? "")),
        ),
      ),
    ),
  );
}

function drawRecord(run) {
  // For an import these are bars that were stored.
  const scored = DETECTIONS.has(run.task) && run.rows_processed > 0;
  return buildFacts({
    Task: run.task,
    Trigger: words(run.trigger),
    Tickers: nameSome(run.tickers, 12) || null,
    Market: run.market,
    Interval: describeInterval(run),
    Period: run.period,
    Requested: moment(run.requested_at),
    Started: run.status !== "queued" && moment(run.started_at),
    Completed: run.completed_at && moment(run.completed_at),
    Took: run.duration_seconds === null ? null : duration(run.duration_seconds),
    "Bars loaded": run.rows_loaded > 0 && count(run.rows_loaded),
    "Bars with history": run.rows_preprocessed > 0 && count(run.rows_preprocessed),
    "Bars scored": scored && count(run.rows_processed),
    Anomalies:
      scored &&
      `${count(run.anomalies_found)}, of which ${count(run.new_anomalies ?? 0)} new`,
    Model:
      run.model_version &&
      el("a", { href: linkTo("models", run.model_version) }, run.model_version),
    "Model hash": run.model_hash && el("code", { title: run.model_hash }, hash(run.model_hash)),
    Reason: run.reason ? words(run.reason) : describeReasons(run.reasons),
  });
}

/** "already detected 12, no bars 1" */
function describeReasons(reasons) {
  const counts = Object.entries(reasons).sort((a, b) => b[1] - a[1]);
  return counts.map(([reason, number]) => `${words(reason)} ${count(number)}`).join(", ") || null;
}

/** The link to an evaluation's result. */
function drawEvaluation({ evaluation, versions: [version] }) {
  return el(
    "section.card",
    el("header", el("h2", "Result")),
    el(
      "div.body",
      el("a", { href: linkTo("models", version, { evaluation }) }, "What it found"),
    ),
  );
}

/** The stored scores, as files. */
function drawScores({ _id: id, interval, completed_at: ended }, signal) {
  const asked = { run: id, interval };
  const until = ended && new Date(Date.parse(ended) + KEPT_MILLISECONDS).toISOString();
  return el(
    "section.card",
    el("header", el("h2", "Scores")),
    el(
      "div.body.row",
      el(
        "span.muted",
        `The score of every bar is kept${until ? ` until ${moment(until)}` : ""}.`,
      ),
      buildFileButton("CSV", "scores.csv", () =>
        getFile(`/export/scores?${new URLSearchParams(asked)}`),
      ),
      buildFileButton(
        "Parquet",
        "scores.parquet",
        () => writeFile({ table: "scores", ...asked }, "no score is kept", signal),
        { data: { needs: "enqueue" } },
      ),
    ),
  );
}

function drawFound(run, signal) {
  const body = el("div");
  loadInto(
    body,
    () =>
      get(
        "/anomalies",
        { run_id: run._id, sort: "-grade", limit: LISTED_ANOMALIES },
        signal,
      ),
    ({ items }) => buildAnomalyList(items),
    signal,
  );
  return el("section.card", el("header", el("h2", "The strangest of what it found")), body);
}
