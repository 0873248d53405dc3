// The verdict on a verified anomaly, and what has changed since it was found.

import { el } from "../lib/dom.js";

/** By name: kind of badge, label, and meaning. */
export const VERDICTS = {
  identical: [
    "ok",
    "Identical",
    "Derived again from today's bars: the same score by the same model.",
  ],
  score_moved: ["warn", "Score moved", "It is still an anomaly today, with another score."],
  vanished: ["warn", "Vanished", "Today it would not be an anomaly any more."],
  new: ["warn", "New", "Today's model finds it; it is not among the stored anomalies."],
};

export const CAUSES = {
  model: "The champion is another model than the one that found it.",
  code: "The same model and bars give another score: the code moved.",
  data: "The bars it was computed from have changed.",
  market: "Other bars of its market have changed, and with them what the market did that day.",
  threshold: "Its score is the same, and no longer passes the threshold.",
};

export function buildVerdict(name) {
  const [kind, label] = VERDICTS[name] ?? ["bad", "Not verified"];
  return el(`span.badge.${kind}`, label);
}
