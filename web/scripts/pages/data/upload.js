// Bringing a file in: dropped or chosen, sent, followed to its end, and reported.

import { upload } from "../../api.js";
import { el, fill } from "../../dom.js";
import { newIdentifier } from "../../identifier.js";
import { followRun } from "../../live.js";
import { buildProgress } from "../../parts/run_progress.js";
import { buildSelect } from "../../parts/select.js";
import { buildFailure } from "../../parts/states.js";
import { buildReport } from "./report.js";

const INTERVALS = ["1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"];

export function buildUpload(refresh, signal) {
  const outcome = el("div.stack", { role: "status" });
  const ticker = el("input", {
    name: "ticker",
    maxlength: 20,
    size: 12,
    placeholder: "from the file",
    autocomplete: "off",
  });
  let interval = "1d";
  const choose = (value) => {
    interval = value;
  };
  const send = async (file) => {
    if (!file) return;
    const bar = buildProgress("Progress of the import");
    fill(outcome, el("p", `Sending ${file.name}`), bar.node);
    try {
      const accepted = await sendFile(file, interval, ticker.value.trim());
      fill(outcome, el("p", `Importing ${file.name}`), bar.node);
      const run = await followRun(accepted.run_id, bar.update, signal);
      if (run) fill(outcome, buildReport(run));
      await refresh();
    } catch (error) {
      fill(outcome, buildFailure(error));
    }
  };
  return el(
    "section.card",
    el("header", el("h2", "Bring bars in")),
    el(
      "div.body.stack",
      el(
        "div.row",
        buildSelect(
          "Interval",
          INTERVALS.map((one) => [one, one]),
          interval,
          choose,
        ),
        el("label.field", "Ticker, where the file has none", ticker),
      ),
      buildDropzone(send),
      outcome,
    ),
  );
}

function sendFile(file, interval, ticker) {
  const form = new FormData();
  form.append("interval", interval);
  if (ticker) form.append("ticker", ticker);
  form.append("file", file);
  return upload("/data/import", form, { "Idempotency-Key": newIdentifier() });
}

function buildDropzone(send) {
  const input = el("input.hidden-text", { type: "file", id: "file", accept: ".csv,.gz,.parquet,.json" });
  input.addEventListener("change", () => {
    send(input.files[0]);
    input.value = "";
  });
  const zone = el(
    "label.dropzone",
    { for: "file" },
    el("strong", "Drop a CSV or Parquet file here"),
    el(
      "span.muted",
      "or choose one. Columns: date, open, high, low, close, volume, and ticker where there are several.",
    ),
  );
  const over = (is) => (event) => {
    event.preventDefault();
    zone.classList.toggle("over", is);
  };
  zone.addEventListener("dragover", over(true));
  zone.addEventListener("dragleave", over(false));
  zone.addEventListener("drop", (event) => {
    over(false)(event);
    send(event.dataTransfer.files[0]);
  });
  return el("div.drop", input, zone);
}
