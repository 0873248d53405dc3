// Actions where they are needed: on a ticker, or on one of its anomalies.

import { SHARED } from "../../lib/access.js";
import { get, post, put } from "../../lib/api.js";
import { el, fill } from "../../lib/dom.js";
import { newIdentifier } from "../../lib/identifier.js";
import { getAll } from "../../lib/pages.js";
import { askInDialog } from "../../parts/form_dialog.js";
import { buildSelect } from "../../parts/select.js";
import { attempt, say } from "../../parts/toasts.js";
import { askToExpect } from "../alerts/steps.js";
import { matchVersion, readFields } from "../watchlists/watchlist.js";

const WAIT_SECONDS = 15;
const NEW = "";
const KINDS = [
  ["", "as the model says"],
  ["grade", "from a grade"],
  ["contamination", "a share of the bars"],
  ["score", "below a score"],
];
// the allowed range of the number
const BOUNDS = {
  grade: { min: 1, max: 100, placeholder: "75: one bar in 1,000" },
  contamination: { min: 0.0001, max: 0.5, placeholder: "0.01: one bar in 100" },
  score: { min: -1, max: 0, placeholder: "-0.6" },
};
const SESSIONS = [
  ["shut", "it stayed shut"],
  ["open", "it kept other hours"],
  ["calendar", "as its calendar says"],
];

/**
 * @param {{ticker: string, interval: string, market: string}} series
 * @param {object|null} anomaly the one that is looked at, whose day and ratio are proposed
 * @param {() => void} refresh called when something of the ticker has changed
 */
export function buildActs(series, anomaly, refresh) {
  const acts = [
    ["Add to a watchlist", { needs: "enqueue" }, () => askToWatch(series)],
    ["Record a split", { needs: "enqueue" }, () => askForSplit(series, anomaly)],
    ["Set a threshold", SHARED, () => askForThreshold(series)],
    ["Session exception", SHARED, () => askForSession(series, anomaly)],
    ["Mute its alerts", { needs: "respond" }, () => askToMute(series)],
  ];
  return el(
    "div.row.acts",
    { role: "group", "aria-label": anomaly ? "Acts on this anomaly" : "Acts on this ticker" },
    acts.map(([label, data, act]) => {
      const button = el("button.button.small", { type: "button", data }, label);
      button.addEventListener("click", async () => {
        const said = await attempt(button, act);
        if (!said) return;
        say(said, "ok");
        refresh();
      });
      return button;
    }),
  );
}

async function askToWatch({ ticker, interval }) {
  const all = await getAll("/watchlists", {});
  const known = all.filter((one) => one.interval === interval && !one.tickers.includes(ticker));
  const name = el("input", { maxlength: 64, required: true, autocomplete: "off" });
  const named = el("label.field", "Its name", name);
  let chosen = known[0]?.name ?? NEW;
  const choose = (value) => {
    chosen = value;
    named.hidden = name.disabled = value !== NEW;
  };
  choose(chosen);
  const options = [...known.map((one) => [one.name, one.name]), [NEW, "a new one"]];
  const stored = await askInDialog({
    title: `Watch ${ticker}`,
    lead: "Each new bar of a watchlist's tickers is looked at as soon as it has closed.",
    nodes: el("div.row.fields", buildSelect("Watchlist", options, chosen, choose), named),
    verb: "Add",
    send: () =>
      chosen === NEW
        ? post("/watchlists", { name: name.value.trim(), tickers: [ticker], interval })
        : addTicker(
            known.find((one) => one.name === chosen),
            ticker,
          ),
  });
  return stored && `${ticker} is on the watchlist ${stored.name}.`;
}

function addTicker(watchlist, ticker) {
  return put(
    `/watchlists/${encodeURIComponent(watchlist.name)}`,
    { ...readFields(watchlist), tickers: [...watchlist.tickers, ticker] },
    matchVersion(watchlist),
  );
}

