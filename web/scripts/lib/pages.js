// Reading lists that the API answers in pages: all of them, or more than one page.

import { get } from "./api.js";

/** The largest page that the API answers. */
export const PAGE = 500;

/** Return all items of a list, page by page. */
export async function getAll(path, query, signal) {
  return (await getFirst(path, query, Infinity, signal)).items;
}

/** Return the first so many items of a list, page by page, as one page of them. */
export async function getFirst(path, query, most, signal) {
  const items = [];
  let cursor = null;
  do {
    const limit = Math.min(PAGE, most - items.length);
    const page = await get(path, { ...query, limit, cursor }, signal);
    items.push(...page.items);
    cursor = page.next_cursor;
  } while (cursor && items.length < most);
  return { items, next_cursor: cursor };
}
