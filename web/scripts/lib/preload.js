// Loads the scripts of the page in the address at once and in parallel with the shared ones, so
// that the browser need not discover one through another.
{
  const scripts = {
    overview: [
      "lib/schedules.js",
      "pages/overview/anomalies.js",
      "pages/overview/lanes.js",
      "pages/overview/markets.js",
      "pages/overview/page.js",
      "pages/overview/runs.js",
      "pages/overview/tickers.js",
      "parts/hint.js",
      "parts/more.js",
      "parts/sparkline.js",
      "parts/swim_lane.js",
      "parts/time_axis.js",
    ],
    ticker: [
      "../vendor/lightweight-charts/lightweight-charts.standalone.production.mjs",
      "pages/alerts/steps.js",
      "pages/ticker/actions.js",
      "pages/ticker/acts.js",
      "pages/ticker/anomaly.js",
      "pages/ticker/chart.js",
      "pages/ticker/controls.js",
      "pages/ticker/gone.js",
      "pages/ticker/legend.js",
      "pages/ticker/metrics.js",
      "pages/ticker/page.js",
      "pages/ticker/pane_menu.js",
      "pages/ticker/panes.js",
      "pages/ticker/regime_band.js",
      "pages/ticker/selection.js",
      "pages/ticker/status.js",
      "pages/ticker/verification.js",
      "pages/ticker/view.js",
      "pages/watchlists/suggestion.js",
      "pages/watchlists/watchlist.js",
      "parts/chart_look.js",
      "parts/compute.js",
      "parts/confirmation.js",
      "parts/facts.js",
      "parts/form_dialog.js",
      "parts/regimes.js",
      "parts/verdicts.js",
    ],
  };
  const page = location.hash.split(/[/?]/)[1] || "overview";
  for (const path of Object.hasOwn(scripts, page) ? scripts[page] : []) {
    const link = document.createElement("link");
    link.rel = "modulepreload";
    // A ticker's page asks the API at the same time, because the answers take longer than its
    // scripts.
    link.fetchPriority = page === "ticker" ? "low" : "auto";
    link.href = `scripts/${path}`;
    document.head.append(link);
  }
}