async function askForSplit({ ticker, interval }, anomaly) {
  const session = el("input", { type: "date", required: true, value: dayOf(anomaly) });
  const factor = buildNumber({ min: 0.0001, max: 10000, value: anomaly?.suspected_split ?? "" });
  const run = await askInDialog({
    title: `Record a split of ${ticker}`,
    lead:
      "Bars stay stored as they were quoted and are adjusted when read. Two new shares for each " +
      "old one are 2; 1 takes a split back.",
    nodes: el(
      "div.row.fields",
      el("label.field", "First session of the new shares", session),
      el("label.field", "New shares for each old one", factor),
    ),
    verb: "Record",
    send: () =>
      postAndWait(`/tickers/${encodeURIComponent(ticker)}/splits`, {
        session: session.value,
        factor: Number(factor.value),
        interval,
      }),
  });
  return run && `The split of ${ticker} on ${session.value} is recorded; a backfill goes by it.`;
}

async function askForThreshold({ ticker }) {
  const path = `/tickers/${encodeURIComponent(ticker)}/threshold`;
  const { threshold } = await get(path);
  const value = buildNumber({ value: threshold?.value ?? "" });
  const field = el("label.field", "Which", value);
  let kind = threshold?.kind ?? "";
  const choose = (chosen) => {
    kind = chosen;
    field.hidden = value.disabled = kind === "";
    for (const [name, bound] of Object.entries(BOUNDS[kind] ?? {})) value.setAttribute(name, bound);
  };
  choose(kind);
  const stored = await askInDialog({
    title: `What is an anomaly of ${ticker}`,
    lead: "The next detection goes by it. What was found stays until its bars are looked at again.",
    nodes: el("div.row.fields", buildSelect("What passes", KINDS, kind, choose), field),
    verb: "Set",
    send: () => put(path, { threshold: kind ? { kind, value: Number(value.value) } : null }),
  });
  return stored && `The threshold of ${ticker} is set.`;
}

async function askForSession({ market }, anomaly) {
  const day = el("input", { type: "date", required: true, value: dayOf(anomaly) });
  const [opens, closes] = ["09:30", "13:00"].map((clock) =>
    el("input", { type: "time", required: true, value: clock }),
  );
  const hours = el("div.row.fields");
  const note = el("input", { maxlength: 200, autocomplete: "off", placeholder: "why" });
  let session = "shut";
  const choose = (chosen) => {
    session = chosen;
    const fields = [el("label.field", "Opens", opens), el("label.field", "Closes", closes)];
    fill(hours, ...(session === "open" ? fields : []));
  };
  const run = await askInDialog({
    title: `A session of market ${market}`,
    lead: "No bar is expected, and none is taken in, of a day on which it stays shut.",
    nodes: [
      el(
        "div.row.fields",
        el("label.field", "Day", day),
        buildSelect("On this day", SESSIONS, session, choose),
        hours,
      ),
      el("label.field", "Note", note),
    ],
    verb: "Set",
    send: () =>
      postAndWait(`/markets/${encodeURIComponent(market)}/sessions`, {
        day: day.value,
        session,
        note: note.value.trim(),
        ...(session === "open" && { opens: opens.value, closes: closes.value }),
      }),
  });
  return run && `The session of ${market} on ${day.value} is set.`;
}

async function askToMute({ ticker, interval }) {
  return (
    (await askToExpect([{ ticker, interval }], `Mute the alerts of ${ticker}`)) &&
    `New alerts of ${ticker} are muted; the page Alerts lists what is, and ends it.`
  );
}

/** Post a request for a run, and wait for it; a failure is shown where it was requested. */
async function postAndWait(path, body) {
  const run = await post(`${path}?wait=${WAIT_SECONDS}`, body, { key: newIdentifier() });
  if (run.error) throw new Error(run.error);
  return run;
}

const dayOf = (anomaly) => anomaly?.Datetime.slice(0, 10) ?? "";
const buildNumber = (limits) =>
  el("input", { type: "number", step: "any", required: true, ...limits });
