// Short messages on what an action came to; screen readers hear them too.

import { el } from "../lib/dom.js";
import { buildProse } from "./prose.js";

const SHOWN_MILLISECONDS = 6000;

export function say(message, kind = "") {
  const toast = el(kind ? `div.toast.${kind}` : "div.toast", {}, buildProse(message));
  document.getElementById("toasts").append(toast);
  setTimeout(() => toast.remove(), SHOWN_MILLISECONDS);
}

/** Run an action of a button; a failure is said rather than thrown. Resolves to its result, or
 * null. Whoever came by the keyboard goes on from the button. */
export async function attempt(button, action) {
  const hadFocus = document.activeElement === button;
  button.disabled = true; // which takes the focus away
  try {
    return await action();
  } catch (error) {
    if (error.name === "AbortError") return null; // it was left, and nobody waits for it
    if (error.name !== "Problem") console.error(error);
    say(error.message, "bad");
    return null;
  } finally {
    button.disabled = false;
    if (hadFocus && document.activeElement === document.body) button.focus();
  }
}
