// Severities: always a word or a count beside the colour.

import { el } from "../lib/dom.js";
import { count } from "../lib/format.js";

export const SEVERITIES = ["critical", "high", "medium", "low"];

export const buildSeverity = (severity) => el(`span.badge.severity.${severity}`, severity);

/**
 * A bar of shares with its legend, from {severity: count}; null if they are not known yet.
 * @param {{chosen: string|null, link: (severity: string|null) => object}|null} filter makes the
 * legend choose a severity, or none where it is chosen already
 */
export function buildSeverityBar(counts, filter = null) {
  const shown = SEVERITIES.filter((severity) => counts?.[severity]);
  const bar = el(
    "div.severity-bar",
    { "aria-hidden": "true" },
    shown.map((severity) => el(`i.${severity}`, { vars: { "--count": counts[severity] } })),
  );
  const legend = el(
    "ul.severity-legend",
    SEVERITIES.map((severity) => {
      const entry = [
        el(`i.key.${severity}`, { "aria-hidden": "true" }),
        `${count(counts && (counts[severity] ?? 0))} ${severity}`,
      ];
      if (!filter) return el("li", entry);
      const isChosen = filter.chosen === severity;
      const link = filter.link(isChosen ? null : severity);
      return el("li", el("a", { ...link, "aria-current": isChosen && "true" }, entry));
    }),
  );
  return el("div", bar, legend);
}

/** The counts of one ticker, in one line of numbers. */
export function buildSeverityCounts(counts) {
  const shown = SEVERITIES.filter((severity) => counts[severity]);
  if (shown.length === 0) return el("span.muted", "none");
  return el(
    "span.severity-counts",
    shown.map((severity) =>
      el(
        `span.${severity}`,
        { title: severity },
        count(counts[severity]),
        el("span.hidden-text", ` ${severity} `),
      ),
    ),
  );
}
