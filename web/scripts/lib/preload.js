// Asks at once for what a ticker's page is made of, where the address names one, rather than having
// one found in the other.
if (location.hash.startsWith("#/ticker/")) {
  for (const path of [
    "../vendor/lightweight-charts/lightweight-charts.standalone.production.mjs",
    "pages/alerts/steps.js",
    "pages/ticker/actions.js",
    "pages/ticker/acts.js",
    "pages/ticker/anomaly.js",
    "pages/ticker/chart.js",
    "pages/ticker/controls.js",
    "pages/ticker/features.js",
    "pages/ticker/gone.js",
    "pages/ticker/legend.js",
    "pages/ticker/metrics.js",
    "pages/ticker/page.js",
    "pages/ticker/pane_menu.js",
    "pages/ticker/pane_names.js",
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
  ]) {
    const link = document.createElement("link");
    link.rel = "modulepreload";
    link.href = `scripts/${path}`;
    document.head.append(link);
  }
}
