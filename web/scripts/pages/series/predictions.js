// Predictions of a series: one point on request, and the stored ones, each with its label.

import { get, post, put } from "../../lib/api.js";
import { el, fill } from "../../lib/dom.js";
import { figure } from "../../lib/format.js";
import { buildPagedTable } from "../../parts/paged_table.js";
import { buildEmpty, buildFailure } from "../../parts/states.js";
import { attempt } from "../../parts/toasts.js";

const COLUMNS = [
  "Timestamp",
  ["Value", ".number"],
  "Judged",
  ["Score", ".number.wide-only"],
  ["Expected", ".number.wide-only"],
  ["Normal range", ".wide-only"],
  "What it was",
];
const FEEDBACK = [
  ["", "not labelled"],
  ["confirmed", "confirmed"],
  ["expected", "expected"],
  ["false_alarm", "false alarm"],
  ["new_trend", "new trend"],
];

/** A card in which a point is predicted; `stored()` is called if it was stored. */
export function buildPredict(series, getVersion, stored) {
  const timestamp = el("input", {
    name: "timestamp",
    inputmode: "numeric",
    pattern: "[0-9]+",
    required: true,
    size: 14,
    autocomplete: "off",
    value: String(findNext(series)),
  });
  const value = el("input", {
    name: "value",
    type: "number",
    step: "any",
    required: true,
    autocomplete: "off",
  });
  const keep = el("input", { type: "checkbox", name: "store" });
  const outcome = el("div", { role: "status" });
  const button = el("button.button.primary", { type: "submit" }, "Judge");
  const submit = async (event) => {
    event.preventDefault();
    button.disabled = true;
    try {
      const query = `?version=${getVersion()}${keep.checked ? "&store=true" : ""}`;
      const point = { timestamp: timestamp.value.trim(), value: value.valueAsNumber };
      fill(
        outcome,
        buildVerdict(await post(`/predict/${encodeURIComponent(series._id)}${query}`, point)),
      );
      if (keep.checked) stored();
    } catch (error) {
      fill(outcome, buildFailure(error));
    }
    button.disabled = false;
  };
  return el(
    "section.card",
    { "aria-label": "Judge a point" },
    el("header", el("h2", "Judge a point")),
    el(
      "div.body.stack",
      el(
        "form.row",
        { on: { submit } },
        el("label.field", "Timestamp", timestamp),
        el("label.field", "Value", value),
        el("label.tick", { data: { needs: "enqueue" } }, keep, "keep it"),
        button,
      ),
      outcome,
    ),
  );
}

/** The time of the next point. */
function findNext({
  versions: [{ first_timestamp: first, last_timestamp: last, points_used: points }],
}) {
  return last + Math.max(1, Math.round((last - first) / (points - 1)));
}

function buildVerdict(said) {
  const range = describeRange(said);
  return el(
    `p.notice.${said.anomaly ? "bad" : "plain"}`,
    el("strong", said.anomaly ? "Anomaly" : "Normal"),
    ` by version ${said.model_version}: ${figure(said.expected)} was expected, normal is ` +
      `${range}; `,
    `${figure(Math.abs(said.score))} deviations ${said.score < 0 ? "below" : "above"}.`,
  );
}

function describeRange({ lower, upper }) {
  if (lower === null) return `up to ${figure(upper)}`;
  if (upper === null) return `from ${figure(lower)}`;
  return `${figure(lower)} to ${figure(upper)}`;
}

/** Return {node, show}: a card with the stored predictions of the version that `show` is called
 * with. */
export function buildStored(series, signal) {
  const path = `/series/${encodeURIComponent(series)}/predictions`;
  let version = null;
  const list = buildPagedTable(
    {
      name: "Predictions, judged",
      columns: COLUMNS,
      load: (cursor) => get(path, { version, cursor, limit: 20 }, signal),
      buildRow: (prediction) => buildRow(prediction, path),
      buildEmpty: () =>
        buildEmpty("Nothing is kept yet", "Only points that are judged with “keep it” are."),
    },
    signal,
  );
  const show = (chosen) => {
    if (list.node.contains(document.activeElement)) return; // somebody is choosing a label
    version = chosen;
    list.show();
  };
  const node = el(
    "section.card",
    { "aria-label": "Stored predictions" },
    el("header", el("h2", "Stored predictions")),
    list.node,
  );
  return { node, show };
}

function buildRow(prediction, path) {
  return el(
    "tr",
    el("td.nowrap", String(prediction.timestamp)),
    el("td.number", figure(prediction.value)),
    el("td", prediction.anomaly && el("span.badge.bad", "anomaly")),
    el("td.number.wide-only", figure(prediction.score)),
    el("td.number.wide-only", figure(prediction.expected)),
    el("td.nowrap.wide-only", describeRange(prediction)),
    el("td", buildLabel(prediction, path)),
  );
}

function buildLabel(prediction, path) {
  const chosen = prediction.label?.feedback ?? "";
  const select = el(
    "select",
    { "aria-label": `What ${prediction.timestamp} was`, data: { needs: "enqueue" } },
    FEEDBACK.map(([value, text]) =>
      el(
        "option",
        { value, selected: value === chosen, disabled: value === "" && chosen !== "" },
        text,
      ),
    ),
  );
  const label = `${path}/${prediction.version}/${prediction.timestamp}/label`;
  let stored = chosen;
  select.addEventListener("change", async () => {
    const isStored = await attempt(select, async () => {
      await put(label, { feedback: select.value });
      return true;
    });
    if (isStored) stored = select.value;
    else select.value = stored;
  });
  return select;
}
