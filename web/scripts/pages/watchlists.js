// Watchlists: which tickers are scanned together, and when.

import { get, post } from "../api.js";
import { el, fill } from "../dom.js";
import { moment } from "../format.js";
import { attempt } from "../parts/toasts.js";
import { buildEmpty, loadInto } from "../parts/states.js";
import { openEditor } from "./watchlists/editor.js";
import { buildWatchlist } from "./watchlists/watchlist.js";

export const title = () => "Watchlists";

export function show(main, route, signal) {
  const refresh = () =>
    loadInto(
      main,
      () => load(signal),
      (data) => draw(data, refresh, signal),
      signal,
      8,
    );
  return refresh();
}

async function load(signal) {
  const [{ items }, scheduler] = await Promise.all([
    get("/watchlists", { limit: 500 }, signal),
    get("/scheduler", {}, signal),
  ]);
  return { watchlists: items, scheduler };
}

function draw({ watchlists, scheduler }, refresh, signal) {
  const edit = (watchlist) => openEditor(watchlist).then((changed) => changed && refresh());
  const make = () => el("button.button.primary", { type: "button", on: { click: () => edit(null) } }, "New watchlist");
  return [
    el(
      "div.head",
      el(
        "div",
        el("h1", "Watchlists"),
        el("p.lead", "Tickers of one market that are scanned together whenever it has closed a bar."),
      ),
      el("div.row", buildSwitch(scheduler), make()),
    ),
    watchlists.length === 0
      ? el(
          "div.card",
          buildEmpty(
            "No watchlists yet",
            "Paste the symbols you care about; each new bar of theirs is looked at as soon as it has closed.",
            make(),
          ),
        )
      : el(
          "div.watchlists",
          watchlists.map((watchlist) => buildWatchlist(watchlist, { edit, refresh, signal })),
        ),
  ];
}

/** The switch of all periodic scans. */
function buildSwitch(scheduler) {
  const button = el("button.switch", { type: "button", role: "switch" });
  const mark = (state) => {
    button.setAttribute("aria-checked", String(state.enabled));
    button.title = state.changed_at ? `switched ${moment(state.changed_at)}` : "never switched";
    fill(button, el("i", { "aria-hidden": "true" }), `Periodic scans ${state.enabled ? "on" : "off"}`);
  };
  button.addEventListener("click", async () => {
    const enabled = button.getAttribute("aria-checked") !== "true";
    const changed = await attempt(button, () => post("/scheduler/toggle", { enabled }));
    if (changed) mark(changed);
  });
  mark(scheduler);
  return button;
}
