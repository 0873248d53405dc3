// Whether the API answers. Sections that failed listen for its return.

const changes = new EventTarget();
let reached = true;

export const isReached = () => reached;
export const reportReached = () => report(true);
export const reportUnreached = () => report(false);

/** Call `listener(reached)` on each change until `signal` aborts. */
export function onConnection(listener, signal = undefined) {
  changes.addEventListener("change", () => listener(reached), { signal });
}

function report(now) {
  if (now === reached) return;
  reached = now;
  changes.dispatchEvent(new Event("change"));
}
