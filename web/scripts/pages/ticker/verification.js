// Deriving an anomaly again, with the verdict and what moved shown where it was asked for.

import { get, post } from "../../lib/api.js";
import { el, fill } from "../../lib/dom.js";
import { count, figure, words } from "../../lib/format.js";
import { newIdentifier } from "../../lib/identifier.js";
import { followRun } from "../../lib/live.js";
import { linkTo } from "../../lib/router.js";
import { buildFacts } from "../../parts/facts.js";
import { attempt } from "../../parts/toasts.js";
import { CAUSES, VERDICTS, buildVerdict } from "../../parts/verdicts.js";

const WAIT_SECONDS = 5;
const LISTED_CHANGES = 5;

export function buildVerification(anomaly, signal) {
  const outcome = el("div", { role: "status" });
  const button = el(
    "button.button.small",
    { type: "button", data: { needs: "enqueue" } },
    "Verify",
  );
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
  return el(
    "section.verification",
    el("div.row.spread", el("h3", "Does it still hold?"), button),
    outcome,
  );
}

async function verify(id, signal) {
  const answer = await post(
    `/anomalies/verify/${encodeURIComponent(id)}?wait=${WAIT_SECONDS}`,
    null,
    {
      key: newIdentifier(),
    },
  );
  if (answer.verdict) return answer;
  const run = await followRun(answer.run_id ?? answer._id, () => {}, signal);
  const { items } = await get(`/detection-runs/${run._id}/verifications`, { limit: 1 }, signal);
  return (
    items[0] ?? {
      verdict: null,
      error: run.error ?? words(run.status),
      verification_run_id: run._id,
    }
  );
}

function drawVerdict(found) {
  const [, , text] = VERDICTS[found.verdict] ?? [null, null, found.error];
  return el(
    "div.stack.tight",
    el("p", buildVerdict(found.verdict), " ", text, found.cause && ` ${CAUSES[found.cause]}`),
    buildFacts({
      "Stored score": found.original_score != null && figure(found.original_score),
      "Same model, today": found.recomputed_score != null && figure(found.recomputed_score),
      "Champion, today":
        found.current_score != null && `${figure(found.current_score)} (${found.current_model})`,
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
          .map(
            ([name, value]) =>
              `${words(name)} ${typeof value === "object" ? JSON.stringify(value) : value}`,
          )
          .join(", "),
      ),
    ),
    changes.length > LISTED_CHANGES &&
      el("li.muted", `and ${count(changes.length - LISTED_CHANGES)} more`),
  );
}
