/** Lists paged by cursor. A cursor is opaque to callers: base64url of a short JSON array. */
import { z } from "zod";
import { Refusal } from "./problems.ts";

/** Query of a paged list. */
export function pageQuery(limitDefault: number, limitMax: number) {
  return {
    limit: z.coerce.number().int().min(1).max(limitMax).default(limitDefault),
    cursor: z.string().max(500).optional().describe("`next` of the page before"),
  };
}

export function writeCursor(position: readonly unknown[]): string {
  return Buffer.from(JSON.stringify(position)).toString("base64url");
}

/** @throws Refusal 400 if the text is not a cursor of this shape */
export function readCursor<Shape extends z.ZodType>(cursor: string | undefined, shape: Shape): z.infer<Shape> | null {
  if (cursor === undefined) return null;
  try {
    return shape.parse(JSON.parse(Buffer.from(cursor, "base64url").toString()));
  } catch {
    throw new Refusal(400, "not a cursor of this list", { path: "cursor", fix: "send `next` of the page before" });
  }
}

const timePosition = z.tuple([z.number(), z.int().min(0).max(10_000)]);

/**
 * A page of a list that is read newest first by time. Several items of one millisecond are told apart by how many of
 * them the pages before have shown, so that none is left out where a page ends between them.
 */
export async function pageByTime<Item>(
  query: { limit: number; cursor?: string | undefined },
  timeOf: (item: Item) => number,
  /** At most `limit` items before `beforeMs` (exclusive; absent = from the newest). */
  read: (limit: number, beforeMs: number | undefined) => Promise<readonly Item[]>,
): Promise<{ items: readonly Item[]; next: string | null }> {
  const [lastMs, shown] = readCursor(query.cursor, timePosition) ?? [undefined, 0];
  const found = await read(shown + query.limit + 1, lastMs === undefined ? undefined : lastMs + 1);
  const items = found.slice(shown, shown + query.limit);
  const last = items.at(-1);
  if (found.length <= shown + query.limit || last === undefined) return { items, next: null };
  const atMs = timeOf(last);
  const before = items.filter((item) => timeOf(item) === atMs).length + (atMs === lastMs ? shown : 0);
  return { items, next: writeCursor([atMs, before]) };
}
