import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import Sqlite from "better-sqlite3";
import { expect, test } from "vitest";
import { stores } from "../../../src/store/stores/index.ts";
import { SimulatedClock } from "../../support/clock.ts";
import { silent, start, testFolder } from "./support.ts";

const folder = testFolder("store-crash");
const rounds = 20;
const pointsPerSlot = 1_500;

test("a process killed at any moment leaves all of a slot or nothing, and every slot that it told of", {
  timeout: 120_000,
}, async () => {
  const file = join(folder, "series.db");
  let told = -1;
  for (let round = 0; round < rounds; round += 1) {
    const child = start(import.meta.dirname, "write-slots.ts", file, `${told + 1}`, `${pointsPerSlot}`);
    let text = "";
    // Somewhere in the first slots, at a moment of chance.
    let linesMax = 1 + Math.floor(Math.random() * 4);
    child.stdout?.setEncoding("utf8").on("data", (piece: string) => {
      text += piece;
      if (text.split("\n").length <= linesMax) return;
      setTimeout(() => child.kill("SIGKILL"), Math.random() * 30);
      linesMax = Number.POSITIVE_INFINITY;
    });
    await once(child, "close");
    const lines = text.split("\n").slice(0, -1);
    expect(lines[0], "the file opened after the last kill").toBe("open");
    told = Math.max(told, ...lines.slice(1).map(Number));
  }
  expect(told, "slots were written").toBeGreaterThan(rounds / 2);

  const bare = new Sqlite(file, { readonly: true });
  expect(bare.pragma("integrity_check", { simple: true })).toBe("ok");
  const slots = bare.prepare("select ts / 60000 as slot, count(*) as n from points group by ts").all();
  bare.close();
  const last = (slots.at(-1) as { slot: number }).slot;
  expect([told, told + 1], "at most one slot was written and not yet told of").toContain(last);
  expect(slots).toEqual(Array.from({ length: last + 1 }, (_, slot) => ({ slot, n: pointsPerSlot * 3 })));

  await using store = stores.sqlite.create({ file }, { clock: new SimulatedClock(0), log: silent });
  const known = await store.list({});
  expect(known).toHaveLength(pointsPerSlot * 3);
  expect(known.every((series) => series.lastMs === last * 60_000)).toBe(true);
});

test("a full disk refuses the slot, retryably; what was stored before is there, and nothing of the refused one", () => {
  const file = join(folder, "full.db");
  const script = join(import.meta.dirname, "fill-disk.ts");
  const limited = ["-c", 'ulimit -f 6000; exec "$0" "$@"', process.execPath, script, file];
  const found = JSON.parse(execFileSync("sh", limited, { encoding: "utf8" }));
  expect(found.slots).toBeGreaterThan(2);
  expect(found).toMatchObject({ known: found.slots * 500, read: found.slots * 500, problem: { retryable: true } });
  expect(found.problem.text).toContain("cannot write the series file");

  const bare = new Sqlite(file, { readonly: true });
  expect(bare.pragma("integrity_check", { simple: true })).toBe("ok");
  expect(bare.prepare("select count(*) from points").pluck().get()).toBe(found.slots * 500);
  bare.close();
});
