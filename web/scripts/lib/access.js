// What the key in use may do. Where it may not do what a button is for, the button is dead and says
// why: `data: { needs: "enqueue" }` marks one.

import { get } from "./api.js";
import { onKey } from "./key.js";

const SCOPES = {
  enqueue: "starts work or changes what is watched",
  respond: "answers alerts",
  admin: "changes what everybody's results rest on",
};
let scopes = null; // not known yet: nothing is dead then, and the API refuses by itself

const may = (scope) => scopes === null || scopes.includes(scope) || scopes.includes("admin");

/** Keep every marked button of the page as dead or alive as the key in use says. */
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
  onKey(learn);
  learn();
}

async function learn() {
  scopes = await get("/access").then(
    (access) => access.scopes,
    () => null,
  );
  markAll();
}

function markAll() {
  for (const button of document.querySelectorAll("[data-needs]")) {
    const why = may(button.dataset.needs) ? null : describe(button.dataset.needs);
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
  }
}

const describe = (scope) =>
  `This ${SCOPES[scope]}; it takes a key with the scope ${scope}, which yours does not have.`;

/** A form that is sent by the Enter key clicks its button too. */
function stopDead(event) {
  if (!event.target.closest?.("[data-why]")) return;
  event.preventDefault();
  event.stopImmediatePropagation();
}
