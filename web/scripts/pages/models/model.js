// One version of a model: what it learned from, with which parameters.

import { el } from "../../lib/dom.js";
import { barTime, count, moment, nameSome, plural, words } from "../../lib/format.js";
import { linkTo } from "../../lib/router.js";
import { buildFacts } from "../../parts/facts.js";
import { linkTicker } from "../../parts/table.js";
import { buildPromotion, buildRetirement, isChampionOf } from "./actions.js";
import { buildJudging } from "./judging.js";
import { buildState } from "./state.js";

const LISTED = 60;

export function drawModel(model, refresh, signal) {
  const judging = buildJudging(model, signal);
  return [
    el("p.crumb", el("a", { href: linkTo("models") }, "Models")),
    el(
      "div.head",
      el(
        "div.row",
        el("h1", model.version),
        buildState(model),
        model.synthetic && el("span.badge.warn", "synthetic bars"),
      ),
      el(
        "div.row",
        judging.button,
        !isChampionOf(model.market, model) &&
          model.state !== "retired" &&
          buildPromotion(model, refresh),
        model.state === "candidate" && buildRetirement(model, refresh),
      ),
    ),
    model.bars_gone.length > 0 && drawGone(model.bars_gone),
    el(
      "div.columns.even",
      el("section.card", el("header", el("h2", "Training")), el("div.body", drawTraining(model))),
      el("section.card", el("header", el("h2", "Detector")), el("div.body", drawDetector(model))),
    ),
    judging.card,
    el(
      "section.card.below",
      el("header", el("h2", `Learned from ${plural(model.tickers.length, "ticker")}`)),
      el(
        "ul.chips.body",
        model.tickers
          .slice(0, LISTED)
          .map(({ ticker, rows }) =>
            el(
              "li",
              linkTicker(ticker, { interval: model.interval }),
              el("span.muted.number", ` ${count(rows)}`),
            ),
          ),
        model.tickers.length > LISTED &&
          el("li.muted", `and ${count(model.tickers.length - LISTED)} more`),
      ),
    ),
    model.left_out.length > 0 &&
      el(
        "section.card.below",
        el("header", el("h2", "Left out")),
        el(
          "ul.chips.body",
          model.left_out
            .slice(0, LISTED)
            .map(({ ticker, reason }) => el("li", `${ticker}: ${words(reason)}`)),
          model.left_out.length > LISTED &&
            el("li.muted", `and ${count(model.left_out.length - LISTED)} more`),
        ),
      ),
  ];
}

/** Bars that the model learned from and that are no longer stored. */
function drawGone(gone) {
  const named = nameSome(
    gone.map(({ ticker, kind, at }) => `${ticker} (${kind} on ${barTime(at, "1d")})`),
    LISTED,
  );
  return el(
    "p.notice.warn",
    el(
      "span",
      `Bars that it learned from are gone: ${named}. It is kept, and cannot be made anew.`,
    ),
  );
}

function drawTraining(model) {
  return buildFacts({
    Market: model.market,
    Interval: model.interval,
    Window:
      `${barTime(model.window_start, model.interval)} to ` +
      `${barTime(model.window_end, model.interval)}`,
    Bars: count(model.rows),
    Seed: model.seed,
    "Champion of": model.champion_of
      .map((id) => id.replace("champion::", "").replaceAll("::", " "))
      .join(", "),
    Run:
      model.training_run_id &&
      el(
        "a",
        { href: linkTo("runs", model.training_run_id) },
        el("code", model.training_run_id.slice(0, 8)),
      ),
    Made: moment(model.created_at),
    Promoted: model.promoted_at && moment(model.promoted_at),
    Retired: model.retired_at && moment(model.retired_at),
  });
}

function drawDetector(model) {
  const write = (values) =>
    Object.entries(values).map(([name, value]) =>
      el(
        "div",
        `${words(name)} `,
        el(
          "code",
          value !== null && typeof value === "object"
            ? Object.values(value).join(" ")
            : String(value),
        ),
      ),
    );
  return buildFacts({
    "Feature set": model.feature_set,
    Columns: model.columns.join(", "),
    "Warm-up": plural(model.warm_up_bars, "bar"),
    Threshold: el("code", String(model.threshold)),
    ...Object.fromEntries(
      Object.entries(model.by_market).map(([market, own]) => [
        `Of ${market}`,
        el("code", String(own.threshold)),
      ]),
    ),
    Parameters: write(model.parameters),
    Hash: el("code", model.sha256),
    Libraries: write(model.library_versions),
  });
}
