// A run's progress, how it ended, and what was requested.

import { el, fill } from "../lib/dom.js";
import { count, duration, nameSome, plural, words } from "../lib/format.js";
import { isOpen } from "../lib/live.js";

const KINDS = {
  queued: "busy",
  in_progress: "busy",
  complete: "ok",
  partial: "warn",
  failed: "bad",
  cancelled: "",
};
/** What a run does, by the word of its task. */
export const VERBS = {
  backfill: "Backfill",
  incremental: "Scan",
  verify: "Verification",
  train: "Training",
  evaluate: "Evaluation",
  import: "Import",
  fetch: "Fetch",
  fill: "Filling of gaps",
  analytics: "Metrics",
  correlation: "Correlations",
  correct: "Correction",
  export: "Export",
  fit_series: "Fit",
};
const WAITS = {
  no_worker: "no worker takes such work",
  heavy_work: "other heavy work is being done",
  not_sent: "its message is sent again",
  workers_busy: "the workers have other work",
};
// The result of a complete run whose counts do not show it.
const CAME_TO = {
  analytics: ({ rows_processed: rows }) => `metrics of ${plural(rows ?? 0, "bar")}`,
  correlation: ({ ticker_count: many }) => `correlations of ${plural(many, "ticker")}`,
  evaluate: () => "versions judged",
  export: () => "files written",
  fit_series: () => "a model fitted",
};
const FOUND = {
  identical: "identical",
  score_moved: "moved",
  vanished: "vanished",
  new: "new",
};

export function buildStatus(run) {
  const status = isOpen(run) && run.cancel_requested ? "cancelling" : words(run.status);
  const kind = KINDS[run.status];
  return el(
    kind ? `span.badge.${kind}` : "span.badge",
    {},
    kind === "busy" && el("i.dot.busy"),
    status,
  );
}

/**
 * By what was asked for: "Scan of tech", "Backfill of market US", "Backfill of AAPL, FB, GOOG and 4
 * more", "Evaluation of US_model-0.1.0 and US_model-0.2.0". The tickers of a detection of a market
 * are all that the market has; those of a retry are what another left undone, and of other runs the
 * market is the one that its tickers are of: "Metrics of 7 tickers of market US". An export is of
 * its table, and an import of its file.
 */
export function describeRun(run) {
  // A list contains only some of each run's tickers.
  const { tickers = [], ticker_count: many = tickers.length } = run;
  const named = nameSome(tickers, 3, many);
  const market = run.market && `market ${run.market}`;
  const isOfMarket = ["backfill", "incremental"].includes(run.task) && !run.retry_of;
  const only = run.markets?.length === 1 && run.markets[0];
  const isOfMany = ["analytics", "correlation"].includes(run.task) && many > 3;
  const about =
    run.watchlist ||
    (isOfMarket && market) ||
    (isOfMany && only && `${plural(many, "ticker")} of market ${only}`) ||
    (["evaluate", "export"].includes(run.task) && run.about) ||
    named ||
    (run.task === "import" && run.about) ||
    market ||
    run.about;
  return `${VERBS[run.task] ?? words(run.task)}${about ? ` of ${about}` : ""}`;
}

/** Work on a whole market is counted as one ticker, although it is none. */
export const isOfNoTicker = (run) => ["train", "evaluate"].includes(run.task);

/** An import may take the interval from the spacing of its bars. */
export const describeInterval = ({ interval }) => (interval === "auto" ? "as spaced" : interval);

/** A progress bar that `update(run)` moves. */
export function buildProgress(label) {
  const bar = el("div.fill");
  const track = el(
    "div.track",
    { role: "progressbar", "aria-label": label, "aria-valuemin": 0, "aria-valuemax": 100 },
    bar,
  );
  const text = el("div.label.number");
  const node = el("div.progress", track, text);
  const update = (run) => {
    const percent = isOpen(run) ? run.progress.percent : 100;
    node.className = isOpen(run) ? "progress" : `progress ${KINDS[run.status]}`;
    bar.style.setProperty("--percent", percent);
    track.setAttribute("aria-valuenow", String(Math.round(percent)));
    fill(text, el("span", describeDone(run)), el("span", describePace(run)));
  };
  return { node, update };
}

/** The result of a run, in one line. */
export function describeOutcome(run) {
  if (run.error) return run.error;
  if (isOpen(run)) {
    if (run.waits) return `Waits: ${run.waits.detail}`;
    return run.status === "queued" ? "Waiting for a worker" : "At work";
  }
  if (run.task === "backfill" || run.task === "incremental") {
    if (run.reason === "already_detected") return "no new bars";
    if (run.status === "complete" && run.rows_processed === 0 && !run.reason)
      return "no bar scored: none came, or too few since the first or since a pause";
    const anomalies = run.new_anomalies
      ? plural(run.new_anomalies, "new anomaly", "new anomalies")
      : "no new anomaly";
    const found = `${anomalies} in ${plural(run.rows_processed ?? 0, "bar")}`;
    if (!run.reason) return found;
    return run.rows_processed ? `${words(run.reason)}; ${found}` : words(run.reason);
  }
  if (["import", "fetch", "fill"].includes(run.task) && run.rows_loaded !== null)
    return (
      `${plural(run.rows_loaded, "row")} read` +
      // The other rows were already stored, or rejected.
      (run.rows_processed < run.rows_loaded
        ? `, ${count(run.rows_processed)} new or changed`
        : "")
    );
  if (run.task === "verify" && run.status === "complete") return describeVerdicts(run.verdicts);
  if (run.status === "complete" && run.task in CAME_TO) return CAME_TO[run.task](run);
  if (run.task === "train" && run.model_version) return `made ${run.model_version}`;
  return words(run.reason ?? run.status);
}

/** "12 identical, 6 moved" */
function describeVerdicts(verdicts) {
  const told = Object.entries(verdicts).filter(([, number]) => number > 0);
  const named = told.map(([name, number]) => `${count(number)} ${FOUND[name] ?? words(name)}`);
  return named.join(", ") || "no anomaly to derive again";
}

function describeDone(run) {
  const {
    percent,
    tickers_done: done,
    tickers_total: total,
    tickers_failed: failed,
  } = run.progress;
  if (run.waits) return `waits: ${WAITS[run.waits.reason] ?? words(run.waits.reason)}`;
  if (run.status === "queued") return "queued";
  if (!total || isOfNoTicker(run)) return `${Math.round(percent)} %`;
  return `${count(done)} of ${plural(total, "ticker")}${failed ? `, ${count(failed)} failed` : ""}`;
}

function describePace(run) {
  const { eta_seconds: eta, rows_per_second: pace, rows_processed: rows } = run.progress;
  if (!isOpen(run))
    return [
      rows ? plural(rows, "bar") : null,
      run.duration_seconds === null ? null : duration(run.duration_seconds),
    ]
      .filter(Boolean)
      .join(" in ");
  return [pace ? `${count(pace)} bars/s` : null, eta === null ? null : `${duration(eta)} left`]
    .filter(Boolean)
    .join(" · ");
}
