// Making elements. Text always goes in as text nodes, so data never becomes markup.
// Styles are set as custom properties through the CSSOM, which a strict Content-Security-Policy
// allows.

const SVG = "http://www.w3.org/2000/svg";
const PARTS = "section, article"; // of a page, each with a name
const HEADINGS = "h2, h3";
const NAMES = ["aria-label", "aria-labelledby", "name"];

/**
 * Make an HTML element: el("a.button", { href: "#/" }, "Overview").
 * @param {string} tag name, with classes after dots
 * @param {...(object|Node|string|number|null|false|Array)} parts attributes, if it has any, then
 * children. Among the
 * attributes are `on` {event: listener}, `vars` {"--name": value} and `data` {name: value}; true
 * sets an empty one;
 *   false, null and undefined leave it out, as they do a child
 */
export function el(tag, ...parts) {
  return build(document.createElement(tag.split(".")[0]), tag, parts);
}

/** Make an SVG element; arguments as for `el`. */
export function svg(tag, ...parts) {
  return build(document.createElementNS(SVG, tag.split(".")[0]), tag, parts);
}

/**
 * Replace all children of a node. The focus stays where it is, or goes to the element that replaces
 * the focused one: a page that redraws itself must not throw a keyboard user back to its top.
 */
export function fill(node, ...children) {
  const wanted = children.flat(Infinity).filter(isShown).map(toNode);
  const had = [...node.childNodes];
  if (wanted.length === had.length && wanted.every((child, at) => child === had[at])) return node;
  const restore = keepFocus(node);
  node.replaceChildren(...wanted);
  restore();
  return node;
}

/** Return a function that puts the focus back into a node whose children were replaced. */
function keepFocus(node) {
  const held = document.activeElement;
  if (held === node || !node.contains(held)) return () => {};
  const part = held.closest(PARTS);
  return () => {
    // Never a button of another part: it may have the same name but acts on something else.
    const now = !part || part.isConnected ? part : findLike(part, node, PARTS);
    const root = part ? now : node;
    const kind = `${held.localName}:not(:disabled)`;
    const next = held.isConnected ? held : root && findLike(held, root, kind);
    if (next) next.focus({ preventScroll: true });
    else focusPart(now ?? document.getElementById("main"));
  };
}

/** A part of the page is not itself a Tab stop; the Tab key continues with what follows in it. */
function focusPart(part) {
  part.tabIndex = -1;
  part.focus({ preventScroll: true });
}

/**
 * The element that replaces another one after a redraw: the link to the same address, or the only
 * element of its name.
 */
function findLike(one, root, kind) {
  const all = [...root.querySelectorAll(kind)];
  const alike = all.filter((other) => nameOf(other) === nameOf(one));
  const same = alike.find(({ href }) => href && href === one.href);
  return same ?? (alike.length === 1 ? alike[0] : null);
}

/** What identifies an element among others of its kind; whether a switch is on does not count. */
function nameOf(one) {
  if (one.getAttribute("role") === "switch") return "switch";
  const given = NAMES.map((name) => one.getAttribute(name)).find(Boolean);
  if (given) return given;
  // Without it all fields would have the same, empty name.
  if (one.localName === "input") return one.labels?.[0]?.textContent ?? "";
  if (one.matches(PARTS)) return one.querySelector(HEADINGS)?.textContent;
  const texts = [...one.childNodes].filter((child) => child.ariaHidden !== "true");
  return texts.map((child) => child.textContent).join("");
}

function build(node, tag, parts) {
  const [attributes, ...children] = isAttributes(parts[0]) ? parts : [{}, ...parts];
  for (const name of tag.split(".").slice(1)) node.classList.add(name);
  const { on = {}, vars = {}, data = {}, ...plain } = attributes;
  for (const [event, listener] of Object.entries(on)) node.addEventListener(event, listener);
  for (const [name, value] of Object.entries(vars)) node.style.setProperty(name, value);
  Object.assign(node.dataset, data);
  for (const [name, value] of Object.entries(plain)) {
    if (isShown(value)) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter(isShown).map(toNode));
  return node;
}

const isAttributes = (part) => part?.constructor === Object;
const isShown = (child) => child !== null && child !== undefined && child !== false;
const toNode = (child) => (child instanceof Node ? child : document.createTextNode(String(child)));
