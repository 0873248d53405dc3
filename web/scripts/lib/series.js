// Series as the API lists them.

import { getAll } from "./pages.js";

/** Return all known series. */
export const loadSeries = (signal) => getAll("/tickers", {}, signal);
