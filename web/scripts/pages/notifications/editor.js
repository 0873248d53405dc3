// The dialog in which a notification rule is made.

import { get, put } from "../../api.js";
import { el, fill } from "../../dom.js";
import { buildProse } from "../../parts/prose.js";

/** Resolve to whether a rule was stored. */
export async function openRuleEditor() {
  const { items: watchlists } = await get("/watchlists", { limit: 500 });
  return new Promise((resolve) => {
    const fields = buildFields(watchlists);
    const dialog = el("dialog.wide", { "aria-labelledby": "rule-title" });
    const problem = el("div", { role: "alert" });
    const submit = async (event) => {
      event.preventDefault();
      const { name, ...body } = fields.read();
      try {
        await put(`/notifications/rules/${encodeURIComponent(name)}`, body);
        dialog.close("stored");
      } catch (error) {
        fill(problem, el("p.notice.bad", el("span", buildProse(error.message))));
      }
    };
    dialog.append(
      el(
        "form",
        { on: { submit } },
        el("h2", { id: "rule-title" }, "New rule"),
        fields.nodes,
        problem,
        el(
          "div.row",
          el("button.button", { type: "button", on: { click: () => dialog.close() } }, "Cancel"),
          el("button.button.primary", { type: "submit" }, "Make it"),
        ),
      ),
    );
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "stored");
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

function buildFields(watchlists) {
  const name = el("input", { required: true, maxlength: 64, autocomplete: "off" });
  const channel = el("input", {
    required: true,
    maxlength: 1000,
    autocomplete: "off",
    spellcheck: "false",
    placeholder: "slack://TOKEN_A/TOKEN_B/TOKEN_C",
  });
  const grade = el("input", { type: "number", min: 0, max: 100, step: "any", value: 75, required: true });
  const watchlist = el(
    "select",
    el("option", { value: "" }, "all tickers"),
    watchlists.map((each) => el("option", { value: each.name }, each.name)),
  );
  const [from, until] = [el("input", { type: "time" }), el("input", { type: "time" })];
  const backfills = el("input", { type: "checkbox" });
  const failures = el("input", { type: "checkbox", checked: true });
  const read = () => ({
    name: name.value.trim(),
    channel: channel.value.trim(),
    min_grade: Number(grade.value),
    watchlist: watchlist.value || null,
    quiet_from: from.value || null,
    quiet_until: until.value || null,
    timezone: Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC",
    backfills: backfills.checked,
    failures: failures.checked,
  });
  return {
    read,
    nodes: [
      el("label.field", "Name", name),
      el("label.field", "Channel, as apprise writes it: mailtos://, slack://, line://, json://, …", channel),
      el(
        "div.row.fields",
        el("label.field", "From grade", grade),
        el("label.field", "Of", watchlist),
        el("label.field", "Quiet from", from),
        el("label.field", "until", until),
      ),
      el("label.row", backfills, "Tell of backfills too"),
      el("label.row", failures, "Tell of runs that failed"),
    ],
  };
}
