import { once } from "node:events";
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Sqlite from "better-sqlite3";
import { expect, test } from "vitest";
import { batchOf, expectAccounts, idOf, openSpool, recordingLog } from "./spool-support.ts";
import { start, testFolder } from "./support.ts";

/** `BELLWETHER_TEST_KILLS` is that of the demo's test; a spool dies in far less time. Long form: 50, that is 300 here. */
const kills = process.env.BELLWETHER_TEST_KILLS === undefined ? 30 : Number(process.env.BELLWETHER_TEST_KILLS) * 6;
const folder = testFolder("spool-kill");

test(`a process killed ${kills} times while it appends and settles loses nothing that it had stored`, {
  timeout: 60_000 + kills * 3_000,
}, async () => {
  const file = join(folder, "spool.db");
  const stored = new Set<number>();
  const settling = { a: 0, b: 0 };
  let nextId = 1;
  let unannounced = 0;
  for (let kill = 0; kill < kills; kill += 1) {
    const child = start(import.meta.dirname, "spool-writer.ts", file, `${nextId}`);
    let text = "";
    child.stdout?.setEncoding("utf8").on("data", (piece: string) => {
      if (text === "") setTimeout(() => child.kill("SIGKILL"), Math.random() * (kill % 5 === 4 ? 400 : 40));
      text += piece;
    });
    const [code, signal] = await once(child, "close");
    expect({ kill, code, signal }).toEqual({ kill, code: null, signal: "SIGKILL" });
    for (const line of text.split("\n").slice(0, -1)) {
      const [word, ...rest] = line.split(" ");
      if (word === "stored") stored.add(Number(rest[0]));
      if (word === "settling") settling[rest[0] as "a" | "b"] = Number(rest[1]);
    }

    const log = recordingLog();
    const spool = openSpool(file, { cushionMs: 1, log });
    const ids = [...spool.since(0).batches].map(idOf);
    expect(log.lines, "a kill is no damage").toEqual([]);
    expect(new Set(ids).size, "nothing twice").toBe(ids.length);
    expect(ids, "in order").toEqual(ids.toSorted((one, two) => one - two));
    const present = new Set(ids);
    // What both targets have may have been forgotten.
    const forgotten = Math.min(settling.a, settling.b);
    expect([...stored].filter((id) => !present.has(id) && id > forgotten)).toEqual([]);
    expectAccounts(spool);
    unannounced += ids.filter((id) => !stored.has(id)).length;
    for (const id of ids) stored.add(id);
    nextId = Math.max(...stored, 0) + 1;
    spool.close();
  }
  expect(stored.size, "much was written").toBeGreaterThan(kills * 3);
  expect(unannounced, "at most the appends of one commit were stored and not told of").toBeLessThanOrEqual(kills * 3);
  const bare = new Sqlite(file, { readonly: true });
  expect(bare.pragma("integrity_check", { simple: true })).toBe("ok");
  bare.close();
});

const [logHeadBytes, frameHeadBytes, frameBytes] = [32, 24, 24 + 4_096];

/** The number, from 0, of the log's last frame that ends a transaction of its present round. */
function lastCommit(log: Buffer): number {
  for (let frame = Math.floor((log.length - logHeadBytes) / frameBytes) - 1; frame >= 0; frame -= 1) {
    const at = logHeadBytes + frame * frameBytes;
    const isOfRound = log.subarray(16, 24).equals(log.subarray(at + 8, at + 16));
    if (isOfRound && log.readUInt32BE(at + 4) !== 0) return frame;
  }
  throw new Error("a log without a transaction");
}

/** A log in its second round, as it is before and after the same append. */
async function secondRound(ballastBytes: number): Promise<{ before: Buffer; after: Buffer }> {
  const file = join(folder, `round-${ballastBytes}.db`);
  const spool = openSpool(file, { cushionMs: 1 });
  const log = () => readFileSync(`${file}-wal`);
  const first = log().subarray(16, 24);
  let id = 1;
  do await spool.append([batchOf(id++, { ballastBytes: 9_000 })]);
  while (log().subarray(16, 24).equals(first) && id < 1_000);
  for (let more = 0; more < 3; more += 1) await spool.append([batchOf(id++)]);
  for (const suffix of ["", ".lock"]) copyFileSync(file + suffix, join(folder, `torn-${ballastBytes}.db${suffix}`));
  const before = log();
  await spool.append([batchOf(id++, { ballastBytes })]);
  const after = log();
  spool.close();
  expect(before.length, "the log has room from its first round").toBe(after.length);
  return { before, after };
}

/** SQLite writes a page of its log in two steps. Where the log is used anew, an older page is below the new head. */
test.each([0, 9_000])(
  "killed between a last page's head and the page itself, with %i bytes of text: no damage",
  async (ballastBytes) => {
    const { before, after } = await secondRound(ballastBytes);
    const file = join(folder, `torn-${ballastBytes}.db`);
    const cutAt = logHeadBytes + lastCommit(after) * frameBytes + frameHeadBytes;
    expect(lastCommit(after)).toBeGreaterThan(lastCommit(before));
    const open = (frameShift: number, bit: number): string[] => {
      const torn = Buffer.concat([after.subarray(0, cutAt), before.subarray(cutAt)]);
      const at = cutAt - frameShift * frameBytes + 2_000;
      torn[at] = (torn[at] as number) ^ bit;
      writeFileSync(`${file}-wal`, torn);
      const copy = join(folder, `torn-${ballastBytes}-${frameShift}.db`);
      for (const suffix of ["", "-wal", ".lock"]) copyFileSync(file + suffix, copy + suffix);
      const log = recordingLog();
      const spool = openSpool(copy, { cushionMs: 1, log });
      expectAccounts(spool);
      spool.close();
      return log.lines;
    };
    expect(open(0, 0)).toEqual([]);
    expect(open(1, 1), "the page before is none that a kill can tear").not.toEqual([]);
  },
);
