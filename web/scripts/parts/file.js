// Tables as files for other programs: as the API reads them, or as a worker has written them.

import { get, getFile, post } from "../lib/api.js";
import { el } from "../lib/dom.js";
import { newIdentifier } from "../lib/identifier.js";
import { pollRun } from "../lib/live.js";
import { attempt, say } from "./toasts.js";

/** A button that loads a file and has the browser keep it. */
export function buildFileButton(label, filename, load, attributes = {}, onSaved = () => {}) {
  const button = el("button.button.small", { type: "button", ...attributes }, label);
  button.addEventListener("click", async () => {
    const file = await attempt(button, load);
    if (!file) return;
    const href = URL.createObjectURL(file);
    el("a", { href, download: filename }).click();
    URL.revokeObjectURL(href);
    onSaved();
  });
  return button;
}

/** Have a worker write a table as Parquet, and resolve to it; null where there is none, which is
 * said. */
export async function writeFile(body, nothing, signal) {
  const { run_id: id } = await post("/exports", body, { key: newIdentifier() });
  const run = await pollRun(id, () => {}, signal);
  if (!run) return null;
  const { files } = await get(`/exports/${id}`, {}, signal);
  const name = Object.keys(files).find((one) => one.endsWith(".parquet"));
  if (name) return getFile(`/exports/${id}/${name}`);
  say(run.error ?? `The export ended without a file: ${nothing}.`, "bad");
  return null;
}
