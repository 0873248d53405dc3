// Actions on the gaps of a series: ask a source for the bars, or accept that there are none.

import { post } from "../../lib/api.js";
import { el } from "../../lib/dom.js";
import { barTime, plural } from "../../lib/format.js";
import { newIdentifier } from "../../lib/identifier.js";
import { go } from "../../lib/router.js";
import { askInDialog } from "../../parts/form_dialog.js";

const REASONS = [
  ["halt", "trading was halted"],
  ["holiday", "the exchange was closed"],
  ["delisted", "it was delisted"],
  ["before_listing", "it was not listed yet"],
  ["source_empty", "no source has them"],
];

const SOURCES = [
  ["", "where its watchlist has them from"],
  ["yahoo", "Yahoo Finance"],
];

/** Buttons that ask a source for the bars of gaps, or accept that there are none. */
export function buildGapSteps(all, interval, refresh) {
  const gaps = all.filter(({ state }) => state !== "expected");
  if (gaps.length === 0) return null;
  const fill = el(
    "button.button.small",
    { type: "button", data: { needs: "enqueue" } },
    "Ask for the bars",
  );
  fill.addEventListener("click", async () => {
    const run = await askForBars(gaps, interval);
    if (run) go("runs", run.run_id);
  });
  const accept = el(
    "button.button.small",
    { type: "button", data: { needs: "enqueue" } },
    "There are none",
  );
  accept.addEventListener("click", async () => {
    if (await askToAccept(gaps)) refresh();
  });
  return el("p.row", fill, accept);
}

function askForBars(gaps, interval) {
  const source = el("select", buildOptions(SOURCES));
  const key = newIdentifier();
  const ids = gaps.map((gap) => gap._id);
  return askInDialog({
    title: "Ask for the bars",
    lead: `Of ${plural(gaps.length, "gap")}. What comes is detected as far as it reaches.`,
    nodes: el("div.row.fields", el("label.field", "From", source)),
    verb: "Ask",
    send: () =>
      post("/data/gaps/fill", { gaps: ids, interval, source: source.value || null }, { key }),
  });
}

function askToAccept(gaps) {
  const which = el(
    "select",
    buildOptions([
      ["", `all ${plural(gaps.length, "gap")} listed`],
      ...gaps.map(({ _id: id, first, last }) => [id, nameStretch(first, last)]),
    ]),
  );
  const reason = el("select", buildOptions(REASONS));
  return askInDialog({
    title: "There are no such bars",
    lead: "They are expected to lack then: nobody is asked for them, and they cost no points.",
    nodes: el(
      "div.row.fields",
      el("label.field", "Which", which),
      el("label.field", "Why", reason),
    ),
    verb: "Accept",
    send: () =>
      post("/data/gaps/accept", {
        gaps: which.value ? [which.value] : gaps.map((gap) => gap._id),
        reason: reason.value,
      }),
  });
}

const buildOptions = (pairs) => pairs.map(([value, text]) => el("option", { value }, text));

export const nameStretch = (first, last) =>
  first === last ? barTime(first, "1d") : `${barTime(first, "1d")} to ${barTime(last, "1d")}`;
