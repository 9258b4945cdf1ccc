import type { Group, Person } from "../core/definitions.ts";
import { type Database, isDuplicate } from "./connection.ts";
import { digest, pieces, type Row } from "./rows.ts";

/** A person without the place in the files, which says nothing of who they were. */
export type PersonThen = Omit<Person, "place">;
export type GroupThen = Omit<Group, "place">;

/** The record of which people and groups existed when, and with what addresses. */
export class PeopleBook {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** What has just been loaded; anything that is new, changed or gone begins or ends at `nowMs`. */
  async sync(people: ReadonlyMap<string, Person>, groups: ReadonlyMap<string, Group>, nowMs: number): Promise<void> {
    const wanted = new Map<string, Row>();
    for (const person of people.values()) note(wanted, "person", person, nowMs);
    for (const group of groups.values()) note(wanted, "group", group, nowMs);
    const holding: Row[] = await this.#database.run((query) => query("people").where("standing_key", ">", ""));
    const same = new Set<unknown>();
    for (const row of holding) {
      if (wanted.get(row.standing_key as string)?.detail === row.detail) same.add(row.standing_key);
    }
    const ended = holding.filter((row) => !same.has(row.standing_key)).map((row) => row.seq as number);
    const begun = [...wanted.values()].filter((row) => !same.has(row.standing_key));
    if (ended.length + begun.length === 0) return;
    try {
      await this.#database.transaction(async (query) => {
        for (const piece of pieces(ended)) {
          await query("people").whereIn("seq", piece).update({ until_ms: nowMs, standing_key: null });
        }
        for (const piece of pieces(begun)) await query("people").insert(piece);
      });
    } catch (thrown) {
      // Another process has loaded the same files in the same instant and has written the same.
      if (!isDuplicate(thrown)) throw thrown;
    }
  }

  /** Who existed at that time, by id. */
  async at(timeMs: number): Promise<{ people: PersonThen[]; groups: GroupThen[] }> {
    const rows: Row[] = await this.#database.run((query) =>
      query("people")
        .where("from_ms", "<=", timeMs)
        .where((where) => where.whereNull("until_ms").orWhere("until_ms", ">", timeMs))
        .orderBy("subject_id"),
    );
    const details = (subject: string) =>
      rows.filter((row) => row.subject === subject).map((row) => JSON.parse(row.detail as string));
    return { people: details("person"), groups: details("group") };
  }
}

function note(
  wanted: Map<string, Row>,
  subject: "person" | "group",
  { place, ...detail }: Person | Group,
  nowMs: number,
) {
  const standingKey = digest(subject, detail.id);
  wanted.set(standingKey, {
    subject,
    subject_id: detail.id,
    detail: JSON.stringify(detail),
    from_ms: nowMs,
    standing_key: standingKey,
  });
}
