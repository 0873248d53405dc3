// Alerts as an inbox: what somebody must look at, by keyboard or click, one or many at once.

import { el, fill } from "../../lib/dom.js";
import { APPLIED } from "../../lib/filters.js";
import { barTime, count } from "../../lib/format.js";
import { listenToKeys } from "../../lib/keyboard.js";
import { doNow, repeat } from "../../lib/live.js";
import { PAGE, getFirst } from "../../lib/pages.js";
import { keepInUrl, linkHere, linkTo } from "../../lib/router.js";
import { buildFilters } from "../../parts/filters.js";
import { buildSelect } from "../../parts/select.js";
import { buildSeverity } from "../../parts/severity.js";
import { buildEmpty, loadInto } from "../../parts/states.js";
import { KNOWN_TICKERS } from "../../parts/suggestions.js";
import { attempt, say } from "../../parts/toasts.js";
import { showAlert } from "./alert.js";
import { INBOX_CHOICES, findPlace, keepPlace } from "./inbox_place.js";
import { showMutes } from "./mutes.js";
import {
  askToAssign,
  askToExpect,
  askToResolve,
  askToSnooze,
  canMute,
  describeAlike,
  takeStep,
} from "./steps.js";
import { countBars, countFlagged, nameSubject } from "./subject.js";

export const title = (route) => (route.name ? "Alert" : "Alerts");

const REFRESH_MILLISECONDS = 4000;
const PART = 100;
const STATES = ["active", "acknowledged", "snoozed", "resolved", "expired"];
const ORDERS = [
  ["", "newest first"],
  ["-grade", "strangest first"],
];
const NARROWING = INBOX_CHOICES.filter((name) => name !== "sort");
const NONE = Object.fromEntries([...APPLIED.alerts, ...NARROWING].map((name) => [name, null]));
const STATE_KINDS = { active: "bad", acknowledged: "busy", resolved: "ok" };

export function show(main, route, signal) {
  if (route.name) return showAlert(main, route.name, signal);
  return showInbox(main, route, signal);
}

async function showInbox(main, route, signal) {
  const wanted = Object.fromEntries(
    INBOX_CHOICES.map((name) => [name, route.query.get(name) ?? ""]),
  );
  if (!STATES.includes(wanted.state)) wanted.state = "";
  if (!ORDERS.some(([order]) => order === wanted.sort)) wanted.sort = "";
  const inbox = {
    items: [],
    more: false,
    listed: findPlace()?.listed ?? PART,
    picked: new Set(),
    at: 0,
    wanted,
    shown: "",
    node: el("div"),
    mutes: el("div"),
    told: el("span.muted"),
    signal,
    bar: el("div.row", { role: "toolbar", "aria-label": "Steps" }),
  };
  let choice = 0;
  const load = async () => {
    const asked = choice;
    const { state, ...rest } = wanted;
    const path = state ? "/alerts" : "/alerts/active";
    const query = { ...shared.query(), ...rest, ...(state && { state }) };
    const page = await getFirst(path, query, inbox.listed, signal);
    // Answers may arrive out of order: a step would then be taken on alerts that another choice had
    // listed.
    if (asked !== choice) throw new DOMException("others were asked for meanwhile", "AbortError");
    return page;
  };
  const draw = ({ items, next_cursor: more }) => {
    const at = findAt(inbox, items);
    Object.assign(inbox, { items, at, more: Boolean(more), shown: JSON.stringify(items) });
    inbox.picked = new Set(items.map(({ _id }) => _id).filter((id) => inbox.picked.has(id)));
    drawSteps(inbox, refresh);
    return drawList(inbox, refresh);
  };
  const refresh = async () => {
    const data = await load();
    if (signal.aborted || JSON.stringify(data.items) === inbox.shown) return;
    // No redraw under a dialog: it is about the alerts that it was opened over, and the focus
    // returns there.
    if (document.querySelector("dialog[open]")) return;
    const focused = inbox.node.contains(document.activeElement);
    fill(inbox.node, draw(data));
    if (focused && !inbox.node.contains(document.activeElement)) focusAt(inbox);
  };
  const show = () => {
    choice += 1;
    // Another choice starts at the top of its list, and no step is taken on alerts that are gone.
    Object.assign(inbox, { items: [], at: 0, listed: PART, shown: "" });
    return loadInto(inbox.node, load, draw, signal);
  };
  const shared = buildFilters(route, show, signal);
  inbox.isFiltered = () =>
    Object.values(shared.values).some(Boolean) || NARROWING.some((name) => wanted[name]);
  const choose = (name, value) => {
    wanted[name] = value;
    keepInUrl({ [name]: value });
    keepPlace(null);
    show();
  };
  showMutes(inbox.mutes, signal);
  const filters = el(
    "div.row.alert-filters",
    { role: "search", "aria-label": "Which alerts" },
    buildOwnFilters(wanted, choose),
  );
  fill(
    main,
    el(
      "div.head",
      el(
        "div",
        el("h1", "Alerts"),
        el("p.lead", "What a scan found and somebody must look at, until it is resolved."),
      ),
      el("a.button", { href: linkTo("notifications") }, "Who is told"),
    ),
    el(
      "div.stack",
      shared.node,
      el(
        "section.card",
        { "aria-label": "Alerts" },
        el("header", inbox.bar, filters),
        inbox.node,
        el(
          "p.body.muted.wide-only",
          el("kbd", "j"),
          " and ",
          el("kbd", "k"),
          " move, ",
          el("kbd", "x"),
          " picks, ",
          el("kbd", "Enter"),
          " opens, ",
          el("kbd", "e"),
          " acknowledges, ",
          el("kbd", "r"),
          " resolves, ",
          el("kbd", "s"),
          " snoozes, ",
          el("kbd", "m"),
          " mutes, ",
          el("kbd", "/"),
          " searches.",
        ),
      ),
      inbox.mutes,
    ),
  );
  drawSteps(inbox, refresh);
  listenForSteps(inbox, refresh, signal);
  await loadInto(inbox.node, load, draw, signal, 8);
  const place = findPlace();
  if (place && !signal.aborted) {
    const still = inbox.items.findIndex(({ _id }) => _id === place.id);
    // If an alert leaves the list, the next one takes its position.
    inbox.at = Math.max(0, still < 0 ? Math.min(place.at, inbox.items.length - 1) : still);
    tellMeant(inbox);
    focusAt(inbox);
  }
  // Each refresh loads all alerts that are listed.
  repeat(() => REFRESH_MILLISECONDS * Math.ceil(inbox.listed / PAGE), refresh, signal);
}

