import { once } from "node:events";
import { join } from "node:path";
import Sqlite from "better-sqlite3";
import { expect, test } from "vitest";
import { expectAccounts, idOf, openSpool, recordingLog } from "./spool-support.ts";
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
