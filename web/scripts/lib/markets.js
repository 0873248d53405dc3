// The markets there are: asked for once, since they change as seldom as exchanges are founded.

import { get } from "./api.js";

let asked = null;

/** Resolve to the markets, each with code, name, suffixes and how many series of it are stored. */
export function getMarkets() {
  asked ??= get("/markets").then(
    ({ items }) => items,
    (error) => {
      asked = null;
      throw error;
    },
  );
  return asked;
}
