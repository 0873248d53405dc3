// A place where files are dropped, or chosen.

import { el } from "../lib/dom.js";

/**
 * @param {{id, accept, multiple, title, hint, take}} zone `take` is called with the files, never
 * twice with one choice
 */
export function buildDropZone({ id, accept, multiple = false, title, hint, take }) {
  const needs = { needs: "enqueue" };
  // The Tab key reaches the input, not the zone that is its label.
  const input = el("input.hidden-text", { type: "file", id, accept, multiple, data: needs });
  input.addEventListener("change", () => {
    take([...input.files]);
    input.value = "";
  });
  const zone = el(
    "label.dropzone",
    { for: id, data: needs },
    el("strong", title), el("span.muted", hint),
  );
  const over = (is) => (event) => {
    event.preventDefault();
    zone.classList.toggle("over", is);
  };
  zone.addEventListener("dragover", over(true));
  zone.addEventListener("dragleave", over(false));
  zone.addEventListener("drop", (event) => {
    over(false)(event);
    if (zone.dataset.why) return;
    take([...event.dataTransfer.files]);
  });
  return el("div.drop", input, zone);
}
