// A question before an action that cannot be undone, or that changes what everybody sees.

import { openDialog } from "../lib/dialog.js";
import { el } from "../lib/dom.js";

/** Resolve to whether the reader agrees. */
export async function confirm(title, text, verb) {
  const dialog = el(
    "dialog",
    { "aria-labelledby": "confirm-title" },
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
  await openDialog(dialog);
  return dialog.returnValue === "yes";
}
