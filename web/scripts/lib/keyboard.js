// What single keys do on a page.

// Of the keys that are held these go on; each other one would be taken of the next alert too.
const MOVES = new Set(["j", "k"]);

/**
 * Have keys do something for as long as a page is shown: not while somebody types, nor over a
 * dialog.
 * @param {{[key: string]: () => void}} keys
 */
export function listenToKeys(keys, signal) {
  const listen = (event) => {
    const isTyping = event.target.closest?.("input:not([type=checkbox]), select, textarea, dialog");
    const isOther = event.ctrlKey || event.metaKey || event.altKey;
    if (isTyping || isOther || !Object.hasOwn(keys, event.key)) return;
    if (document.querySelector("dialog[open]")) return;
    event.preventDefault();
    if (!event.repeat || MOVES.has(event.key)) keys[event.key]();
  };
  document.addEventListener("keydown", listen, { signal });
}
