// Lists that the API gives in pages, all of them.

import { get } from "./api.js";

const PAGE = 500;

/** Return all items of a list, page by page. */
export async function getAll(path, query, signal) {
  const found = [];
  let cursor = null;
  do {
    const page = await get(path, { ...query, limit: PAGE, cursor }, signal);
    found.push(...page.items);
    cursor = page.next_cursor;
  } while (cursor);
  return found;
}
