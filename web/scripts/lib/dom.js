// Making elements. Text always goes in as text nodes, so data never becomes markup.
// Styles are set as custom properties through the CSSOM, which a strict Content-Security-Policy
// allows.

const SVG = "http://www.w3.org/2000/svg";

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

/** Replace all children of a node. */
export function fill(node, ...children) {
  node.replaceChildren(...children.flat(Infinity).filter(isShown).map(toNode));
  return node;
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
