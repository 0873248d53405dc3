// Previewing a file before anything of it is stored: its first rows, which column is which, and
// what must be decided.

import { upload } from "../../lib/api.js";
import { el, fill } from "../../lib/dom.js";
import { count, plural } from "../../lib/format.js";
import { INTERVALS } from "../../lib/intervals.js";
import { buildProse } from "../../parts/prose.js";
import { buildSelect } from "../../parts/select.js";
import { buildFailure, buildSkeleton } from "../../parts/states.js";

const FIELDS = [
  ["", "left aside"],
  ["time", "time"],
  ["clock", "time of day"],
  ["ticker", "ticker"],
  ["open", "open"],
  ["high", "high"],
  ["low", "low"],
  ["close", "close"],
  ["volume", "volume"],
  ["split", "split"],
  ["interval", "interval"],
  ["finished", "finished or not"],
];
const DECIMALS = [
  ["", "as the file settles"],
  ["point", "point: 1,234.5"],
  ["comma", "comma: 1.234,5"],
];
const ORDERS = [
  ["", "as the file settles"],
  ["true", "day first"],
  ["false", "month first"],
];
const LABELS = [
  ["", "its start"],
  ["end", "its end"],
  ["start", "its start, even if it looks otherwise"],
];
export const AS_SPACED = "auto";
const UNCHOSEN = { decimal: "", day_first: "", timezone: "", labels: "", ticker: "" };
const USUAL_INTERVAL = "1d";
const MOST_PREVIEWED = 32 * 2 ** 20;

// Files are previewed one after another, because the server does few at once.
let turn = Promise.resolve();

/** Add the reader's choices about a file to a form. */
export function fillForm(form, file, choices) {
  const columns = Object.fromEntries(Object.entries(choices.columns).filter(([name]) => name));
  if (Object.keys(columns).length > 0) form.append("columns", JSON.stringify(columns));
  for (const name of ["decimal", "day_first", "timezone", "labels"])
    if (choices[name]) form.append(name, choices[name]);
  form.append("file", file);
  return form;
}

/**
 * Show a file and ask what it leaves open. Resolves to what was chosen, or to null where the
 * file is left out.
 * @param {File} file
 * @param {HTMLElement} node where it is shown
 */
export function askAbout(file, node) {
  const choices = { ...UNCHOSEN, columns: {} };
  return new Promise((resolve) => {
    let asked = 0;
    const end = (answer) => () => {
      asked += 1; // the answer to an earlier choice is no longer drawn
      resolve(answer);
    };
    // Of choices in quick succession only the last is previewed and drawn.
    const show = () => {
      const mine = ++asked;
      turn = turn.then(() => (mine === asked ? load(mine) : null));
      return turn;
    };
    const load = async (mine) => {
      node.setAttribute("aria-busy", "true");
      try {
        if (file.size > MOST_PREVIEWED) return resolve(choices);
        const preview = await upload("/data/preview", fillForm(new FormData(), file, choices));
        if (mine !== asked) return null;
        // A choice redraws everything; a keyboard user continues at the same control.
        const at = listChoices(node).indexOf(document.activeElement);
        fill(node, buildCard(file, preview, choices, show, end));
        if (at >= 0) listChoices(node)[at]?.focus({ preventScroll: true });
      } catch (error) {
        if (mine !== asked) return null;
        fill(
          node,
          el("p", el("strong", file.name)),
          // The error may be about an earlier choice, which is no longer shown.
          buildFailure(error, () => {
            Object.assign(choices, UNCHOSEN, { columns: {} });
            show();
          }),
          buildButton("Leave it out", end(null)),
        );
      } finally {
        node.removeAttribute("aria-busy");
      }
      return null;
    };
    fill(node, el("p", `Looking at ${file.name}`), buildSkeleton(3));
    show();
  });
}

