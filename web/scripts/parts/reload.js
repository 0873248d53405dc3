// The offer to reload a tab that has another version than the service.

import { el } from "../lib/dom.js";

export const UPGRADED = "The service was upgraded after this tab was opened.";

export const buildReload = () =>
  el(
    "button.button.small",
    { type: "button", on: { click: () => location.reload() } },
    "Load it anew",
  );
