// Suggested tickers that begin with the typed text, for every input whose `list` is this one. They
// come from the server, which may have more tickers than a page could hold.

import { get } from "../lib/api.js";
import { el, fill } from "../lib/dom.js";
import { pause } from "../lib/live.js";

export const KNOWN_TICKERS = "known-tickers";
const OFFERED = 20;
const TYPING_MILLISECONDS = 120;

/** An input for a ticker; the attributes set the rest. */
export const buildTickerInput = (attributes) =>
  el("input", {
    list: KNOWN_TICKERS,
    maxlength: 20,
    autocomplete: "off",
    autocapitalize: "characters",
    spellcheck: "false",
    ...attributes,
  });

/** The value of such an input, as tickers are written. */
export const readTicker = (input) => input.value.trim().toUpperCase();

export function startSuggestions() {
  const list = el("datalist", { id: KNOWN_TICKERS });
  document.body.append(list);
  let typing = new AbortController();
  const suggest = async ({ target }) => {
    if (target.getAttribute?.("list") !== KNOWN_TICKERS) return;
    typing.abort();
    typing = new AbortController();
    const { signal } = typing;
    await pause(TYPING_MILLISECONDS, signal);
    if (signal.aborted) return;
    const prefix = readTicker(target);
    const { items } = await get("/tickers", { prefix, limit: OFFERED }, signal);
    const tickers = new Set(items.map(({ ticker }) => ticker));
    fill(
      list,
      [...tickers].map((value) => el("option", { value })),
    );
  };
  for (const event of ["focusin", "input"])
    document.addEventListener(event, (happened) => suggest(happened).catch(() => {}));
}
