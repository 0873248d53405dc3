// Bringing a file in: dropped or chosen, sent, followed to its end, and reported.

import { upload } from "../../lib/api.js";
import { el, fill } from "../../lib/dom.js";
import { newIdentifier } from "../../lib/identifier.js";
import { INTERVALS } from "../../lib/intervals.js";
import { followRun } from "../../lib/live.js";
import { buildProgress } from "../../parts/run_progress.js";
import { buildSelect } from "../../parts/select.js";
import { buildFailure } from "../../parts/states.js";
import { buildReport } from "./report.js";

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
    const bar = buildProgress(`Progress of the import of ${file.name}`);
    const node = el("div.stack.tight", el("p", `Sending ${file.name}`), bar.node);
    outcome.append(node);
    try {
      const accepted = await sendFile(file, interval, ticker.value.trim());
      fill(node, el("p", `Importing ${file.name}`), bar.node);
      const run = await followRun(accepted.run_id, bar.update, signal);
      if (run) fill(node, buildReport(run));
      await refresh();
    } catch (error) {
      fill(node, buildFailure(error));
    }
  };
  const sendAll = async (files) => {
    fill(outcome);
    for (const file of files) await send(file);
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
      buildDropzone(sendAll),
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

function buildDropzone(sendAll) {
  const input = el("input.hidden-text", { type: "file", id: "file", multiple: true, accept: ".csv,.gz,.parquet,.json" });
  input.addEventListener("change", () => {
    sendAll([...input.files]);
    input.value = "";
  });
  const zone = el(
    "label.dropzone",
    { for: "file" },
    el("strong", "Drop CSV or Parquet files here"),
    el(
      "span.muted",
      "or choose them. Columns: date, open, high, low, close, volume, and ticker where there are several.",
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
    sendAll([...event.dataTransfer.files]);
  });
  return el("div.drop", input, zone);
}
