// The look of every Lightweight Charts chart, and its credit.

import {
  ColorType,
  CrosshairMode,
} from "../../vendor/lightweight-charts/lightweight-charts.standalone.production.mjs";
import { el } from "../lib/dom.js";
import { isIntraday } from "../lib/intervals.js";

export function buildChartOptions(interval) {
  return {
    layout: {
      attributionLogo: false,
      fontFamily: getComputedStyle(document.body).fontFamily,
      fontSize: 11,
      background: { type: ColorType.Solid, color: "transparent" },
    },
    crosshair: { mode: CrosshairMode.Normal },
    rightPriceScale: { borderVisible: false },
    timeScale: {
      borderVisible: false,
      timeVisible: isIntraday(interval),
      minBarSpacing: 0.05,
      // A series says by itself whether it is: lines and columns would lose all but the last value.
      enableConflation: true,
      conflationThresholdFactor: 0,
      rightOffset: 4,
    },
    localization: { locale: "en-GB" },
    handleScale: { axisPressedMouseMove: true },
  };
}

export function paintChart(chart, colours) {
  chart.applyOptions({
    layout: {
      textColor: colours.muted,
      panes: { separatorColor: colours.line, separatorHoverColor: colours.grid },
    },
    grid: { vertLines: { color: colours.grid }, horzLines: { color: colours.grid } },
  });
}

export function buildCredit(logo) {
  return el(
    "a.credit",
    {
      href: "https://www.tradingview.com/",
      rel: "noopener noreferrer",
      target: "_blank",
      title: "Charting by TradingView",
    },
    logo,
  );
}
