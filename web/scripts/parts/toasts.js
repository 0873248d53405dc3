// Short messages about the result of an action; screen readers read them too.

import { el } from "../lib/dom.js";
import { buildProse } from "./prose.js";

const SHOWN_MILLISECONDS = 6000;

export function say(message, kind = "") {
  const toast = el(kind ? `div.toast.${kind}` : "div.toast", {}, buildProse(message));
  document.getElementById("toasts").append(toast);
  setTimeout(() => toast.remove(), SHOWN_MILLISECONDS);
}

/**
 * Run the action of a button; a failure is shown rather than thrown. Resolves to its result, or
 * null. A keyboard user continues on the button.
 */
export async function attempt(button, action) {
  const hadFocus = document.activeElement === button;
  button.disabled = true; // which takes the focus away
  try {
    return await action();
  } catch (error) {
    if (error.name === "AbortError") return null; // the page was left
    if (error.name !== "Problem") console.error(error);
    say(error.message, "bad");
    return null;
  } finally {
    button.disabled = false;
    if (hadFocus && document.activeElement === document.body) button.focus();
  }
}
