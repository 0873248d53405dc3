// The text of a market's page if no bar of that market is stored.

import { el } from "../lib/dom.js";
import { linkHere, linkTo } from "../lib/router.js";
import { buildEmpty } from "./states.js";

/** `codes` are the markets that have bars, `later` says what is here once the market has some. */
export function buildNoBars(market, codes, later) {
  const upload = el("a.button.primary", { href: linkTo("data") }, "Upload bars");
  if (codes.length === 0) return buildEmpty("No bars yet", later, upload);
  return buildEmpty(
    `No bars of ${market}`,
    "No bar of a market with this code is stored. There are bars of:",
    ...codes.map((code) => el("a.button", { href: linkHere({ market: code }) }, code)),
    upload,
  );
}
