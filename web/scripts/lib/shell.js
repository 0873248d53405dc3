// What surrounds every page: brand, navigation, search for a ticker, health, theme.

import { DOCS, get } from "./api.js";
import { onConnection } from "./connection.js";
import { el, fill } from "./dom.js";
import { changeKey, onKey, readKey } from "./key.js";
import { repeat } from "./live.js";
import { watchConnection } from "./probe.js";
import { go, linkTo } from "./router.js";
import { CHOICES, choose, readChoice } from "./zone.js";
import { showHelp } from "../parts/keyboard_help.js";
import { buildProse } from "../parts/prose.js";
import { buildReload, UPGRADED } from "../parts/reload.js";
import { buildSelect } from "../parts/select.js";
import { buildTickerInput, readTicker, startSuggestions } from "../parts/suggestions.js";
import { buildThemeSwitch } from "../parts/theme_switch.js";

const HEALTH_MILLISECONDS = 10_000;
const PAGES = [
  ["overview", "Overview"],
  ["anomalies", "Anomalies"],
  ["alerts", "Alerts"],
  ["market", "Market"],
  ["runs", "Runs"],
  ["watchlists", "Watchlists"],
  ["models", "Models"],
  ["series", "Series"],
  ["data", "Data"],
];

export const NAMES = {
  mongodb: "MongoDB",
  redis: "Redis",
  workers: "The workers",
  sweeper: "The sweeper",
  scheduler: "The scheduler",
};

const health = el("span", { role: "status" }, el("i.dot"), el("span.label", "Connecting"));
const healthLink = el(
  "a.health",
  { href: linkTo("health"), "aria-label": "Health: Connecting" },
  health,
);
const flower = el(
  "a",
  { rel: "noopener noreferrer", target: "_blank", hidden: true },
  "Tasks and workers in Flower",
);
const keyButton = el(
  "button.button.plain",
  { type: "button", hidden: readKey() === null, on: { click: changeKey } },
  "API key",
);
let lastHealth = null;

export function startShell() {
  fill(
    document.getElementById("top"),
    el(
      "a.brand",
      { href: linkTo("overview"), "aria-label": "Tapewatch, overview" },
      el("img", { src: "favicon.svg", alt: "", width: 26, height: 26 }),
      "Tapewatch",
    ),
    el(
      "nav.nav",
      { "aria-label": "Pages" },
      PAGES.map(([page, label]) => el("a", { href: linkTo(page), data: { page } }, label)),
    ),
    buildSearch(),
    healthLink,
    buildThemeSwitch(),
  );
  fill(
    document.getElementById("foot"),
    el("a", { href: DOCS }, "API documentation"),
    flower,
    el("button.button.plain", { type: "button", on: { click: showHelp } }, "Keyboard"),
    keyButton,
    buildSelect("Times in", CHOICES, readChoice(), choose),
    el(
      "a",
      { href: "https://www.tradingview.com/", rel: "noopener noreferrer", target: "_blank" },
      "Charts by TradingView Lightweight Charts™",
    ),
  );
  onKey(() => (keyButton.hidden = false));
  const { signal } = new AbortController();
  onConnection((reached) => (reached ? checkHealth() : showHealth(false)), signal);
  for (const event of ["offline", "online"]) window.addEventListener(event, checkHealth);
  watchConnection(signal);
  startSuggestions();
  window.addEventListener("filterschange", aimLinks);
  repeat(HEALTH_MILLISECONDS, checkHealth, signal);
}

// Pages that are reached through another one.
const PARENTS = {
  ticker: "overview",
  compare: "overview",
  day: "anomalies",
  notifications: "alerts",
};

/** Mark the page in the navigation, or the one it belongs to. */
export function markPage(page) {
  for (const link of document.querySelectorAll(".nav a")) {
    const isCurrent = link.dataset.page === (PARENTS[page] ?? page);
    if (isCurrent) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
    if (isCurrent) showInNavigation(link);
  }
  aimLinks();
}

/** On a phone the navigation is wider than the screen. */
function showInNavigation(link) {
  const nav = link.parentNode;
  nav.scrollLeft = link.offsetLeft - nav.offsetLeft - (nav.clientWidth - link.offsetWidth) / 2;
}

/** Make the navigation's links keep the filters. */
function aimLinks() {
  for (const link of document.querySelectorAll(".nav a")) link.href = linkTo(link.dataset.page);
  document.querySelector(".brand").href = linkTo("overview");
}

async function checkHealth() {
  try {
    lastHealth = await get("/health");
    tellUpgrade(lastHealth.build);
    showHealth(true);
    flower.hidden = !lastHealth.flower_url;
    if (lastHealth.flower_url) flower.href = lastHealth.flower_url;
  } catch (error) {
    if (error.name !== "Problem") throw error;
    showHealth(false);
  }
}

/** A tab that stays open during an upgrade has the old scripts and gets the new answers. */
function tellUpgrade(build) {
  const opened = document.querySelector('meta[name="build"]').content;
  if (build === opened || document.getElementById("upgraded")) return;
  document
    .getElementById("notices")
    .after(
      el(
        "div.notice.warn",
        { id: "upgraded", role: "status" },
        `${UPGRADED} What it shows may lack something, or be wrong.`,
        buildReload(),
      ),
    );
}

function showHealth(reached) {
  const { kind, label, notice } = describeHealth(reached);
  fill(health, el(`i.dot.${kind}`), el("span.label", label));
  healthLink.title = `${label}: see each part`;
  healthLink.setAttribute("aria-label", `Health: ${label}`);
  fill(
    document.getElementById("notices"),
    notice &&
      el(`div.notice.${notice.kind}`, { role: "status" }, el("span", buildProse(notice.text))),
  );
}

function describeHealth(reached) {
  if (!reached) {
    const text =
      "The API does not answer. What you see may be old; this page tries again by itself.";
    return { kind: "bad", label: "Offline", notice: { kind: "bad", text } };
  }
  if (lastHealth === null) return { kind: "busy", label: "Connecting", notice: null };
  const { status, access, ...parts } = lastHealth;
  const unwell = describeUnwell(parts);
  if (status === "unavailable")
    return {
      kind: "bad",
      label: "Unavailable",
      notice: { kind: "bad", text: `Nothing can be accepted. ${unwell}` },
    };
  if (status === "degraded")
    return {
      kind: "warn",
      label: "Degraded",
      notice: { kind: "warn", text: `Work is accepted, but waits. ${unwell}` },
    };
  const open =
    "Open access: no API key was made yet, so whoever is on this machine may ask for anything.";
  return {
    kind: "ok",
    label: "All well",
    notice: access === "open" ? { kind: "plain", text: open } : null,
  };
}

/** "The scheduler: it ran last 40 s ago." */
function describeUnwell(parts) {
  const [name, part] = Object.entries(parts).find(([, one]) => one?.ok === false) ?? [];
  if (!name) return "A part of the service is not well.";
  const [title, detail] = [NAMES[name] ?? name, part.detail ?? "not well"];
  const text = detail.startsWith(title) ? detail : `${title}: ${detail}`;
  return /[.?!]$/.test(text) ? text : `${text}.`;
}

function buildSearch() {
  const input = buildTickerInput({
    type: "search",
    name: "ticker",
    placeholder: "Ticker, e.g. AAPL",
    "aria-label": "Go to a ticker",
  });
  const submit = (event) => {
    event.preventDefault();
    const ticker = readTicker(input);
    if (ticker) go("ticker", ticker);
    input.value = "";
    input.blur();
  };
  return el("form.find", { role: "search", on: { submit } }, input);
}
