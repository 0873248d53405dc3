// Random identifiers. crypto.randomUUID exists on HTTPS and loopback only; this page may be served
// in a plain network.

export const newIdentifier = () =>
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) =>
    byte.toString(16).padStart(2, "0"),
  ).join("");
