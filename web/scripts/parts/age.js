// Relative times ("3 minutes ago") that stay correct while the page is open.

import { now } from "../lib/clock.js";
import { el } from "../lib/dom.js";
import { ago, moment } from "../lib/format.js";
import { repeat } from "../lib/live.js";

const LOOK_MILLISECONDS = 10_000;
const WORDS = {
  since: ago,
  until: (time) => (Date.parse(time) <= now() ? "now" : ago(time)),
};

/** "3 minutes ago", and a minute later "4 minutes ago"; the pointer shows the time itself. */
export const buildAge = (time) => build(time, "since");

/** "in 3 minutes", and "now" where it is due. */
export const buildNext = (time) => build(time, "until");

const build = (time, age) =>
  time
    ? el("time", { datetime: time, title: moment(time), data: { age } }, WORDS[age](time))
    : ago(time);

/** Update all relative times of the page regularly. */
export const watchAges = (signal) => repeat(LOOK_MILLISECONDS, update, signal);

async function update() {
  for (const node of document.querySelectorAll("time[data-age]")) {
    const text = WORDS[node.dataset.age](node.dateTime);
    if (node.textContent !== text) node.textContent = text;
  }
}
