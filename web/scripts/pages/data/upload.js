// Importing a file: dropped or chosen, previewed, sent, followed to its end, and reported.

import { upload } from "../../lib/api.js";
import { el, fill } from "../../lib/dom.js";
import { newIdentifier } from "../../lib/identifier.js";
import { followRun } from "../../lib/live.js";
import { getMarkets } from "../../lib/markets.js";
import { linkTo } from "../../lib/router.js";
import { buildDropZone } from "../../parts/drop_zone.js";
import { buildProgress } from "../../parts/run_progress.js";
import { buildFailure } from "../../parts/states.js";
import { AS_SPACED, askAbout, fillForm } from "./preview.js";
import { buildReport } from "./report.js";

const ENDINGS = ".csv,.tsv,.txt,.gz,.bz2,.xz,.zst,.parquet,.json,.ndjson,.jsonl,.xlsx,.zip";

export function buildUpload(refresh, signal) {
  const outcome = el("div.stack", { role: "status" });
  let market = "";
  const markets = el("select", el("option", { value: "" }, "as each ticker looks"));
  markets.addEventListener("change", () => {
    market = markets.value;
  });
  getMarkets()
    .then((known) =>
      markets.append(
        ...known.map(({ code, name }) => el("option", { value: code }, `${code}, ${name}`)),
      ),
    )
    .catch(() => {}); // an import then reports a market that it cannot tell
  const send = async (file, node = el("div.stack.tight")) => {
    if (!node.isConnected) outcome.append(node);
    const choices = await askAbout(file, node);
    if (signal.aborted) return;
    if (choices === null) {
      node.remove();
      return;
    }
    const bar = buildProgress(`Progress of the import of ${file.name}`);
    fill(node, el("p", `Sending ${file.name}`), bar.node);
    try {
      const accepted = await sendFile(file, market, choices);
      fill(node, el("p", `Importing ${file.name}`), bar.node);
      const run = await followRun(accepted.run_id, bar.update, signal);
      if (run) fill(node, buildReport(run, signal), run.result && linkOn(run));
      await refresh();
    } catch (error) {
      // If only a choice was refused, the file need not be selected again.
      fill(node, buildFailure(error, () => send(file, node)));
    }
  };
  const sendAll = async (files) => {
    fill(outcome, files.length > 1 && buildSubmitAll(outcome));
    await Promise.all(files.map((file) => send(file)));
  };
  return el(
    "section.card",
    el("header", el("h2", "Bring bars in")),
    el(
      "div.body.stack",
      el("div.row", el("label.field", "Market", markets)),
      buildDropZone({
        id: "file",
        accept: ENDINGS,
        multiple: true,
        title: "Drop CSV, Excel, Parquet, JSON or .zip files here",
        hint: "or choose them. What is in them is shown before anything is stored.",
        take: sendAll,
      }),
      outcome,
    ),
  );
}

/**
 * A link to the page that says which bars were not detected yet, with a button that detects them.
 */
const linkOn = ({ market }) =>
  el(
    "p",
    el("a.button.small", { href: linkTo("overview", null, market && { market }) }, "What is next"),
  );

/** A button that imports all files that leave nothing to decide. */
function buildSubmitAll(outcome) {
  const submit = () => {
    for (const form of outcome.querySelectorAll("form.preview"))
      if (!form.querySelector("[type=submit]").disabled) form.requestSubmit();
  };
  return el(
    "div.row",
    el("button.button", { type: "button", on: { click: submit } }, "Import all that are clear"),
  );
}

function sendFile(file, market, choices) {
  const form = new FormData();
  form.append("interval", choices.interval ?? choices.usual ?? AS_SPACED);
  if (market) form.append("market", market);
  if (choices.ticker) form.append("ticker", choices.ticker);
  return upload("/data/import", fillForm(form, file, choices), {
    "Idempotency-Key": newIdentifier(),
  });
}
