// The API key of this browser tab. It is kept for the session only, and asked for when the API
// wants one.

import { el } from "./dom.js";

const SLOT = "tapewatch.key";
let asking = null;
let declined = false;

export const readKey = () => sessionStorage.getItem(SLOT);

/**
 * Ask for a key; resolves to whether one was given. Callers at the same time share one question,
 * and what goes on in
 * the background does not ask again where the reader did not answer: a notice offers it.
 */
export function askForKey() {
  if (declined) return Promise.resolve(false);
  asking ??= openPrompt().finally(() => {
    asking = null;
  });
  return asking;
}

function openPrompt() {
  const refused = readKey() !== null;
  sessionStorage.removeItem(SLOT);
  return new Promise((resolve) => {
    const input = el("input", {
      type: "password",
      name: "key",
      required: true,
      autocomplete: "off",
      spellcheck: "false",
    });
    const dialog = el(
      "dialog",
      { "aria-labelledby": "key-title", data: { stays: "" } },
      buildForm(input, refused, () => dialog.close()),
    );
    dialog.addEventListener("close", () => {
      const key = dialog.returnValue === "use" ? input.value.trim() : "";
      if (key) sessionStorage.setItem(SLOT, key);
      else showOffer();
      dialog.remove();
      resolve(key !== "");
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

function showOffer() {
  declined = true;
  const offer = el(
    "div.notice.warn",
    { role: "status" },
    "Without an API key nothing can be shown or asked for.",
  );
  const enter = async () => {
    declined = false;
    offer.remove();
    if (await askForKey()) location.reload();
  };
  offer.append(el("button.button.small", { type: "button", on: { click: enter } }, "Enter a key"));
  document.getElementById("notices").after(offer);
}

function buildForm(input, refused, cancel) {
  const text = refused
    ? "The key in use is not in force any more: it was revoked, or mistyped. Enter another."
    : "This service takes requests with an API key only. It stays in this tab until you close it.";
  return el(
    "form",
    { method: "dialog" },
    el("h2", { id: "key-title" }, refused ? "The key was refused" : "A key is needed"),
    el("p.muted", text, " ", el("code", "flask keys create"), " makes one."),
    el("label.field", "API key", input),
    el(
      "div.row",
      el("button.button", { type: "button", on: { click: cancel } }, "Not now"),
      el("button.button.primary", { type: "submit", value: "use" }, "Use this key"),
    ),
  );
}
