// Keyboard shortcuts of a page.

// Only these keys repeat while they are held; another key would act on the next alert too.
const MOVES = new Set(["j", "k"]);

/**
 * Bind keys while a page is shown; they do nothing while somebody types, or while a dialog is open.
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
