// Fitting a model to a CSV that is dropped or chosen.

import { post } from "../../lib/api.js";
import { el, fill } from "../../lib/dom.js";
import { isDay, plural } from "../../lib/format.js";
import { newIdentifier } from "../../lib/identifier.js";
import { pollRun } from "../../lib/live.js";
import { buildDropZone } from "../../parts/drop_zone.js";
import { buildProgress } from "../../parts/run_progress.js";
import { buildSelect } from "../../parts/select.js";
import { buildFailure } from "../../parts/states.js";

const DETECTORS = [
  ["simple", "simple: above mean + 3 deviations"],
  ["mad", "mad: far from the median"],
  ["moving_average", "moving_average: far from the last values"],
  ["seasonal", "seasonal: far from level, trend and season"],
  ["stream", "stream: a pattern not seen before, learns"],
];
const FIELDS = /^\s*"?([^,;\t"]+?)"?\s*[,;\t]\s*"?([^,;\t"]+?)"?\s*$/;
const NUMBER = /^[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?$/i;
const MOMENT =
  /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2})?)(?:\.0+)?\s*(Z|[+-]\d{2}:?\d{2})?)?$/;

/**
 * A card; `fitted(answer)` is called with the answer of a fit. `name` is the series, or null to use
 * the file's name.
 */
export function buildFit(fitted, name = null) {
  const outcome = el("div.stack", { role: "status" });
  let detector = "simple";
  const send = async (file) => {
    const series = name ?? file.name.replace(/\.[^.]*$/, "");
    fill(outcome, el("p", `Reading ${file.name}`));
    try {
      const history = readPoints(await file.text(), file.name);
      fill(outcome, el("p", `Fitting ${detector} to ${plural(history.values.length, "point")}`));
      const path = `/fit/${encodeURIComponent(series)}`;
      const answer = await post(path, { ...history, detector }, { key: newIdentifier() });
      const done = answer.run_id ? await followFit(answer.run_id, outcome) : answer;
      if (!done) return;
      fill(
        outcome,
        el(
          "p.notice.plain",
          `${done.series_id}: version ${done.version}, ${plural(done.points_used, "point")}`,
        ),
      );
      fitted(done);
    } catch (error) {
      fill(outcome, buildFailure(error));
    }
  };
  return el(
    "section.card",
    { "aria-label": "Fit a model" },
    el("header", el("h2", name ? "Fit a new version" : "Fit a model")),
    el(
      "div.body.stack",
      el(
        "div.row",
        buildSelect("Detector", DETECTORS, detector, (chosen) => {
          detector = chosen;
        }),
      ),
      buildDropZone({
        id: "series-file",
        accept: ".csv,.txt,.tsv",
        title: "Drop a CSV file here",
        hint: "or choose it. Columns: a time (a whole number, or 2024-01-11 19:06:50) and a value.",
        take: ([file]) => file && send(file),
      }),
      outcome,
    ),
  );
}

/**
 * Follow the run of a long fit to its end; resolves to its answer, or null if it failed, which is
 * shown.
 */
async function followFit(id, outcome) {
  const bar = buildProgress("Progress of the fit");
  fill(outcome, bar.node);
  const run = await pollRun(id, bar.update, new AbortController().signal);
  if (run?.result) return run.result;
  fill(outcome, buildFailure(new Error(run?.error ?? "The fit ended without a model.")));
  return null;
}

/**
 * Return {timestamps, values} of a CSV with the columns time and value; throws on a line that is no
 * point.
 */
function readPoints(text, file) {
  const timestamps = [];
  const values = [];
  text
    .replace(/^\uFEFF/, "")
    .split(/\r?\n/)
    .forEach((line, place) => {
      const fields = FIELDS.exec(line)?.slice(1);
      const isHeader = place === 0 && fields?.every((field) => !/^\W*\d/.test(field));
      if (!line.trim() || isHeader) return;
      const time = fields ? readTime(fields[0]) : null;
      if (time === null || !NUMBER.test(fields[1])) {
        throw new Error(
          `${file}, line ${place + 1}: "${line.slice(0, 60)}" is no point; a line is a time, a ` +
            `comma, semicolon or tab, and a number with a decimal point, such as 1705000010,13.0 ` +
            `or 2024-01-11 19:06:50,13.0`,
        );
      }
      if (!Number.isSafeInteger(time))
        throw new Error(`${file}, line ${place + 1}: ${fields[0]} is too large`);
      timestamps.push(time);
      values.push(Number(fields[1]));
    });
  return { timestamps, values };
}

/**
 * A time as a whole number; ISO 8601 becomes seconds since 1970 (UTC if it names no zone); null if
 * it is neither.
 */
function readTime(text) {
  if (/^\d+$/.test(text)) return Number(text);
  const moment = MOMENT.exec(text);
  if (!moment) return null;
  const [, day, clock = "00:00", zone = "Z"] = moment;
  const seconds = Date.parse(`${day}T${clock}${zone.replace(/(\d{2})(\d{2})$/, "$1:$2")}`) / 1000;
  return isDay(day) && Number.isInteger(seconds) ? seconds : null;
}
