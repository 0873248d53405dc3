// Deriving an anomaly again, with the verdict and what moved shown where it was asked for.

import { get, post } from "../../api.js";
import { el, fill } from "../../dom.js";
import { figure, words } from "../../format.js";
import { newIdentifier } from "../../identifier.js";
import { followRun } from "../../live.js";
import { linkTo } from "../../router.js";
import { buildFacts } from "../../parts/facts.js";
import { attempt } from "../../parts/toasts.js";

const WAIT_SECONDS = 5;
const LISTED_CHANGES = 5;
const VERDICTS = {
  identical: ["ok", "Identical", "Derived again from today's bars: the same score by the same model."],
  score_moved: ["warn", "Score moved", "It is still an anomaly today, with another score."],
  vanished: ["warn", "Vanished", "Today it would not be an anomaly any more."],
  new: ["warn", "New", "Today's model finds it; it is not among the stored anomalies."],
};
const CAUSES = {
  model: "The champion is another model than the one that found it.",
  code: "The same model and bars give another score: the code moved.",
  data: "The bars it was computed from have changed.",
};

export function buildVerification(anomaly, signal) {
  const outcome = el("div", { role: "status" });
  const button = el("button.button.small", { type: "button" }, "Verify");
  button.addEventListener("click", () =>
    attempt(button, async () => {
      fill(outcome, el("p.muted", "Deriving it again…"));
      try {
        fill(outcome, drawVerdict(await verify(anomaly._id, signal)));
      } catch (error) {
        fill(outcome);
        throw error;
      }
    }),
  );
  return el("section.verification", el("div.row.spread", el("h3", "Does it still hold?"), button), outcome);
}

async function verify(id, signal) {
  const answer = await post(`/anomalies/verify/${encodeURIComponent(id)}?wait=${WAIT_SECONDS}`, null, {
    key: newIdentifier(),
  });
  if (answer.verdict) return answer;
  const run = await followRun(answer.run_id ?? answer._id, () => {}, signal);
  const { items } = await get(`/detection-runs/${run._id}/verifications`, { limit: 1 }, signal);
  return items[0] ?? { verdict: null, error: run.error ?? words(run.status), verification_run_id: run._id };
}

function drawVerdict(found) {
  const [kind, label, text] = VERDICTS[found.verdict] ?? ["bad", "Not verified", found.error];
  return el(
    "div.stack.tight",
    el("p", el(`span.badge.${kind}`, label), " ", text, found.cause && ` ${CAUSES[found.cause]}`),
    buildFacts({
      "Stored score": found.original_score != null && figure(found.original_score),
      "Same model, today": found.recomputed_score != null && figure(found.recomputed_score),
      "Champion, today": found.current_score != null && `${figure(found.current_score)} (${found.current_model})`,
      Run: el(
        "a",
        { href: linkTo("runs", found.verification_run_id) },
        el("code", found.verification_run_id.slice(0, 8)),
      ),
    }),
    found.data_changes?.length > 0 && drawChanges(found.data_changes),
    found.code_changes?.length > 0 && drawChanges(found.code_changes),
  );
}

function drawChanges(changes) {
  return el(
    "ul.reasons",
    changes.slice(0, LISTED_CHANGES).map((change) =>
      el(
        "li",
        Object.entries(change)
          .map(([name, value]) => `${words(name)} ${typeof value === "object" ? JSON.stringify(value) : value}`)
          .join(", "),
      ),
    ),
  );
}
