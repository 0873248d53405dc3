// The public API: the only place that talks to the server. Every failure becomes a Problem.

import { setClock } from "./clock.js";
import { reportReached, reportUnreached } from "./connection.js";
import { askForKey, readKey } from "./key.js";

// The page contains the API's address, relative to the page, so that both may be served below any
// path.
const FOLDER = document.querySelector('meta[name="api"]').content;
const PREFIX = new URL(FOLDER || ".", document.baseURI).href.replace(/\/$/, "");
const TIMEOUT_MILLISECONDS = 20_000;

const NOT_OURS =
  "What answered is not this service but something before it, such as the sign-in of a proxy. " +
  "Reload the page.";
export const UNREACHED = "The API does not answer. This page tries again by itself.";

/** An error, as in the API's problem document. */
export class Problem extends Error {
  constructor(status, reason, detail, document = {}) {
    super(detail);
    this.name = "Problem";
    this.status = status;
    this.reason = reason;
    this.document = document;
    this.waitMilliseconds = 0; // how long the API asks clients to wait
  }
}

export const DOCS = `${PREFIX}/docs`;

/** Read a JSON document. `query` leaves out what is null, undefined or "". */
export function get(path, query = {}, signal = null) {
  return send("GET", withQuery(path, query), { signal });
}

/** Read a text, such as a drawing. */
export function getText(path, query = {}, signal = null) {
  return send("GET", withQuery(path, query), { signal, read: (response) => response.text() });
}

/** Read a file, however long the download takes. */
export function getFile(path) {
  return send("GET", path, { limit: null, read: (response) => response.blob() });
}

/**
 * Post JSON. `key` makes a repeated post answer with the first one's run; the answer may take
 * `limit` milliseconds.
 */
export function post(path, body = null, { key = null, headers = {}, limit } = {}) {
  const all = key ? { ...headers, "Idempotency-Key": key } : headers;
  return sendBody("POST", path, body, all, limit);
}

export const put = (path, body, headers = {}) => sendBody("PUT", path, body, headers);
export const patch = (path, body) => sendBody("PATCH", path, body, {});
export const remove = (path, headers = {}) => send("DELETE", path, { headers });
/** Send a file, however long the upload takes. */
export const upload = (path, form, headers = {}) =>
  send("POST", path, { body: form, headers, limit: null });

/** Open a stream of bytes; the caller reads it, and ends it with `signal`. */
export async function open(path, headers, signal) {
  const response = await request("GET", path, {
    headers: { Accept: "text/event-stream", ...headers },
    signal,
  });
  if (response.status === 401 && (await askForKey())) return open(path, headers, signal);
  if (!response.ok) throw await readProblem(response);
  return response.body;
}

function sendBody(method, path, body, headers, limit) {
  const content = body === null ? {} : { "Content-Type": "application/json" };
  return send(method, path, {
    body: body === null ? null : JSON.stringify(body),
    headers: { ...content, ...headers },
    limit,
  });
}

async function send(
  method,
  path,
  { body = null, headers = {}, signal = null, read = readJson, limit = TIMEOUT_MILLISECONDS } = {},
) {
  const signals = [signal, limit && AbortSignal.timeout(limit)].filter(Boolean);
  const both = AbortSignal.any(signals);
  const response = await request(method, path, { body, headers, signal: both });
  if (response.status === 401 && (await askForKey()))
    return send(method, path, { body, headers, signal, read, limit });
  if (!response.ok) throw await readProblem(response);
  if (response.status === 204) return null;
  return reach(method, () => read(response));
}

const readJson = (response) =>
  response.json().catch((error) => {
    if (error.name !== "SyntaxError") throw error;
    throw new Problem(response.status, "not_ours", NOT_OURS);
  });

async function request(method, path, { body = null, headers = {}, signal = null }) {
  const key = readKey();
  const access = key ? { Authorization: `Bearer ${key}` } : {};
  const response = await reach(method, () =>
    fetch(PREFIX + path, { method, body, headers: { ...access, ...headers }, signal }),
  );
  reportReached();
  setClock(response.headers.get("Date"));
  return response;
}

/**
 * Do something over a connection. If the connection fails, or an answer breaks off, throw a
 * Problem.
 */
async function reach(method, act) {
  try {
    return await act();
  } catch (error) {
    if (!["TypeError", "TimeoutError"].includes(error.name)) throw error;
    reportUnreached();
    const text = method === "GET" ? UNREACHED : "The API does not answer. Try again in a moment.";
    throw new Problem(0, "unreachable", text);
  }
}

async function readProblem(response) {
  const document = await response.json().catch(() => ({}));
  const detail = document.detail ?? `The API answered ${response.status} ${response.statusText}`;
  const problem = new Problem(response.status, document.reason ?? "unknown", detail, document);
  problem.waitMilliseconds = 1000 * (Number(response.headers.get("Retry-After")) || 0);
  return problem;
}

function withQuery(path, query) {
  const given = Object.entries(query).filter(
    ([, value]) => value !== null && value !== undefined && value !== "",
  );
  return given.length ? `${path}?${new URLSearchParams(given)}` : path;
}
