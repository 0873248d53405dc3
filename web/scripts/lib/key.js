// The API key of this browser session. Each tab keeps it while it is open. A tab that is opened
// beside others gets the key from them, so the reader is asked only once. The key is never written
// to disk.

import { openDialog } from "./dialog.js";
import { el } from "./dom.js";

const SLOT = "tapewatch.key";
const ANSWER_MILLISECONDS = 250;
// The heading and the text of a prompt.
const NEEDED = [
  "A key is needed",
  "This service takes requests with an API key only. The tabs of this browser share it until " +
    "the last is closed.",
];
const REFUSED = [
  "The key was refused",
  "The key in use is not in force any more: it was revoked, or mistyped. Enter another.",
];
const ANOTHER = ["Another key", "This tab, and each that is opened beside it, goes on with it."];
// Only pages of this origin hear the channel.
const tabs = new BroadcastChannel("tapewatch.key");
const changes = new EventTarget();
let asking = null;
let declined = false;
let dismiss = () => {};

export const readKey = () => sessionStorage.getItem(SLOT);

/** Call `listener` whenever this tab gets another key. */
export const onKey = (listener) => changes.addEventListener("change", listener);

tabs.addEventListener("message", ({ data }) => {
  if (data.asks && readKey() !== null && readKey() !== data.not) tellTabs();
  // A tab without a key takes it; a tab whose own key is not valid replaces it.
  if (data.key && (readKey() === null || asking !== null) && data.key !== readKey()) {
    keep(data.key);
    dismiss();
  }
});

const tellTabs = () => tabs.postMessage({ key: readKey() });

function keep(key) {
  sessionStorage.setItem(SLOT, key);
  changes.dispatchEvent(new Event("change"));
}

/** Ask for a key to replace the one in use, which stays if none is entered. */
export async function changeKey() {
  const before = readKey();
  await openPrompt(ANOTHER);
  if (readKey() !== before) location.reload();
}

/**
 * Tell the reader that the key in use may not read, which every page needs, and offer to enter
 * another.
 */
export const offerAnother = () =>
  showOffer("The key in use may not read what pages show: that takes the scope read.", () =>
    changeKey().then(offerAnother),
  );

/**
 * Ask for a key, other tabs first; resolves to whether there is one. Simultaneous callers share one
 * question. After the reader declined, background requests do not ask again; a notice offers it.
 */
export function askForKey() {
  if (declined) return Promise.resolve(false);
  asking ??= ask().finally(() => {
    asking = null;
  });
  return asking;
}

async function ask() {
  const refused = readKey();
  sessionStorage.removeItem(SLOT);
  tabs.postMessage({ asks: true, not: refused });
  const until = performance.now() + ANSWER_MILLISECONDS;
  while (readKey() === null && performance.now() < until)
    await new Promise((resolve) => setTimeout(resolve, 20));
  return readKey() !== null || openPrompt(refused === null ? NEEDED : REFUSED);
}

async function openPrompt(words) {
  const input = el("input", {
    type: "password",
    name: "key",
    required: true,
    // Characters that no header may contain, such as a byte order mark from a paste, are never part
    // of a key.
    pattern: "\\s*[!-~]+\\s*",
    title: "The key as it was shown: letters, digits and marks, without blanks.",
    autocomplete: "off",
    spellcheck: "false",
  });
  const dialog = el(
    "dialog",
    { "aria-labelledby": "key-title", data: { stays: "" } },
    buildForm(input, words, () => dialog.close()),
  );
  dismiss = () => dialog.close();
  await openDialog(dialog);
  dismiss = () => {};
  const key = dialog.returnValue === "use" ? input.value.trim() : "";
  if (key) {
    keep(key);
    tellTabs();
  }
  if (readKey() === null) {
    declined = true;
    const enter = async () => {
      declined = false;
      if (await askForKey()) location.reload();
    };
    showOffer("Without an API key nothing can be shown or asked for.", enter);
  }
  return readKey() !== null;
}

function showOffer(text, act) {
  document.getElementById("key-offer")?.remove();
  const offer = el("div.notice.warn", { id: "key-offer", role: "status" }, text);
  const enter = () => {
    offer.remove();
    return act();
  };
  offer.append(el("button.button.small", { type: "button", on: { click: enter } }, "Enter a key"));
  document.getElementById("notices").after(offer);
  const taken = () => {
    declined = false;
    offer.remove();
  };
  changes.addEventListener("change", taken, { once: true });
}

function buildForm(input, [title, text], cancel) {
  return el(
    "form",
    { method: "dialog" },
    el("h2", { id: "key-title" }, title),
    el("p.muted", text, " ", el("code", "flask keys create"), " makes one."),
    el("label.field", "API key", input),
    el(
      "div.row",
      el("button.button", { type: "button", on: { click: cancel } }, "Not now"),
      el("button.button.primary", { type: "submit", value: "use" }, "Use this key"),
    ),
  );
}
