// Sentences of the API: what stands between back quotes is code.

import { el } from "../lib/dom.js";

export const buildProse = (text) =>
  text.split("`").map((part, n) => (n % 2 ? el("code", part) : part));
