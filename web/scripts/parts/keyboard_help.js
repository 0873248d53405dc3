// The list of keyboard shortcuts, shown by `?`.

import { openDialog } from "../lib/dialog.js";
import { el } from "../lib/dom.js";

const KEYS = [
  [
    "Everywhere",
    [
      [["?"], "this help"],
      [["/"], "search: a ticker, on the page of alerts an alert"],
      [["Tab"], "from one thing to the next; the first skips to the content"],
      [["Esc"], "closes what is open over the page, as Back does"],
    ],
  ],
  ["A ticker", [[["←", "→"], "the anomaly before, and after"]]],
  ["Lists and lanes of anomalies", [[["↑", "↓", "←", "→"], "from one anomaly to the next"]]],
  [
    "Alerts, and the page of one",
    [
      [["j", "k"], "down, and up"],
      [["x"], "picks one"],
      [["Enter"], "opens it"],
      [["e"], "acknowledges"],
      [["r"], "resolves"],
      [["s"], "snoozes"],
      [["m"], "mutes alerts like it that are still to come, in the list"],
    ],
  ],
];

export function listenForHelp() {
  // Registered after the pages' own listeners on the document, which come first.
  window.addEventListener("keydown", (event) => {
    const isTyping = event.target.closest?.("input, select, textarea, dialog");
    const isOther = event.ctrlKey || event.metaKey || event.altKey;
    if (event.defaultPrevented || isTyping || isOther) return;
    if (document.querySelector("dialog[open]")) return;
    if (event.key === "?") showHelp();
    else if (event.key === "/") document.querySelector(".find input").focus();
    else return;
    event.preventDefault();
  });
}

export function showHelp() {
  const dialog = el("dialog.wide", { "aria-labelledby": "keys-title" });
  dialog.append(
    el(
      "form",
      { method: "dialog" },
      el("h2", { id: "keys-title" }, "What the keyboard does"),
      KEYS.map(([title, keys]) => [el("h3", title), el("dl.facts", keys.map(buildKey))]),
      el("div.row", el("button.button.primary", { type: "submit", autofocus: true }, "Close")),
    ),
  );
  return openDialog(dialog);
}

const buildKey = ([keys, what]) => [
  el(
    "dt",
    keys.map((key) => [el("kbd", key), " "]),
  ),
  el("dd", what),
];
