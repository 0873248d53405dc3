// Watchlists: which tickers are scanned together, and when.

import { SHARED } from "../../lib/access.js";
import { get, post } from "../../lib/api.js";
import { el, fill } from "../../lib/dom.js";
import { moment } from "../../lib/format.js";
import { repeat } from "../../lib/live.js";
import { getAll } from "../../lib/pages.js";
import { linkTo } from "../../lib/router.js";
import { describeChanges } from "../../lib/schedules.js";
import { attempt } from "../../parts/toasts.js";
import { buildEmpty, buildRefresh } from "../../parts/states.js";
import { openEditor } from "./editor.js";
import { buildWatchlist } from "./watchlist.js";

const LOOK_MILLISECONDS = 2000;

export const title = () => "Watchlists";

export function show(main, route, signal) {
  return buildRefresh(main, load, draw, signal)();
}

async function load(signal) {
  // The scheduler first: a change between the two requests is then noticed, and loaded again.
  const scheduler = await get("/scheduler", {}, signal);
  return { scheduler, watchlists: await getAll("/watchlists", {}, signal) };
}

/**
 * Show the scheduler's state while the page is open. It is requested without tickers, of which a
 * watchlist may have thousands.
 */
function keepUpToDate(cards, { watchlists, scheduler }, refresh, signal) {
  const shown = describeChanges(scheduler);
  const look = async () => {
    const now = await get("/scheduler", {}, signal);
    if (describeChanges(now) !== shown) {
      if (!document.querySelector("dialog[open]")) refresh();
      return;
    }
    const scans = new Map(now.watchlists.map((one) => [one.name, one]));
    watchlists.forEach((one, n) => cards[n].update({ ...one, ...scans.get(one.name) }));
  };
  repeat(LOOK_MILLISECONDS, look, signal);
}

function draw(data, refresh, signal) {
  const { scheduler } = data;
  const scans = new Map(scheduler.watchlists.map((one) => [one.name, one]));
  const watchlists = data.watchlists.map((one) => ({ ...one, ...scans.get(one.name) }));
  const { enabled: scansOn } = scheduler;
  const edit = (watchlist) => openEditor(watchlist).then((changed) => changed && refresh());
  const options = { scansOn, edit, refresh, signal };
  const cards = watchlists.map((watchlist) => buildWatchlist(watchlist, options));
  keepUpToDate(cards, data, refresh, signal);
  const make = () =>
    el(
      "button.button.primary",
      { type: "button", data: { needs: "enqueue" }, on: { click: () => edit(null) } },
      "New watchlist",
    );
  return [
    el(
      "div.head",
      el(
        "div",
        el("h1", "Watchlists"),
        el(
          "p.lead",
          "Tickers that are scanned together, those of each market whenever it has closed a bar.",
        ),
      ),
      el(
        "div.row",
        buildSwitch(scheduler, refresh),
        el("a.button", { href: linkTo("notifications") }, "Notifications"),
        make(),
      ),
    ),
    watchlists.length === 0
      ? el(
          "div.card",
          buildEmpty(
            "No watchlists yet",
            "Paste the symbols you care about; each new bar of theirs is looked at as soon " +
              "as it has closed.",
            make(),
          ),
        )
      : el(
          "div.watchlists",
          cards.map(({ node }) => node),
        ),
  ];
}

/** The switch of all periodic scans. */
function buildSwitch(scheduler, refresh) {
  const button = el("button.switch", { type: "button", role: "switch", data: SHARED });
  const mark = (state) => {
    button.setAttribute("aria-checked", String(state.enabled));
    button.title = state.changed_at ? `switched ${moment(state.changed_at)}` : "never switched";
    fill(
      button,
      el("i", { "aria-hidden": "true" }),
      `Periodic scans ${state.enabled ? "on" : "off"}`,
    );
  };
  button.addEventListener("click", async () => {
    const enabled = button.getAttribute("aria-checked") !== "true";
    const changed = await attempt(button, () => post("/scheduler/toggle", { enabled }));
    if (changed) refresh();
  });
  mark(scheduler);
  return button;
}
