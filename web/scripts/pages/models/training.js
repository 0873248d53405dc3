// Training a version: requested in a dialog and followed to its end, also if the page is opened
// while one is running.

import { SHARED } from "../../lib/access.js";
import { get, post } from "../../lib/api.js";
import { el, fill } from "../../lib/dom.js";
import { words } from "../../lib/format.js";
import { newIdentifier } from "../../lib/identifier.js";
import { followRun, isOpen } from "../../lib/live.js";
import { getMarkets } from "../../lib/markets.js";
import { linkTo } from "../../lib/router.js";
import { askInDialog } from "../../parts/form_dialog.js";
import { buildProse } from "../../parts/prose.js";
import {
  buildProgress,
  buildStatus,
  describeOutcome,
  describeRun,
} from "../../parts/run_progress.js";
import { say } from "../../parts/toasts.js";

const INTERVALS = ["1d", "1w", "1h", "4h", "30m", "15m", "5m", "1m"];

/**
 * @param {() => void} refresh called whenever a training has ended
 * @returns {{button: Node, strip: Node}} what asks for one, and where it shows how far it is
 */
export function buildTraining(refresh, signal) {
  const strip = el("section.run-strip", { hidden: true, "aria-label": "Training" });
  const follow = async (id) => {
    const ended = await followRun(id, buildStrip(strip), signal);
    if (!ended) return;
    const outcome = `${describeRun(ended)}: ${describeOutcome(ended)}`;
    if (ended.status !== "complete") {
      // A failure stays on the page, because a message would disappear before it is read.
      fill(
        strip,
        el(
          "p.notice.bad",
          el("span", buildProse(outcome), " ", el("a", { href: linkTo("runs", id) }, "Its run")),
        ),
      );
      return;
    }
    say(outcome, "ok");
    ended.warnings.forEach((warning) => say(warning));
    refresh();
  };
  const button = el(
    "button.button.primary",
    { type: "button", data: { needs: "enqueue" } },
    "Train a model",
  );
  button.addEventListener("click", () =>
    openDialog()
      .then((id) => id && follow(id))
      .catch((error) => say(error.message, "bad")),
  );
  findOpenTraining(signal)
    .then((run) => run && follow(run._id))
    .catch(() => {});
  return { button, strip };
}

async function findOpenTraining(signal) {
  const { items } = await get("/detection-runs", { task: "train", limit: 5 }, signal);
  return items.find(isOpen);
}

function buildStrip(node) {
  const bar = buildProgress("Progress of the training");
  const head = el("div.row.spread");
  fill(node, head, bar.node);
  node.hidden = false;
  return (run) => {
    fill(
      head,
      el("a.run-name", { href: linkTo("runs", run._id) }, describeRun(run)),
      buildStatus(run),
    );
    bar.update(run);
  };
}

/** Resolve to the id of the run that was asked for, or null. */
async function openDialog() {
  const [markets, { detectors }] = await Promise.all([getMarkets(), get("/detectors")]);
  const fields = buildFields(
    markets.filter((market) => market.series > 0 || market.code === "US"),
    detectors,
  );
  const key = newIdentifier();
  return askInDialog({
    title: "Train a model",
    lead:
      "It learns what is usual from all stored bars of its market, and is kept as a " +
      "version of its own. One of all markets serves those that have none.",
    nodes: fields.nodes,
    verb: "Train",
    send: async () => (await post("/models/train", fields.read(), { key })).run_id,
  });
}

function buildFields(markets, detectors) {
  const market = buildOptions([...markets.map(({ code }) => code), "ALL"]);
  market.lastChild.textContent = "all markets";
  const interval = buildOptions(INTERVALS);
  const share = buildNumber({ min: 0.01, max: 10, step: "any", placeholder: "as usual" });
  const detector = buildOptions(
    detectors.map(({ name }) => name),
    detectors.find(({ is_default }) => is_default).name,
  );
  const summary = el("p.muted");
  const own = el("div.row.fields");
  let parameters = [];
  const choose = () => {
    const chosen = detectors.find(({ name }) => name === detector.value);
    fill(summary, `Finds strange: ${chosen.summary}.`);
    parameters = chosen.parameters.map(({ name, low, high, choices, meaning, ...rest }) => ({
      name,
      meaning,
      input: choices.length
        ? buildText(`choices-of-${name}`, { placeholder: rest.default })
        : buildNumber({ min: low, max: high, placeholder: rest.default }),
      choices,
    }));
    fill(
      own,
      ...parameters.map(({ name, meaning, input, choices }) =>
        el(
          "label.field",
          words(name),
          input,
          choices.length > 0 &&
            el(
              "datalist",
              { id: `choices-of-${name}` },
              choices.map((value) => el("option", { value })),
            ),
          el("span.muted", meaning),
        ),
      ),
    );
  };
  detector.addEventListener("change", choose);
  choose();
  const promote = el("input", { type: "checkbox" });
  const read = () => ({
    market: market.value,
    interval: interval.value,
    ...(share.value && { contamination: Number(share.value) / 100 }),
    detector: detector.value,
    ...Object.fromEntries(
      parameters
        .filter(({ input }) => input.value)
        .map(({ name, input }) => [
          name,
          input.type === "number" ? Number(input.value) : input.value,
        ]),
    ),
    ...(promote.checked && { promote: true }),
  });
  return {
    read,
    nodes: [
      el(
        "div.row.fields",
        el("label.field", "Market", market),
        el("label.field", "Interval", interval),
        el("label.field", "Bars to flag, in %", share),
        el("label.field", "Detector", detector),
      ),
      summary,
      own,
      el(
        "label.tick",
        { data: SHARED },
        promote,
        "Put it in use at once; without this only where the market has no champion for the " +
          "interval",
      ),
    ],
  };
}

const buildNumber = (limits) => el("input", { type: "number", ...limits });
const buildText = (list, rest) => el("input", { type: "text", list, autocomplete: "off", ...rest });
const buildOptions = (values, chosen) =>
  el(
    "select",
    values.map((value) => el("option", { value, selected: value === chosen }, value)),
  );
