// Starts the page and shows what the URL asks for.

import { el, fill } from "./dom.js";
import { readRoute } from "./router.js";
import { markPage, startShell } from "./shell.js";
import { buildEmpty } from "./parts/states.js";

const PAGES = {
  overview: () => import("./pages/overview.js"),
  ticker: () => import("./pages/ticker.js"),
  runs: () => import("./pages/runs.js"),
  watchlists: () => import("./pages/watchlists.js"),
  models: () => import("./pages/models.js"),
  data: () => import("./pages/data.js"),
  notifications: () => import("./pages/notifications.js"),
};

let leave = new AbortController();

async function show() {
  leave.abort();
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
  const page = await PAGES[route.page]();
  if (signal.aborted) return;
  document.title = `${page.title(route)} · Tapewatch`;
  window.scrollTo(0, 0);
  page.show(main, route, signal);
}

function moveFocus() {
  document.getElementById("main").focus({ preventScroll: true });
}

startShell();
window.addEventListener("hashchange", () => show().then(moveFocus));
show();
