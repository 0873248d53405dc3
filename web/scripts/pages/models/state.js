// The state of a version: candidate, champion or retired, as a badge.

import { el } from "../../lib/dom.js";

const KINDS = { champion: "ok", candidate: "busy", retired: "" };

export function buildState(model) {
  const kind = KINDS[model.state];
  return el(kind ? `span.badge.${kind}` : "span.badge", {}, model.state);
}
