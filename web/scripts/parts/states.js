// What a section shows while it has no data: loading, empty, failed. And the loader that switches
// between them.

import { onConnection } from "../lib/connection.js";
import { el, fill } from "../lib/dom.js";
import { onReturn, pause } from "../lib/live.js";
import { linkTo, readRoute } from "../lib/router.js";
import { buildProse } from "./prose.js";

const PASSING = new Set([429, 502, 503, 504]); // answers that will soon be different
const RETRY_MILLISECONDS = 5000;
// The link on a page whose address names something that does not exist.
const WAYS_ON = {
  ticker: ["data", "Bring bars in"],
  compare: ["data", "Bring bars in"],
  market: ["overview", "Overview"],
};

export function buildSkeleton(lines = 4) {
  return el(
    "div.skeleton",
    { "aria-hidden": "true" },
    Array.from({ length: lines }, () => el("i")),
  );
}

export function buildEmpty(title, text = "", ...actions) {
  return el(
    "div.state",
    el("p.title", title),
    text && el("p.text", buildProse(text)),
    actions.length > 0 && el("div.actions", actions),
  );
}

/** `way` is a link that replaces the retry if trying again is pointless. */
export function buildFailure(problem, retry = null, way = null) {
  const title =
    problem.status === 0
      ? "No connection"
      : problem.status === 404
        ? "Not found"
        : "This did not work";
  const again =
    way ??
    (retry && el("button.button.small", { type: "button", on: { click: retry } }, "Try again"));
  return el(
    "div.state",
    { role: "alert" },
    el("p.title", title),
    el("p.text", buildProse(way ? asSentence(problem.message) : problem.message)),
    again && el("div.actions", again),
  );
}

/**
 * Load into a node: a skeleton, then what `draw(data)` returns, or the failure with a retry.
 * Without a connection it retries as soon as there is one. Resolves to the data, or null.
 */
export function loadInto(node, load, draw, signal, lines = 4) {
  fill(node, buildSkeleton(lines));
  return loadOver(node, load, draw, signal);
}

/**
 * The same without a skeleton: what is shown, such as an earlier failure, stays until there is an
 * answer.
 */
async function loadOver(node, load, draw, signal) {
  node.setAttribute("aria-busy", "true");
  try {
    const data = await load();
    if (!signal.aborted) fill(node, draw(data));
    return data;
  } catch (error) {
    if (signal.aborted || error.name === "AbortError") return null;
    showFailure(node, error, () => loadOver(node, load, draw, signal), signal);
    return null;
  } finally {
    node.removeAttribute("aria-busy");
  }
}

/**
 * A section that is loaded by `show()`, and again by `refresh()` while its page is open: without a
 * skeleton, and only if something changed and the focus is elsewhere; also after a time without a
 * connection, or hidden. `reload()` is for another choice of what to show: the present content
 * stays, dimmed, until the new one is there. Whatever `load` loads is loaded each time.
 */
export function buildSection(load, draw, signal, lines) {
  const node = el("div");
  let shown = null;
  let latest = 0;
  const loadLatest = async () => {
    const turn = ++latest;
    const data = await load();
    if (turn !== latest)
      throw new DOMException("something else was asked for meanwhile", "AbortError");
    return data;
  };
  const keep = (data) => {
    shown = JSON.stringify(data);
    return draw(data);
  };
  const refresh = async () => {
    if (node.hasAttribute("aria-busy") || node.contains(document.activeElement)) return;
    const data = await loadLatest();
    // The reader may meanwhile have come to the section and, for example, asked for more.
    if (signal.aborted || node.contains(document.activeElement)) return;
    if (JSON.stringify(data) !== shown) fill(node, keep(data));
  };
  onReturn(() => shown !== null && refresh().catch(() => {}), signal);
  const show = () => {
    shown = null;
    return loadInto(node, loadLatest, keep, signal, lines);
  };
  const reload = async () => {
    if (shown === null) return show();
    node.setAttribute("aria-busy", "true");
    try {
      const data = await loadLatest();
      if (!signal.aborted) fill(node, keep(data));
    } catch (error) {
      if (signal.aborted || error.name === "AbortError") return null;
      shown = null;
      showFailure(node, error, show, signal);
    }
    node.removeAttribute("aria-busy");
    return null;
  };
  return { node, refresh, reload, show };
}

/**
 * Return a function that loads a page and shows what `draw(data, refresh, signal)` returns, each
 * time it is called. The present content stays until then, and its signal aborts.
 */
export function buildRefresh(node, load, draw, signal) {
  let showing = null;
  const refresh = async () => {
    const isFirst = showing === null;
    showing?.abort();
    showing = new AbortController();
    const both = AbortSignal.any([signal, showing.signal]);
    const redraw = (data) => draw(data, refresh, both);
    if (isFirst) return loadInto(node, () => load(both), redraw, both, 8);
    try {
      const data = await load(both);
      if (!both.aborted) fill(node, redraw(data));
      return data;
    } catch (error) {
      if (!both.aborted) showFailure(node, error, refresh, both);
      return null;
    }
  };
  return refresh;
}

/**
 * The same for a page that nothing else keeps up to date: it is loaded again after a time without a
 * connection, or hidden, if something changed.
 */
export function buildCurrent(node, load, draw, signal) {
  let shown = null;
  const keep = (data, ...rest) => {
    shown = JSON.stringify(data);
    return draw(data, ...rest);
  };
  const refresh = buildRefresh(node, load, keep, signal);
  const look = async () => {
    if (shown === null) return;
    const data = await load(signal);
    // No redraw under a dialog: it is about what it was opened over, and its action redraws the
    // page.
    const isInUse = isWritten(node) || document.querySelector("dialog[open]");
    if (!signal.aborted && !isInUse && JSON.stringify(data) !== shown) await refresh();
  };
  onReturn(() => look().catch(() => {}), signal);
  return refresh;
}

/** Whether it contains a field in which somebody has written. */
const isWritten = (node) =>
  [...node.querySelectorAll("input, textarea")].some((field) => field.value !== field.defaultValue);

function showFailure(node, error, again, signal) {
  if (error.name !== "Problem") console.error(error);
  const once = new AbortController();
  const retry = () => {
    once.abort();
    again();
  };
  const both = AbortSignal.any([signal, once.signal]);
  if (error.status === 0) onConnection((reached) => reached && retry(), both);
  if (PASSING.has(error.status))
    pause(Math.max(RETRY_MILLISECONDS, error.waitMilliseconds ?? 0), both).then(
      () => both.aborted || retry(),
    );
  // A page that failed as a whole has no other heading.
  const isWhole = node.id === "main";
  const heading = isWhole && el("h1.hidden-text", document.title.split(" · ")[0]);
  const way = isWhole && error.status === 404 ? buildWayOn(readRoute().page) : null;
  fill(node, heading, buildFailure(error, retry, way));
}

function buildWayOn(page) {
  const [list, label] = WAYS_ON[page] ?? [page, `All ${page}`];
  return el("a.button.small", { href: linkTo(list) }, label);
}

const asSentence = (text) => text.slice(0, 1).toUpperCase() + text.slice(1);
