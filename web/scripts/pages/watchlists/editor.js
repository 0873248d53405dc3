// The dialog in which a watchlist is made or changed.

import { Problem, post, put } from "../../lib/api.js";
import { el, fill } from "../../lib/dom.js";
import { plural } from "../../lib/format.js";
import { INTERVALS } from "../../lib/intervals.js";
import { askInDialog } from "../../parts/form_dialog.js";
import { buildSelect } from "../../parts/select.js";
import { describeThreshold, matchVersion } from "./watchlist.js";

const NEW = {
  name: "",
  tickers: [],
  interval: "1d",
  schedule: "after_close",
  delay_minutes: 5,
  threshold: null,
  source: "none",
  folder: null,
  with_overview: false,
  enabled: true,
};
const EVERY_BAR = "after_close";
const SOURCES = [
  ["none", "I bring them"],
  ["yahoo", "from Yahoo"],
  ["folder", "from a folder"],
  ["feed", "by the feed"],
];
const SCHEDULES = [
  [EVERY_BAR, "after each bar"],
  ["cron", "by cron"],
];

/** Resolve to what was stored, or null. @param {object|null} watchlist null makes a new one */
export function openEditor(watchlist) {
  const fields = buildFields(watchlist ?? NEW, watchlist === null);
  return askInDialog({
    title: watchlist ? `Watchlist ${watchlist.name}` : "New watchlist",
    nodes: fields.nodes,
    verb: watchlist ? "Save" : "Make it",
    send: () => store(watchlist, fields.read()),
  });
}

async function store(watchlist, { name, ...body }) {
  if (watchlist === null) return post("/watchlists", { name, ...body });
  const path = `/watchlists/${encodeURIComponent(watchlist.name)}`;
  const changed = { ...body, enabled: watchlist.enabled };
  try {
    return await put(path, changed, matchVersion(watchlist));
  } catch (error) {
    if (error.status !== 412) throw error;
    const text = "Somebody else changed it meanwhile, and this would take that back. Copy what " +
      "you need from here, cancel, and edit it as it is now.";
    throw new Problem(412, error.reason, text);
  }
}

function buildFields(watchlist, isNew) {
  const name = el("input", {
    value: watchlist.name,
    required: true,
    maxlength: 64,
    disabled: !isNew,
    autocomplete: "off",
  });
  const tickers = el(
    "textarea",
    { rows: 4, required: true, spellcheck: "false", placeholder: "AAPL, MSFT, ^GSPC" },
    watchlist.tickers.join(", "),
  );
  const counted = el("span");
  const interval = el(
    "select",
    INTERVALS.map((value) =>
      el("option", { value, selected: value === watchlist.interval }, value),
    ),
  );
  const cron = el("input", {
    value: watchlist.schedule === EVERY_BAR ? "" : watchlist.schedule,
    required: true,
    placeholder: "0 18 * * 1-5",
    autocomplete: "off",
    spellcheck: "false",
  });
  const delay = el("input", {
    type: "number",
    min: 0,
    max: 1440,
    required: true,
    value: watchlist.delay_minutes,
  });
  const cronField = el("label.field", "Cron, in the first market's time", cron);
  const delayField = el("label.field", "Minutes after the close", delay);
  const schedule = buildSelect(
    "Scanned",
    SCHEDULES,
    watchlist.schedule === EVERY_BAR ? EVERY_BAR : "cron",
    (kind) => showFields(kind),
  );
  const showFields = (kind) => {
    cronField.hidden = cron.disabled = kind !== "cron";
    delayField.hidden = delay.disabled = kind === "cron";
  };
  showFields(watchlist.schedule === EVERY_BAR ? EVERY_BAR : "cron");
  // settings that only the command line changes stay
  const hasOtherKind = watchlist.threshold?.kind !== undefined;
  const grade = el("input", {
    type: "number",
    min: 1,
    max: 100,
    step: "any",
    value: hasOtherKind ? "" : (watchlist.threshold ?? ""),
    placeholder: hasOtherKind ? describeThreshold(watchlist.threshold) : "the model's",
  });
  const confidence = el("input", {
    type: "number",
    min: 0,
    max: 100,
    value: Math.round(100 * (watchlist.min_confidence ?? 0)),
  });
  const folder = el("input", {
    value: watchlist.folder ?? "",
    required: true,
    placeholder: "prices",
  });
  const folderField = el("label.field", "Folder", folder);
  let source = watchlist.source;
  const showFolder = (chosen) => {
    source = chosen;
    folderField.hidden = folder.disabled = chosen !== "folder";
  };
  showFolder(source);
  const overview = el("input", { type: "checkbox", checked: watchlist.with_overview });
  const tell = () => fill(counted, `${plural(readSymbols(tickers.value).length, "ticker")}`);
  tickers.addEventListener("input", tell);
  tell();
  const read = () => ({
    name: name.value.trim(),
    tickers: readSymbols(tickers.value),
    interval: interval.value,
    schedule: cron.disabled ? EVERY_BAR : cron.value.trim(),
    delay_minutes: Number(delay.value),
    threshold: grade.value !== "" ? Number(grade.value) : hasOtherKind ? watchlist.threshold : null,
    min_confidence: Number(confidence.value) / 100,
    source,
    folder: folder.disabled ? null : folder.value.trim(),
    with_overview: overview.checked,
  });
  return {
    read,
    nodes: [
      el("label.field", "Name", name),
      el("label.field", el("span.row.spread", "Tickers, pasted", counted), tickers),
      el(
        "div.row.fields",
        el("label.field", "Interval", interval),
        schedule,
        cronField,
        delayField,
        el("label.field", "Anomaly from grade", grade),
        el("label.field", "Alerts from confidence, in %", confidence),
        buildSelect("Bars come", SOURCES, source, showFolder),
        folderField,
      ),
      el("label.tick", overview, "Say with each scan what the markets did"),
    ],
  };
}

/** The symbols in a pasted text, whatever separates them; each once. */
function readSymbols(text) {
  return [
    ...new Set(
      text
        .toUpperCase()
        .split(/[\s,;|"']+/)
        .filter(Boolean),
    ),
  ];
}
