// The API key of this browser session. Each tab keeps it for as long as it is open; a tab that is
// opened beside others has it from them, so that it is asked for once. It never goes to the disk.

import { openDialog } from "./dialog.js";
import { el } from "./dom.js";

const SLOT = "tapewatch.key";
const ANSWER_MILLISECONDS = 250;
// What a prompt is headed, and says.
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
// Only pages of this origin hear it.
const tabs = new BroadcastChannel("tapewatch.key");
const changes = new EventTarget();
let asking = null;
let declined = false;
let dismiss = () => {};

export const readKey = () => sessionStorage.getItem(SLOT);

/** Call `listener` whenever this tab has another key. */
export const onKey = (listener) => changes.addEventListener("change", listener);

tabs.addEventListener("message", ({ data }) => {
  if (data.asks && readKey() !== null && readKey() !== data.not) tellTabs();
  // A tab that has no key takes it; one that was told its own is none in force takes another.
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

/** Ask for a key in place of the one in use, which stays where none is given. */
export async function changeKey() {
  const before = readKey();
  await openPrompt(ANOTHER);
  if (readKey() !== before) location.reload();
}

/** Say that the key in use may not read, which all pages take, and offer to enter another. */
export const offerAnother = () =>
  showOffer("The key in use may not read what pages show: that takes the scope read.", () =>
    changeKey().then(offerAnother),
  );

/**
 * Ask for a key, other tabs first; resolves to whether one was given. Callers at the same time
 * share one question, and what goes on in the background does not ask again where the reader did
 * not answer: a notice offers it.
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
    // What no header may hold, such as a mark that came with a paste, is in no key.
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
