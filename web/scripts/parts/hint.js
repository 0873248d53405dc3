// The small card beside a mark that the pointer or the focus is on.

import { el, fill } from "../lib/dom.js";
import { barTime, change, frequency, price } from "../lib/format.js";
import { buildSeverity } from "./severity.js";

export function buildHint() {
  const node = el("div.hint", { hidden: true, "aria-hidden": "true" });
  const show = (anomaly, x, y) => {
    fill(
      node,
      el(
        "span.row",
        el("strong", anomaly.Ticker),
        barTime(anomaly.Datetime, anomaly.interval, anomaly.market),
        buildSeverity(anomaly.severity),
        anomaly.kind === "fault" && el("span.badge.warn", "fault"),
      ),
      el("span.number", `${price(anomaly.Close)}  ${change(anomaly.features.return_1)}`),
      el("span.muted", `${frequency(anomaly.grade)}: ${anomaly.reasons.join(", ")}`),
    );
    node.hidden = false;
    const left = Math.max(8, Math.min(x + 10, node.parentNode.clientWidth - node.offsetWidth - 8));
    node.style.setProperty("--left", `${left}px`);
    node.style.setProperty("--top", `${y + 4}px`);
  };
  const hide = () => {
    node.hidden = true;
  };
  return { node, show, hide, describe };
}

function describe(anomaly) {
  const date = barTime(anomaly.Datetime, anomaly.interval, anomaly.market);
  return `${anomaly.Ticker}, ${date}, ${anomaly.severity}, ${change(anomaly.features.return_1)}`;
}
