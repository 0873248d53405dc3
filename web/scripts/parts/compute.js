// A button that has metrics computed now; its progress appears in its place.

import { post } from "../lib/api.js";
import { el, fill } from "../lib/dom.js";
import { newIdentifier } from "../lib/identifier.js";
import { pollRun } from "../lib/live.js";
import { buildProgress, describeOutcome } from "./run_progress.js";
import { attempt, say } from "./toasts.js";

/**
 * @param {{market?: string, ticker?: string}} whose metrics: one of both
 * @param {{interval: string, bars: number}} asked of how many of each series' last bars
 * @param {() => void} done called when they are computed
 */
export function buildCompute(whose, asked, done, signal) {
  const button = el("button.button", { type: "button", data: { needs: "enqueue" } }, "Compute now");
  const node = el("div.compute", button);
  const key = newIdentifier();
  button.addEventListener("click", async () => {
    const accepted = await attempt(button, () =>
      post("/analysis/compute", { ...whose, ...asked }, { key }),
    );
    if (!accepted) return;
    const progress = buildProgress("Metrics being computed");
    fill(node, progress.node);
    const ended = await pollRun(accepted.run_id, progress.update, signal);
    if (!ended) return;
    if (ended.status !== "complete") say(describeOutcome(ended), "bad");
    done();
  });
  return node;
}