function buildOwnFilters(wanted, choose) {
  const input = (name, label, attributes) => {
    const node = el("input", {
      value: wanted[name],
      type: "search",
      placeholder: label,
      "aria-label": label,
      autocomplete: "off",
      ...attributes,
    });
    node.addEventListener("change", () => choose(name, node.value.trim()));
    return el("label.field", node);
  };
  const states = [["", "not done"], ...STATES.map((state) => [state, state])];
  return [
    input("ticker", "Ticker", { id: "alert-search", maxlength: 20, list: KNOWN_TICKERS }),
    buildSelect("State", states, wanted.state, (value) => choose("state", value)),
    input("owner", "Owner", { maxlength: 100 }),
    input("text", "Text", { maxlength: 100 }),
    buildSelect("Order", ORDERS, wanted.sort, (order) => choose("sort", order)),
  ];
}

function drawList(inbox, refresh) {
  if (inbox.items.length === 0 && inbox.isFiltered())
    return buildEmpty(
      "No such alerts",
      "No alert passes the filters.",
      el("a.button", { href: linkHere(NONE) }, "Show all"),
    );
  if (inbox.items.length === 0)
    return buildEmpty(
      "Nothing to look at",
      "Alerts come with the scans of your watchlists; those of other states are a filter away.",
      el("a.button", { href: linkTo("watchlists") }, "Watchlists"),
    );
  return [
    el(
      "ul.alerts",
      inbox.items.map((alert, position) => buildRow(alert, position, inbox, refresh)),
    ),
    inbox.more && drawMore(inbox, refresh),
  ];
}

function drawMore(inbox, refresh) {
  const button = el("button.button.small", { type: "button" }, "Show more");
  button.addEventListener("click", async () => {
    const first = inbox.items.length;
    inbox.listed *= 2;
    await attempt(button, refresh);
    inbox.at = Math.min(first, inbox.items.length - 1);
    focusAt(inbox);
  });
  return el("div.more", button);
}

function buildRow(alert, position, inbox, refresh) {
  const name = nameAlert(alert);
  const pick = el("input", { type: "checkbox", "aria-label": `Pick ${name}` });
  pick.checked = inbox.picked.has(alert._id);
  pick.addEventListener("change", () => {
    if (pick.checked) inbox.picked.add(alert._id);
    else inbox.picked.delete(alert._id);
    drawSteps(inbox, refresh);
  });
  const link = el(
    "a",
    {
      href: linkTo("alerts", alert._id, inbox.wanted),
      data: { at: position },
      on: { click: () => keepPlace({ id: alert._id, at: position, listed: inbox.listed }) },
    },
    el("span.ticker-name", nameSubject(alert)),
    el("span.when.number", writeTime(alert)),
  );
  const row = el(
    "li",
    { "aria-current": isMeant(inbox, position) && "true" },
    pick,
    el("span.what", link),
    el(
      "span.marks",
      buildSeverity(alert.severity),
      buildState(alert.state),
      alert.scope && el("span.badge", alert.scope),
      alert.count > 1 && el("span.badge", countBars(alert)),
      alert.owner && el("span.badge", alert.owner),
    ),
    el("span.why", (alert.root_causes[0] && `${alert.root_causes[0]}; `) || "", alert.reasons[0]),
    el("span.muted.of", [countFlagged(alert), alert.watchlist].filter(Boolean).join(" · ")),
  );
  // Focus on its box counts too: a key acts on the alert that is highlighted.
  row.addEventListener("focusin", () => {
    inbox.at = position;
    tellMeant(inbox);
  });
  return row;
}

