// A button with the next step between bars that were never detected and a result: a model, then a
// backfill.

import { get, post } from "../lib/api.js";
import { el, fill } from "../lib/dom.js";
import { newIdentifier } from "../lib/identifier.js";
import { go } from "../lib/router.js";
import { attempt } from "./toasts.js";

const EVERY_MARKET = "ALL";

/**
 * @param {string} market
 * @param {string} interval
 * @param {object} whose what is looked at: {market}, {ticker} or {watchlist}
 */
export function buildFirstLook(market, interval, whose = { market }) {
  const node = el("span.first-look", buildBackfill(interval, whose));
  hasModel(market, interval)
    .then((has) => has || fill(node, buildTraining(market, interval)))
    .catch(() => {}); // a request is then refused with a reason
  return node;
}

/** Request a backfill of all bars of a market, ticker or watchlist, and show the run. */
export function buildBackfill(interval, whose, kind = "") {
  const body = { ...whose, interval, max_period: "max" };
  return buildRunButton(`button.button${kind}`, "Backfill", "/anomalies/backfill", body);
}

/** Request a scan of the bars of a market that came since the last one, and show the run. */
export function buildScan(market, interval) {
  const body = { market, interval };
  return buildRunButton("button.button", "Scan now", "/anomalies/incremental", body);
}

export function buildTraining(market, interval) {
  const body = { market, interval };
  return buildRunButton("button.button.primary", "Train a model", "/models/train", body);
}

async function hasModel(market, interval) {
  const query = { state: "champion" };
  const found = await Promise.all(
    [market, EVERY_MARKET].map((one) => get("/models", { ...query, market: one })),
  );
  return found.some(({ items }) => items.some((model) => model.interval === interval));
}

function buildRunButton(tag, label, path, body) {
  const button = el(tag, { type: "button", data: { needs: "enqueue" } }, label);
  const key = newIdentifier();
  button.addEventListener("click", async () => {
    const accepted = await attempt(button, () => post(path, body, { key }));
    if (accepted) go("runs", accepted.run_id);
  });
  return button;
}
