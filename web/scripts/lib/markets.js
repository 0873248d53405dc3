// The markets there are: asked for once, since they change as seldom as exchanges are founded.

import { getAll } from "./pages.js";

let asked = null;

/** Resolve to the markets, each with code, name, suffixes and how many series of it are stored. */
export function getMarkets() {
  asked ??= getAll("/markets", {}).catch((error) => {
    asked = null;
    throw error;
  });
  return asked;
}

/** Resolve to a market, or undefined where it is not known now. */
export const findMarket = (code) =>
  getMarkets().then(
    (markets) => markets.find((market) => market.code === code),
    () => undefined,
  );
