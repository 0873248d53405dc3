// Light or dark: the system's preference, until the reader chooses.

import { el } from "../lib/dom.js";

const SLOT = "tapewatch.theme";

export const isDark = () => {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
};

/** Call `listener` whenever the theme changes, by choice or by the system, until `signal`
 * aborts. */
export function onTheme(listener, signal) {
  document.addEventListener("themechange", listener, { signal });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", listener, { signal });
}

/** Resolve colours of the style sheet for drawing on a canvas: readColours("up", "down") is {up:
 * "rgb(…)", down: …}. */
export function readColours(...names) {
  const probe = el("i", { hidden: true });
  document.body.append(probe);
  const colours = Object.fromEntries(
    names.map((name) => {
      probe.style.color = `var(--${name})`;
      return [name, getComputedStyle(probe).color];
    }),
  );
  probe.remove();
  return colours;
}

export function buildThemeSwitch() {
  const button = el(
    "button.button.icon",
    { type: "button", "aria-label": "Dark theme", title: "Light or dark" },
    "◐",
  );
  const mark = () => button.setAttribute("aria-pressed", String(isDark()));
  button.addEventListener("click", () => {
    const theme = isDark() ? "light" : "dark";
    document.documentElement.dataset.theme = theme;
    localStorage.setItem(SLOT, theme);
    mark();
    document.dispatchEvent(new Event("themechange"));
  });
  mark();
  return button;
}
