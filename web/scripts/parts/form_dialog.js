// A dialog with a form that is sent to the API; errors of the API are shown in the dialog.

import { openDialog } from "../lib/dialog.js";
import { el, fill } from "../lib/dom.js";
import { buildProse } from "./prose.js";

/**
 * Resolve to what `send()` resolves to, or to null where the reader cancels.
 * @param {{title: string, lead?: string, nodes: Node[], verb: string, send: () => Promise}} form
 */
export async function askInDialog({ title, lead, nodes, verb, send }) {
  let answer = null;
  let isSending = false; // the second click of a double click sends nothing
  const dialog = el("dialog.wide", { "aria-labelledby": "form-title" });
  const problem = el("div", { role: "alert" });
  const submit = async (event) => {
    event.preventDefault();
    if (isSending) return;
    isSending = true;
    try {
      answer = await send();
      dialog.close();
    } catch (error) {
      fill(problem, el("p.notice.bad", el("span", buildProse(error.message))));
      isSending = false;
    }
  };
  dialog.append(
    el(
      "form",
      { on: { submit } },
      el("h2", { id: "form-title" }, title),
      lead && el("p.muted", lead),
      nodes,
      problem,
      el(
        "div.row",
        el("button.button", { type: "button", on: { click: () => dialog.close() } }, "Cancel"),
        el("button.button.primary", { type: "submit" }, verb),
      ),
    ),
  );
  await openDialog(dialog);
  return answer;
}
