// Asking before something is done that cannot be taken back, or that changes what everybody sees.

import { el } from "../lib/dom.js";

/** Resolve to whether the reader agrees. */
export function confirm(title, text, verb) {
  return new Promise((resolve) => {
    const dialog = el("dialog", { "aria-labelledby": "confirm-title" });
    dialog.append(
      el(
        "form",
        { method: "dialog" },
        el("h2", { id: "confirm-title" }, title),
        el("p.muted", text),
        el(
          "div.row",
          el("button.button", { type: "submit", value: "no", autofocus: true }, "Cancel"),
          el("button.button.primary", { type: "submit", value: "yes" }, verb),
        ),
      ),
    );
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
