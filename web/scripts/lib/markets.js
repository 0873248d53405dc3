// The known markets, loaded once; callers that show stored counts load them again.

import { getAll } from "./pages.js";
import { learnZones } from "./zone.js";

let asked = null;

/** Resolve to the markets, each with code, name, suffixes and what is stored of it. */
export function getMarkets() {
  return asked ?? loadMarkets();
}

/** The same as they are now. */
export function loadMarkets(signal = null) {
  asked = getAll("/markets", {}, signal).catch((error) => {
    asked = null;
    throw error;
  });
  asked.then(learnZones, () => {});
  return asked;
}

export const isStored = (market) => market.series > 0;

/** Resolve to a market, or undefined where it is not known now. */
export const findMarket = (code) =>
  getMarkets().then(
    (markets) => markets.find((market) => market.code === code),
    () => undefined,
  );
