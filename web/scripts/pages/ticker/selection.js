// The chosen anomaly of the ticker: the same one in the panel, on the chart, in the list and in the
// URL.

import { el, fill } from "../../lib/dom.js";
import { keepInUrl } from "../../lib/router.js";
import { buildAnomalyList } from "../../parts/anomaly_list.js";
import { buildEmpty } from "../../parts/states.js";
import { drawAnomaly, drawNoAnomaly } from "./anomaly.js";

/**
 * @param {object} chart from `buildPriceChart`
 * @param {string|null} asked time of the anomaly that the URL names
 * @param {() => void} refresh called when something of the ticker was changed
 * @returns {{panel: Node, list: Node, set: (anomalies: object[], message: string) => void,
 * select: (anomaly) => void, isEmpty: () => boolean}}
 */
export function buildSelection(chart, asked, refresh, signal) {
  const panel = el("section.card.panel", { "aria-label": "Anomaly" });
  const list = el("div.without-ticker.listing");
  let known = [];
  let selected = null;
  let drawn = null;
  let missing = null; // the time in the URL, if no anomaly was ever found there

  const select = (anomaly) => {
    selected = anomaly;
    keepInUrl({ anomaly: anomaly?.Datetime ?? null });
    chart.select(anomaly);
    const at = known.indexOf(anomaly);
    const hadFocus =
      panel.contains(document.activeElement) && document.activeElement.getAttribute("aria-label");
    fill(
      panel,
      anomaly
        ? drawAnomaly(anomaly, { at, of: known.length, step }, refresh, signal)
        : drawNoAnomaly(known.length, step, missing),
    );
    // A reader who steps with the Enter key continues on the same button, or on its neighbour at
    // the end.
    const buttons = [...panel.querySelectorAll("header button:enabled")];
    if (hadFocus)
      (
        buttons.find((button) => button.getAttribute("aria-label") === hadFocus) ?? buttons[0]
      )?.focus();
    markListed(list, anomaly);
  };
  const step = (move) => {
    const from = selected ? known.indexOf(selected) : move > 0 ? -1 : known.length;
    if (known.length > 0) select(known[Math.max(0, Math.min(known.length - 1, from + move))]);
  };
  const set = (anomalies, message) => {
    const now = JSON.stringify(anomalies.length ? anomalies : message);
    if (now === drawn) return; // an opened part of the panel stays open
    drawn = now;
    const time = selected?.Datetime ?? asked;
    known = anomalies;
    chart.setAnomalies(anomalies);
    fill(
      list,
      anomalies.length
        ? buildAnomalyList([...anomalies].reverse(), { withTicker: false })
        : buildEmpty("None", message),
    );
    const found = anomalies.find((anomaly) => anomaly.Datetime === time) ?? null;
    missing = found ? null : time;
    select(found);
    missing = null;
  };

  list.addEventListener("click", (event) => {
    const item = event.target.closest("li");
    if (!item || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    select(known[known.length - 1 - [...item.parentNode.children].indexOf(item)]);
  });
  list.addEventListener("keydown", (event) =>
    stepByKey(event, step, { ArrowUp: 1, ArrowDown: -1 }),
  );
  document.addEventListener(
    "keydown",
    (event) => stepByKey(event, step, { ArrowLeft: -1, ArrowRight: 1 }),
    { signal },
  );
  return { panel, list, set, select, isEmpty: () => selected === null };
}

/** The whole list is one Tab stop: the chosen anomaly, else the first. */
function markListed(list, anomaly) {
  const links = [...list.querySelectorAll("a.anomaly")];
  const current = links.find((link) => link.dataset.id === anomaly?._id);
  for (const link of links) {
    link.removeAttribute("aria-current");
    link.tabIndex = link === (current ?? links[0]) ? 0 : -1;
  }
  if (!current) return;
  current.setAttribute("aria-current", "true");
  if (list.contains(document.activeElement)) current.focus({ preventScroll: true });
  // Only an element that is laid out has a position, and the list may not be on the page yet.
  requestAnimationFrame(
    () => (list.scrollTop = current.parentNode.offsetTop - list.clientHeight / 2),
  );
}

/** Arrow keys step from anomaly to anomaly, unless they mean something where the focus is. */
function stepByKey(event, step, moves) {
  const move = moves[event.key];
  if (
    !move ||
    event.ctrlKey ||
    event.metaKey ||
    event.altKey ||
    event.target.closest("input, select, textarea, dialog, .scroll")
  )
    return;
  event.preventDefault();
  step(move);
}
