// The controls above the chart: the visible period, and the panes.

import { isIntraday } from "../../lib/intervals.js";
import { keepInUrl } from "../../lib/router.js";
import { buildChoice } from "../../parts/choice.js";
import { say } from "../../parts/toasts.js";
import { buildPaneMenu, writePanes } from "./pane_menu.js";
import { listAsked } from "./pane_names.js";

const ALL = "max";
const DAILY = [
  ["3mo", "3 months"],
  ["1y", "1 year"],
  ["5y", "5 years"],
  [ALL, "All"],
];
const INTRADAY = [
  ["5d", "5 days"],
  ["1mo", "1 month"],
  ["3mo", "3 months"],
  [ALL, "All"],
];

/**
 * @param {object} chart from `buildPriceChart`
 * @param {{interval: string, period: string|null, panes: string[]}} asked what the URL says; its
 * panes follow the choice
 * @param {() => Promise<object>} loadHistory what is drawn with these panes
 * @returns {{node: Node[], showPeriod: () => void}}; `showPeriod` shows the stretch that was
 * asked for
 */
export function buildControls(chart, asked, loadHistory, signal) {
  const periods = isIntraday(asked.interval) ? INTRADAY : DAILY;
  const period = periods.some(([known]) => known === asked.period) ? asked.period : ALL;
  const choose = (chosen) => {
    keepInUrl({ period: chosen === ALL ? null : chosen });
    chart.showPeriod(chosen);
  };
  const choice = buildChoice("Period shown", periods, null, choose);
  chart.onMoved(() => choice.press(null));
  let latest = 0;
  const showPanes = async (panes) => {
    const turn = ++latest; // a choice may change before its lines have arrived
    asked.panes = panes;
    keepInUrl({ panes: writePanes(panes) });
    const { indicators } = listAsked(panes).length ? await loadHistory() : { indicators: {} };
    if (turn === latest && !signal.aborted) chart.setPanes(panes, indicators);
  };
  const menu = buildPaneMenu(
    asked.panes,
    (panes) => showPanes(panes).catch((error) => say(error.message, "bad")),
    signal,
  );
  return {
    node: [choice.node, menu],
    showPeriod() {
      choice.press(period);
      chart.showPeriod(period);
    },
  };
}
