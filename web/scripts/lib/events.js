// Server-sent events, read with fetch: an EventSource could not send the API key.

import { open } from "./api.js";

// the API sends a comment every 15 s; longer silence is a dead connection
const SILENCE_MILLISECONDS = 40_000;

/** Yield the events of a stream, as {id, data}, until it ends. Throws where it breaks off. */
export async function* readEvents(path, lastId, signal) {
  const silence = new AbortController();
  const body = await open(
    path,
    lastId ? { "Last-Event-ID": lastId } : {},
    AbortSignal.any([signal, silence.signal]),
  );
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  try {
    while (true) {
      const timer = setTimeout(() => silence.abort(), SILENCE_MILLISECONDS);
      const { value, done } = await reader.read().finally(() => clearTimeout(timer));
      if (done) return;
      const blocks = (text + value).split("\n\n");
      text = blocks.pop();
      yield* blocks.map(parse).filter((event) => event.data);
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function parse(block) {
  const lines = block
    .split("\n")
    .map((line) => /^(\w+): ?(.*)$/.exec(line))
    .filter(Boolean);
  return Object.fromEntries(lines.map(([, name, value]) => [name, value]));
}
