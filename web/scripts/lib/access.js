// What the key in use may do. A button that needs a scope the key lacks is disabled and says why:
// `data: { needs: "enqueue" }` marks such a button, and `data: SHARED` one that changes what all
// tenants share.

import { get } from "./api.js";
import { el } from "./dom.js";
import { offerAnother, onKey } from "./key.js";

const SCOPES = {
  enqueue: "starts work or changes what is watched",
  respond: "answers alerts",
  admin: "changes what everybody's results rest on",
};
const GAP = 6;
export const SHARED = { needs: "admin", shared: "" };
let access = null; // not known yet: nothing is disabled until it is, and the API itself refuses

/** Disable or enable every marked button of the page as the key in use allows. */
export function watchAccess() {
  let isAsked = false;
  const ask = () => {
    if (isAsked) return;
    isAsked = true;
    requestAnimationFrame(() => {
      isAsked = false;
      markAll();
    });
  };
  new MutationObserver(ask).observe(document.body, {
    childList: true,
    subtree: true,
    attributeFilter: ["data-needs"],
  });
  document.addEventListener("click", stopDead, { capture: true });
  watchReasons();
  onKey(learn);
  learn();
}

async function learn() {
  access = await get("/access").catch(({ reason }) => {
    if (reason === "scope_missing") offerAnother();
    return null;
  });
  markAll();
}

function markAll() {
  for (const button of document.querySelectorAll("[data-needs]")) {
    const why = explain(button.dataset);
    if ((button.dataset.why ?? null) === why) continue;
    if (why === null) {
      delete button.dataset.why;
      button.removeAttribute("aria-disabled");
      button.removeAttribute("aria-description");
    } else {
      button.dataset.why = why;
      if (button.localName === "button") button.setAttribute("aria-disabled", "true");
      button.setAttribute("aria-description", why);
    }
    // A select is disabled too, because no click comes between the reader and its choice.
    if (button.localName === "select") button.disabled = why !== null;
  }
}

/** Why the key in use may not do it; null where it may. */
function explain({ needs, shared }) {
  if (access === null) return null;
  const { scopes, tenant } = access;
  if (!scopes.includes(needs) && !scopes.includes("admin"))
    return (
      `This ${SCOPES[needs]}; it takes a key with the scope ${needs}, ` +
      "which yours does not have."
    );
  if (shared !== undefined && tenant !== null)
    return (
      "This changes what all tenants share; it takes a key of the default tenant, " +
      `and yours is of ${tenant}.`
    );
  return null;
}

/** Show beside a disabled button why it is disabled, while the pointer or the focus is on it. */
function watchReasons() {
  const tip = el("div.reason-tip", { role: "tooltip", hidden: true });
  document.body.append(tip);
  const show = ({ target }) => {
    const button = target.closest?.("[data-why]");
    tip.hidden = !button;
    if (!button) return;
    tip.textContent = button.dataset.why;
    const { left, top, bottom } = button.getBoundingClientRect();
    const [width, height] = [tip.offsetWidth, tip.offsetHeight];
    const below = bottom + GAP + height < innerHeight;
    const right = document.documentElement.clientWidth - width - GAP;
    tip.style.setProperty("--left", `${Math.max(GAP, Math.min(left, right))}px`);
    tip.style.setProperty("--top", `${below ? bottom + GAP : top - GAP - height}px`);
  };
  const hide = () => (tip.hidden = true);
  for (const event of ["pointerover", "focusin"]) document.addEventListener(event, show);
  for (const event of ["pointerleave", "focusout", "scroll"])
    document.addEventListener(event, hide, { capture: true });
}

/** Sending a form with the Enter key clicks its button too. */
function stopDead(event) {
  if (!event.target.closest?.("[data-why]")) return;
  event.preventDefault();
  event.stopImmediatePropagation();
}