function buildCard(file, preview, choices, show, end) {
  const choose = (name) => (value) => {
    choices[name] = value;
    show();
  };
  choices.ticker ||= preview.ticker ?? "";
  const ticker = el("input", {
    value: choices.ticker,
    maxlength: 20,
    size: 12,
    autocomplete: "off",
    required: true,
  });
  const submit = (event) => {
    event.preventDefault();
    choices.ticker = preview.read?.has_ticker ? "" : ticker.value.trim();
    end(choices)();
  };
  ticker.addEventListener("input", () => {
    choices.ticker = ticker.value.trim();
  });
  return el(
    "form.preview.stack.tight",
    { "aria-label": `Preview of ${file.name}`, on: { submit } },
    el("p", el("strong", file.name), el("span.muted", ` ${summarize(preview)}`)),
    preview.problem &&
      el("p.notice.warn", { role: "alert" }, el("span", buildProse(preview.problem))),
    buildRows(preview, choices, show),
    preview.notes.length > 0 &&
      el(
        "ul.muted.plain",
        preview.notes.map((note) => el("li", note)),
      ),
    el(
      "div.row",
      buildSelect("Decimals", DECIMALS, choices.decimal, choose("decimal")),
      buildSelect("03/04/2024", ORDERS, choices.day_first, choose("day_first")),
      buildZone(choices, choose("timezone")),
      buildSelect("A bar's time is", LABELS, choices.labels, choose("labels")),
      buildInterval(preview, choices),
      !preview.read?.has_ticker && el("label.field", "Ticker", ticker),
    ),
    el(
      "div.row",
      el("button.button.primary", { type: "submit", disabled: preview.problem !== null }, "Import"),
      buildButton("Leave it out", end(null)),
    ),
  );
}

function summarize({ read, parts }) {
  const rows = read ? `${plural(read.rows, "row")}${countUnread(read)}` : "not readable yet";
  return parts.length > 1 ? `${rows} in the first of ${plural(parts.length, "file")}` : rows;
}

/** ", of which 2 have a time and 1 has a number that cannot be read" */
function countUnread({ rows, times, numbers }) {
  const have = (number, what) =>
    number > 0 && `${count(number)} ${number === 1 ? "has" : "have"} a ${what}`;
  const unread = [have(rows - times, "time"), have(rows - numbers, "number")].filter(Boolean);
  return unread.length > 0 ? `, of which ${unread.join(" and ")} that cannot be read` : "";
}

/** The first rows, below a choice for each column of what it is. */
function buildRows({ columns, rows }, choices, show) {
  const heads = columns.map((column) =>
    el("th", { scope: "col" }, buildField(column, choices, show)),
  );
  return el(
    "div.scroll",
    { tabindex: 0, role: "region", "aria-label": "First rows" },
    el(
      "table.table.first-rows",
      el("thead", el("tr", heads)),
      el(
        "tbody",
        rows.map((row) =>
          el(
            "tr",
            row.map((cell) => el("td.nowrap", cell)),
          ),
        ),
      ),
    ),
  );
}

function buildField(column, choices, show) {
  const choose = (field) => {
    for (const [name, position] of Object.entries(choices.columns))
      if (position === String(column.position)) delete choices.columns[name];
    // Otherwise its name would repeat what it is.
    if (!field && column.field) choices.columns[column.field] = "";
    if (field) choices.columns[field] = String(column.position);
    show();
  };
  return buildSelect(column.name || "(no name)", FIELDS, column.field ?? "", choose);
}

/**
 * The interval of the bars' spacing, unless another is chosen; days if the spacing does not tell.
 */
function buildInterval({ read, parts }, choices) {
  const found = read?.interval;
  const spaced = parts.length > 1 ? "as spaced" : `as spaced: ${found}`;
  const known = INTERVALS.map((one) => [one, one]);
  const options = found ? [[AS_SPACED, spaced], ...known] : known;
  choices.usual = found ? AS_SPACED : USUAL_INTERVAL;
  const chosen = choices.interval === AS_SPACED ? null : choices.interval;
  return buildSelect("Interval", options, chosen ?? choices.usual, (value) => {
    choices.interval = value;
  });
}

function buildZone(choices, choose) {
  const input = el("input", {
    value: choices.timezone,
    maxlength: 60,
    size: 18,
    placeholder: "the exchange's",
    autocomplete: "off",
  });
  input.addEventListener("change", () => choose(input.value.trim()));
  return el("label.field", "Zone of times without one", input);
}

const listChoices = (node) => [...node.querySelectorAll("select, input")];
const buildButton = (text, click) => el("button.button", { type: "button", on: { click } }, text);
