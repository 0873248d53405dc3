// Starts the page and shows what the URL asks for.

import { watchAccess } from "./lib/access.js";
import { Problem, UNREACHED } from "./lib/api.js";
import { el, fill } from "./lib/dom.js";
import { repeat } from "./lib/live.js";
import { getMarkets } from "./lib/markets.js";
import { readRoute } from "./lib/router.js";
import { markPage, startShell } from "./lib/shell.js";
import { readChoice, setExchange } from "./lib/zone.js";
import { load as loadTicker } from "./pages/ticker/load.js";
import { watchAges } from "./parts/age.js";
import { listenForHelp } from "./parts/keyboard_help.js";
import { buildReload, UPGRADED } from "./parts/reload.js";
import { buildEmpty, buildFailure } from "./parts/states.js";

const PAGES = {
  overview: () => import("./pages/overview/page.js"),
  anomalies: () => import("./pages/anomalies/page.js"),
  day: () => import("./pages/day/page.js"),
  compare: () => import("./pages/compare/page.js"),
  alerts: () => import("./pages/alerts/page.js"),
  ticker: () => {
    // The chart library is the largest part of the page, so it is loaded in parallel with the rest.
    import("./pages/ticker/chart.js").catch(() => {});
    return import("./pages/ticker/page.js");
  },
  market: () => import("./pages/market/page.js"),
  runs: () => import("./pages/runs/page.js"),
  watchlists: () => import("./pages/watchlists/page.js"),
  models: () => import("./pages/models/page.js"),
  series: () => import("./pages/series/page.js"),
  data: () => import("./pages/data/page.js"),
  health: () => import("./pages/health/page.js"),
  notifications: () => import("./pages/notifications/page.js"),
};

// Data that are requested in parallel with the scripts that show them.
const DATA = { ticker: loadTicker };

const ASK_MILLISECONDS = 1000;

let leave = new AbortController();

async function show() {
  leave.abort();
  closeDialogs();
  setExchange(null);
  leave = new AbortController();
  const { signal } = leave;
  const route = readRoute();
  const main = document.getElementById("main");
  if (!Object.hasOwn(PAGES, route.page)) {
    fill(
      main,
      el("h1.hidden-text", "No such page"),
      buildEmpty(
        "There is no such page",
        `Nothing is at ${location.hash}.`,
        el("a.button", { href: "#/" }, "Overview"),
      ),
    );
    return;
  }
  markPage(route.page);
  const early = DATA[route.page]?.(route, signal);
  early?.catch(() => {}); // the page says what failed
  const loading = PAGES[route.page]().catch(logBroken);
  // The zones of the exchanges; without them times are in UTC only.
  if (readChoice() === "exchange") await getMarkets().catch(() => {});
  const page = await loading;
  if (signal.aborted) return;
  if (page === null) {
    showUnloaded(main, signal);
    return;
  }
  document.title = `${page.title(route)} · Tapewatch`;
  window.scrollTo(0, 0);
  page.show(main, route, signal, early);
}

/**
 * A dialog belongs to the page that opened it; the one that asks for the key belongs to all pages.
 */
function closeDialogs() {
  for (const dialog of document.querySelectorAll("dialog[open]:not([data-stays])")) dialog.close();
}

function logBroken(error) {
  // the browser reports scripts that cannot be loaded as a TypeError
  if (error.name !== "TypeError") console.error(error);
  return null;
}

/**
 * Show that a page's scripts cannot be loaded. If the server answers, it has another version than
 * this tab: offer to reload. Otherwise reload when it answers again.
 */
async function showUnloaded(main, signal) {
  const reload = () => location.reload();
  // The last known state of the connection may be a moment old, and a reload without a server
  // leaves an empty tab.
  const answers = () =>
    fetch(location.pathname, { method: "HEAD", cache: "no-store" }).then(
      ({ ok }) => ok,
      () => false,
    );
  const isThere = await answers();
  if (signal.aborted) return;
  if (isThere) {
    const text = "This page cannot be shown before the tab is loaded anew.";
    fill(main, el("h1.hidden-text", "Upgraded"), buildEmpty(UPGRADED, text, buildReload()));
    return;
  }
  fill(
    main,
    el("h1.hidden-text", "No connection"),
    buildFailure(new Problem(0, "unreachable", UNREACHED), reload),
  );
  await repeat(ASK_MILLISECONDS, async () => (await answers()) && reload(), signal);
}

function moveFocus() {
  document.getElementById("main").focus({ preventScroll: true });
}

// The URL's fragment is the page's address, so the skip link cannot use one; it moves the focus.
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  moveFocus();
  document.getElementById("main").scrollIntoView();
});
/** After a LINE login the browser returns with a code: move it to where the page reads it. */
function readLogin() {
  const given = new URLSearchParams(location.search);
  if (!given.has("state")) return;
  const names = ["code", "state", "error", "error_description"];
  const kept = names.filter((name) => given.has(name)).map((name) => [name, given.get(name)]);
  const address = `${location.pathname}#/notifications?${new URLSearchParams(kept)}`;
  history.replaceState(null, "", address);
}

// A reloaded page has no dialog, so Back must not stop at the one that was open.
if (history.state?.dialog) history.back();
readLogin();
startShell();
watchAccess();
listenForHelp();
watchAges(new AbortController().signal);
document.addEventListener("zonechange", show);
window.addEventListener("hashchange", () => show().then(moveFocus));
show();
