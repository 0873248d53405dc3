// Timers and followed runs of an open page.

import { get } from "./api.js";
import { onConnection } from "./connection.js";
import { readEvents } from "./events.js";

const OPEN_STATUSES = new Set(["queued", "in_progress"]);
const POLL_MILLISECONDS = 700;
const RETRY_MILLISECONDS = 1000;
const AWAY_MILLISECONDS = 60_000;

export const isOpen = (run) => OPEN_STATUSES.has(run.status);

/**
 * Wait so long, or until `signal` aborts. Leaves no listener behind, because a page may be open for
 * weeks.
 */
export function pause(milliseconds, signal) {
  const over = new AbortController();
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    const stop = () => (clearTimeout(timer), resolve());
    signal.addEventListener("abort", stop, { signal: over.signal });
  }).finally(() => over.abort());
}

/**
 * Call `action` now and then every so many milliseconds (or as many as a function says), until
 * `signal` aborts. Not while the tab is hidden, but at once when it is visible again. After a
 * failure it is called again, but not before the API allows it.
 */
export async function repeat(milliseconds, action, signal) {
  while (!signal.aborted) {
    if (document.hidden) await untilSeen(signal);
    if (signal.aborted) return;
    const failed = await action().then(
      () => null,
      (error) => error,
    );
    if (failed) logUnforeseen(failed);
    const usual = typeof milliseconds === "function" ? milliseconds() : milliseconds;
    await pause(Math.max(usual, failed?.waitMilliseconds ?? 0), signal);
  }
}

/**
 * Run now what `repeat` runs regularly; if it fails, for example because the page is left, the next
 * run repeats it.
 */
export const doNow = (action) => action().catch(logUnforeseen);

function untilSeen(signal) {
  const over = new AbortController();
  return new Promise((resolve) => {
    const look = () => document.hidden || resolve();
    document.addEventListener("visibilitychange", look, { signal: over.signal });
    signal.addEventListener("abort", resolve, { signal: over.signal });
  }).finally(() => over.abort());
}

/**
 * Call `action` when the shown data may be old, until `signal` aborts: after the connection was
 * lost and is back, or after the tab was hidden for a while.
 */
export function onReturn(action, signal) {
  let leftAt = Infinity;
  onConnection((reached) => reached && action(), signal);
  const look = () => {
    const away = Date.now() - leftAt;
    leftAt = document.hidden ? Date.now() : Infinity;
    if (!document.hidden && away > AWAY_MILLISECONDS) action();
  };
  document.addEventListener("visibilitychange", look, { signal });
}

/**
 * Follow a run by its events to its end, over lost connections and restarts of the API. A
 * browser keeps few connections
 * to one server, so a page follows one run this way; lists poll.
 * @param {string} id
 * @param {(run: object) => void} show called with each state, the last included
 * @returns {Promise<object|null>} the ended run; null if `signal` aborted
 */
export async function followRun(id, show, signal) {
  let seen = null;
  while (!signal.aborted) {
    let wait = RETRY_MILLISECONDS;
    try {
      for await (const event of readEvents(`/detection-runs/${id}/events`, seen, signal)) {
        const run = JSON.parse(event.data);
        seen = event.id;
        show(run);
        if (!isOpen(run)) return run;
      }
    } catch (error) {
      if (error.status === 404) throw error;
      logUnforeseen(error);
      wait = Math.max(wait, error.waitMilliseconds ?? 0);
    }
    await pause(wait, signal);
  }
  return null;
}

/** Poll a run to its end; otherwise as `followRun`. */
export async function pollRun(id, show, signal) {
  let ended = null;
  const done = new AbortController();
  const look = async () => {
    const run = await get(`/detection-runs/${id}`, {}, signal);
    show(run);
    if (isOpen(run)) return;
    ended = run;
    done.abort();
  };
  await repeat(POLL_MILLISECONDS, look, AbortSignal.any([signal, done.signal]));
  return ended;
}

function logUnforeseen(error) {
  // a stream that breaks off is a TypeError
  if (!["Problem", "AbortError", "TypeError"].includes(error.name)) console.error(error);
}
