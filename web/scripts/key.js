// The API key of this browser tab. It is kept for the session only, and asked for when the API wants one.

import { el } from "./dom.js";

const SLOT = "tapewatch.key";
let asking = null;

export const readKey = () => sessionStorage.getItem(SLOT);

/** Ask for a key; resolves to whether one was given. Callers at the same time share one question. */
export function askForKey() {
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
      { "aria-labelledby": "key-title" },
      buildForm(input, refused, () => dialog.close()),
    );
    dialog.addEventListener("close", () => {
      const key = dialog.returnValue === "use" ? input.value.trim() : "";
      if (key) sessionStorage.setItem(SLOT, key);
      dialog.remove();
      resolve(key !== "");
    });
    document.body.append(dialog);
    dialog.showModal();
  });
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