const nameAlert = (alert) => `${nameSubject(alert)}, ${writeTime(alert)}`;

/** Whether a key acts on the alert at this place if none is selected. */
const isMeant = ({ picked, at }, position) => picked.size === 0 && at === position;

/**
 * Show which alerts a key acts on, and highlight them: on a page that was just opened nothing has
 * the focus.
 */
function tellMeant(inbox) {
  const { items, picked, at, told, node } = inbox;
  const one = items[at] && `of ${nameAlert(items[at])}`;
  fill(told, picked.size ? `${count(picked.size)} picked` : one);
  for (const [position, row] of node.querySelectorAll(".alerts > li").entries()) {
    if (isMeant(inbox, position)) row.setAttribute("aria-current", "true");
    else row.removeAttribute("aria-current");
  }
}

const writeTime = ({ last_bar: time, interval, market }) => barTime(time, interval, market);

function buildState(state) {
  const kind = STATE_KINDS[state];
  return el(kind ? `span.badge.${kind}` : "span.badge", {}, state);
}

const chosen = (inbox) =>
  inbox.picked.size
    ? [...inbox.picked]
    : inbox.items.slice(inbox.at, inbox.at + 1).map(({ _id }) => _id);

/**
 * The place of the focused alert in the present list: others may have come before it, or somebody
 * else may have resolved some. If it is gone, the place of the next one that is still there.
 */
function findAt({ items: before, at }, items) {
  const places = new Map(items.map(({ _id }, place) => [_id, place]));
  const nearest = [...before.slice(at), ...before.slice(0, at).reverse()];
  const still = nearest.find(({ _id }) => places.has(_id));
  return still ? places.get(still._id) : 0;
}

/** The box that selects all listed alerts, or none. */
function buildPickAll(inbox, refresh) {
  const all = el("input", { type: "checkbox", disabled: inbox.items.length === 0 });
  all.checked = inbox.picked.size > 0 && inbox.picked.size === inbox.items.length;
  all.indeterminate = inbox.picked.size > 0 && !all.checked;
  all.addEventListener("change", () => {
    inbox.picked = new Set(all.checked ? inbox.items.map(({ _id }) => _id) : []);
    for (const pick of inbox.node.querySelectorAll(".alerts input")) pick.checked = all.checked;
    drawSteps(inbox, refresh);
    inbox.bar.querySelector("input").focus();
  });
  return el("label.field.pick-all", all, "All");
}

function drawSteps(inbox, refresh) {
  const button = (label, action) => {
    const disabled = inbox.items.length === 0;
    const node = el(
      "button.button.small",
      { type: "button", disabled, data: { needs: "respond" } },
      label,
    );
    node.addEventListener("click", async () => {
      const ids = chosen(inbox);
      if (ids.length && (await attempt(node, () => action(ids)))) await doNow(refresh);
    });
    return node;
  };
  fill(
    inbox.bar,
    buildPickAll(inbox, refresh),
    button("Acknowledge", (ids) => takeStep(ids, "acknowledge")),
    button("Resolve", askToResolve),
    button("Snooze", askToSnooze),
    button("Mute", (ids) => askToMute(inbox, ids)),
    button("Assign", askToAssign),
    inbox.told,
  );
  tellMeant(inbox);
}

function listenForSteps(inbox, refresh, signal) {
  const step = async (action) => {
    const ids = chosen(inbox);
    if (ids.length && (await attempt({}, () => action(ids)))) await doNow(refresh);
  };
  const keys = {
    j: () => move(inbox, 1),
    k: () => move(inbox, -1),
    e: () => step((ids) => takeStep(ids, "acknowledge")),
    r: () => step(askToResolve),
    s: () => step(askToSnooze),
    m: () => step((ids) => askToMute(inbox, ids)),
    x: () => inbox.node.querySelectorAll("input[type=checkbox]")[inbox.at]?.click(),
    "/": () => document.getElementById("alert-search")?.focus(),
  };
  listenToKeys(keys, signal);
}

/**
 * Ask until when alerts like these are expected. Alerts of a feed, of a series or of a vendor's
 * fault cannot be muted.
 */
async function askToMute(inbox, ids) {
  const alerts = inbox.items.filter(({ _id }) => ids.includes(_id)).filter(canMute);
  if (alerts.length === 0) {
    const unmuted = "Alerts of a feed, a series or a vendor's fault";
    say(`${unmuted} are not muted: snooze them, or end their cause.`, "bad");
    return null;
  }
  const title = alerts.length === 1 ? `Mute alerts of ${nameSubject(alerts[0])}` : "Mute alerts";
  const isMuted = await askToExpect(alerts.map(describeAlike), title);
  if (isMuted) await showMutes(inbox.mutes, inbox.signal);
  return isMuted;
}

function move(inbox, by) {
  const isIn = inbox.node.contains(document.activeElement);
  inbox.at = Math.max(0, Math.min(inbox.items.length - 1, inbox.at + (isIn ? by : 0)));
  focusAt(inbox);
}

const focusAt = (inbox) => inbox.node.querySelector(`a[data-at="${inbox.at}"]`)?.focus();
