// Sentences of the API: text between back quotes is code. If a page does the same as a command of
// the command line, the command becomes a link to that page.

import { el } from "../lib/dom.js";
import { linkTo } from "../lib/router.js";

const ofPage = (page, label, query = {}) => () => [linkTo(page, null, query), label];
const ofOne =
  (page, noun = "") =>
  (name) =>
    name && [linkTo(page, name), `the page of ${noun}${name}`];
const PLACEHOLDERS = new Set(["FILE", "TICKER", "VERSION", "RUN_ID"]);
// By the beginning of a command; the rest may name one thing.
const PLACES = {
  "bars import": ofPage("data", "the Data page"),
  "bars imports": ofPage("data", "the list of imports", { view: "imports" }),
  "bars list": ofPage("data", "the Data page"),
  "bars yahoo": ofPage("data", "the Data page"),
  "bars delete": ofOne("ticker"),
  "bars split": ofOne("ticker"),
  "backfill run": ofOne("ticker"),
  "scan run": ofOne("ticker"),
  "analytics run": ofOne("ticker"),
  "verify ticker": ofOne("ticker"),
  "gaps list": ofPage("data", "the Data page"),
  "gaps fill": ofPage("data", "the Data page"),
  "models train": ofPage("models", "the Models page"),
  "models list": ofPage("models", "the Models page"),
  "models rollback": ofPage("models", "the Models page"),
  "models promote": ofOne("models"),
  "alerts list": ofPage("alerts", "the Alerts page"),
  "alerts mutes": ofPage("alerts", "the Alerts page"),
  "runs list": ofPage("runs", "the Runs page"),
  "runs show": ofOne("runs", "run "),
  "runs retry": ofOne("runs", "run "),
  "series fit": ofPage("series", "the Series page"),
  "series delete": ofOne("series"),
};

export const buildProse = (text) =>
  text.split("`").map((part, n) => (n % 2 ? (buildLink(part) ?? el("code", part)) : part));

/** Null if no page does it. */
function buildLink(command) {
  const [program, group, verb, ...rest] = command.trim().split(/\s+/);
  if (program !== "flask") return null;
  const name = rest[0] && !rest[0].startsWith("-") && !PLACEHOLDERS.has(rest[0]) ? rest[0] : null;
  const place = PLACES[`${group} ${verb}`]?.(name);
  return place ? el("a.in-text", { href: place[0] }, place[1]) : null;
}
