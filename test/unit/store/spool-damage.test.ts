import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Sqlite from "better-sqlite3";
import { uniformInt } from "pure-rand/distribution/uniformInt";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Catalogue } from "../../../src/store/catalogue.ts";
import type { Spool } from "../../../src/store/spool.ts";
import { spoolFormat } from "../../../src/store/spool-format.ts";
import { smallDisk, whyNoSmallDisk } from "../../support/servers/disk.ts";
import { batchOf, damaged, drain, expectAccounts, idOf, openSpool, recordingLog, startMs } from "./spool-support.ts";
import { outputOf, start, testFolder } from "./support.ts";

/** In the long form, where kills are counted, a thousand. */
const rounds = process.env.BELLWETHER_TEST_KILLS === undefined ? 200 : 1_000;
/** In memory where one may: each round writes some ten megabytes. */
const disk = whyNoSmallDisk() === null ? smallDisk(300e6) : null;
const folder = disk?.dir ?? testFolder("spool-damage");
afterAll(() => disk?.[Symbol.dispose]());
const suffixes = ["", "-wal", "-shm", ".lock", ".reserve"];
const pageBytes = 4_096;
const frameBytes = 24 + pageBytes;

type Files = Map<string, Buffer>;
/** By how the process ended that had it. */
const originals = new Map<"killed" | "closed", Files>();

beforeAll(async () => {
  for (const ending of ["killed", "closed"] as const) {
    const file = join(folder, ending, "spool.db");
    mkdirSync(join(folder, ending));
    const child = start(import.meta.dirname, "spool-left-open.ts", file);
    await new Promise((resolve) => child.stdout?.once("data", resolve));
    if (ending === "closed") {
      child.stdin?.end("close\n");
      await outputOf(child);
    } else {
      child.kill("SIGKILL");
      await once(child, "close");
    }
    const found = suffixes.filter((suffix) => existsSync(file + suffix));
    originals.set(ending, new Map(found.map((suffix) => [suffix, readFileSync(file + suffix)])));
  }
  expect([...(originals.get("killed") as Files).keys()]).toEqual(suffixes);
  expect([...(originals.get("closed") as Files).keys()]).toEqual(["", ".lock", ".reserve"]);
});

/** A number from 0 to below `end`, the same for the same seed. */
type Draw = (end: number) => number;

function drawFrom(seed: number): Draw {
  const generator = xoroshiro128plus(seed);
  // The first numbers of neighbouring seeds are much alike.
  for (let skipped = 0; skipped < 20; skipped += 1) generator.next();
  return (end) => uniformInt(generator, 0, end - 1);
}

/** Does one kind of damage to one file of a spool; tells what. */
function damage(files: Files, draw: Draw): string {
  const names = ["", "", "", "-wal", "-wal", "-wal", "-shm"].filter((name) => (files.get(name)?.length ?? 0) > 0);
  if (names.length === 0) return "nothing more";
  const name = names[draw(names.length)] as string;
  const bytes = Buffer.from(files.get(name) as Buffer);
  const place = (unit: number) => draw(Math.ceil(bytes.length / unit)) * unit;
  const kinds: Record<string, () => Buffer | null> = {
    "bits flipped": () => {
      for (let flips = 1 + draw(4); flips > 0; flips -= 1) {
        const at = draw(bytes.length);
        bytes[at] = (bytes[at] as number) ^ (1 << draw(8));
      }
      return bytes;
    },
    "tail zeroed": () => bytes.fill(0, place(pageBytes)),
    "page zeroed": () => {
      const from = place(pageBytes);
      return Buffer.concat([
        bytes.subarray(0, from),
        Buffer.alloc(Math.min(pageBytes, bytes.length - from)),
        bytes.subarray(from + pageBytes),
      ]);
    },
    "stretch of garbage": () => {
      const from = draw(bytes.length);
      for (let at = from; at < Math.min(bytes.length, from + 1 + draw(20_000)); at += 1) bytes[at] = draw(256);
      return bytes;
    },
    "tail torn": () => bytes.subarray(0, draw(bytes.length)),
    "cut at a page": () => bytes.subarray(0, place(pageBytes)),
    "tail repeated": () => Buffer.concat([bytes, bytes.subarray(draw(bytes.length))]),
    emptied: () => Buffer.alloc(0),
    "garbage instead": () => Buffer.from(Array.from({ length: 5_000 }, () => draw(256))),
    gone: () => null,
  };
  const kind = Object.keys(kinds)[draw(Object.keys(kinds).length)] as string;
  const result = (kinds[kind] as () => Buffer | null)();
  if (result === null) files.delete(name);
  else files.set(name, result);
  return `${name === "" ? "file" : name}: ${kind}`;
}

/** Ids of short batches of which a page that holds them is as it was: those must not be lost, however the rest looks. */
function readable(original: Files, now: Files): Set<number> {
  const found = new Set<number>();
  for (let id = 1; id <= damaged.batches; id += 1) {
    if (id % damaged.longEvery === 0) continue;
    const body = bodies[id] as Buffer;
    for (const [name, headBytes, stepBytes, skipBytes] of [
      ["", 0, pageBytes, 0],
      ["-wal", 32, frameBytes, 24],
    ] as const) {
      const before = original.get(name) ?? Buffer.alloc(0);
      const after = now.get(name) ?? Buffer.alloc(0);
      for (let at = before.indexOf(body); at >= 0; at = before.indexOf(body, at + 1)) {
        const from = headBytes + Math.floor((at - headBytes) / stepBytes) * stepBytes + skipBytes;
        const page = before.subarray(from, from + pageBytes);
        if (page.equals(after.subarray(from, from + pageBytes))) found.add(id);
      }
    }
  }
  return found;
}

const bodies = Array.from({ length: damaged.batches + 1 }, (_, id) =>
  Buffer.from(batchOf(id, { points: 3, ballastBytes: 200, timeMs: startMs + id * 60_000 }).body),
);

function lay(name: string, files: Files): string {
  const dir = join(folder, name);
  mkdirSync(dir, { recursive: true });
  for (const [suffix, bytes] of files) writeFileSync(join(dir, `spool.db${suffix}`), bytes);
  return join(dir, "spool.db");
}

/** Changes one bit of some bytes, wherever they lie in a file: also where they are left over from before. */
function flipIn(file: string, needle: Buffer): void {
  const bytes = readFileSync(file);
  for (let at = bytes.indexOf(needle); at >= 0; at = bytes.indexOf(needle, at)) {
    bytes[at + 100] = (bytes[at + 100] as number) ^ 1;
  }
  writeFileSync(file, bytes);
}

/** As {@link drain}, for a spool whose damage is met on the way: what could not be settled is handed over again. */
function carryAll(spool: Spool, target: string): number[] {
  const ids = new Set<number>();
  for (let faults = 0; ; ) {
    const group = spool.next(target, "", 60, 1e6);
    if (group.length === 0) return [...ids];
    const points = group.reduce((sum, batch) => sum + batch.points, 0);
    try {
      spool.settle(target, "", group.at(-1)?.seq as number, points, []);
      for (const id of group.map(idOf)) {
        // Of those that come again, the last time counts.
        ids.delete(id);
        ids.add(id);
      }
    } catch (thrown) {
      if (++faults > 3) throw thrown;
    }
  }
}

let slowestMs = 0;

describe("a damaged spool", () => {
  test(`opens, keeps what can be read and says what it lost, ${rounds} times`, {
    timeout: rounds * 1_000,
  }, async () => {
    const losses = { rounds: 0, batches: 0 };
    for (let round = 0; round < rounds; round += 1) {
      const draw = drawFrom(round);
      const ending = draw(3) === 0 ? "closed" : "killed";
      const original = originals.get(ending) as Files;
      const files = new Map(original);
      const whats = Array.from({ length: 1 + draw(2) }, () => damage(files, draw));
      const what = `round ${round}, ${ending}, ${whats.join(" and ")}`;
      const file = lay(`round-${round}`, files);
      const lost = await checkOne(file, readable(original, files), what);
      if (lost > 0) losses.rounds += 1;
      losses.batches += lost;
      rmSync(join(folder, `round-${round}`), { recursive: true });
    }
    console.log(`${rounds} damages: slowest start ${Math.round(slowestMs)} ms, batches lost ${JSON.stringify(losses)}`);
  });

  async function checkOne(file: string, intact: ReadonlySet<number>, what: string): Promise<number> {
    const log = recordingLog();
    const bornMs = performance.now();
    const spool = openSpool(file, { log });
    const tookMs = performance.now() - bornMs;
    slowestMs = Math.max(slowestMs, tookMs);
    try {
      expectAccounts(spool);
      const got = { a: carryAll(spool, "a"), b: carryAll(spool, "b") };
      expectAccounts(spool);
      let lostCount = 0;
      for (const target of ["a", "b"] as const) {
        const ids = got[target];
        expect(ids, `${what}: in order`).toEqual(ids.toSorted((one, two) => one - two));
        const due = Array.from({ length: damaged.batches }, (_, index) => index + 1).filter(
          (id) => id > damaged.settled[target],
        );
        const lost = due.filter((id) => !ids.includes(id));
        expect(
          lost.filter((id) => intact.has(id)),
          `${what}: lost by ${target} though readable`,
        ).toEqual([]);
        lostCount += lost.length;
        // The end of a log that was cut off cannot be told from one that was never written.
        const isEnd = lost.length > 0 && lost.length === damaged.batches + 1 - (lost[0] as number);
        if (lost.length > 0 && !(isEnd && what.includes("-wal: "))) {
          expect(spool.target(target), `${what}: ${target} lacks ${lost}`).toMatchObject({ doubted: true });
          expect(log.lines, what).not.toEqual([]);
        }
      }
      for (const { aside } of spool.file.mishaps) {
        if (aside !== null) expect(existsSync(aside) || existsSync(`${aside}-wal`), what).toBe(true);
      }
      await spool.append([batchOf(999)]);
      expect([drain(spool, "a"), drain(spool, "b")], `${what}: goes on`).toEqual([[999], [999]]);
      return lostCount;
    } catch (thrown) {
      console.error(what, log.lines);
      throw thrown;
    } finally {
      spool.close();
    }
  }

  test("a batch whose bytes changed is given up when it is met, its slot is a gap, the others go on", async () => {
    const file = lay("met", originals.get("closed") as Files);
    flipIn(file, bodies[45] as Buffer);
    const log = recordingLog();
    const spool = openSpool(file, { log });
    expect(log.lines, "nobody has read it yet").toEqual([]);
    const rest = Array.from({ length: damaged.batches - 10 }, (_, index) => index + 11).filter((id) => id !== 45);
    expect(drain(spool, "b")).toEqual(rest);
    expect(drain(spool, "a")).toEqual(rest.filter((id) => id > 30));
    expect(log.lines[0]).toBe("batch 45 of the spool is damaged: it is given up");
    expect(spool.gaps(10)).toMatchObject([{ sampler: "shop", slotMs: startMs + 45 * 60_000, points: 3, kind: "lost" }]);
    for (const target of ["a", "b"]) {
      expect(spool.target(target)).toMatchObject({
        verifyReason: "the spool lost points that it lacked",
        doubted: true,
      });
    }
    expectAccounts(spool);
    await spool.append([batchOf(45)], { sampler: "shop", priority: "high", slotMs: startMs + 45 * 60_000 });
    expect(spool.gapCount, "the slot was sampled again").toBe(0);
    expect(drain(spool, "a")).toEqual([45]);
    spool.close();
  });

  test("one that all targets have is given up without a gap", () => {
    const file = lay("had", originals.get("closed") as Files);
    flipIn(file, bodies[5] as Buffer);
    const spool = openSpool(file);
    expect([...spool.since(0).batches].map(idOf)).toHaveLength(damaged.batches - 1);
    expect(spool.gapCount).toBe(0);
    expect(spool.target("a").verifyReason).toBeNull();
    expectAccounts(spool);
    spool.close();
  });

  test("points that are pending and in no batch are a damage: the file is set aside, and its pages looked through", () => {
    const log = recordingLog();
    const spool = openSpool(lay("hole", originals.get("closed") as Files), { log });
    spool.file.sql<[], never>("delete from batch where seq = 120").run();
    expect(drain(spool, "a").at(-1), "found on its page").toBe(120);
    expect(drain(spool, "b").at(-1)).toBe(120);
    expect(existsSync(spool.file.mishaps[0]?.aside as string)).toBe(true);
    expect(log.lines.join("\n")).toContain("the spool's file or its disk failed: a new file replaces it");
    expectAccounts(spool);
    spool.close();
  });

  test("a number that came before is never given again, though the end of the log was lost", async () => {
    const files = new Map(originals.get("killed") as Files);
    files.delete("-wal");
    const spool = openSpool(lay("numbers", files));
    const before = spool.lastSeq;
    await spool.append([batchOf(999)]);
    expect(spool.lastSeq).toBeGreaterThan(before);
    expect(spool.target("a")).toMatchObject({ doubted: true });
    expect(spool.file.mishaps).toMatchObject([{ incomplete: ["the log beside it"] }]);
    spool.close();
  });

  test("of a damaged file of an older version, what it has is carried over all the same", () => {
    const file = join(folder, "older", "spool.db");
    mkdirSync(join(folder, "older"));
    const database = new Sqlite(file);
    database.exec(`${spoolFormat.versions.slice(0, 2).join("")} pragma user_version = 2;
      insert into gap values ('shop', 60000, 3, 'no room', 1);
      insert into target values ('a', null, 7, 'it was restarted', 1, null, 1, null);
      drop table shelf;`);
    database.close();
    const spool = openSpool(file);
    expect(spool.file.mishaps).toMatchObject([{ incomplete: ["shelf"] }]);
    expect(spool.gaps(9)).toMatchObject([{ sampler: "shop", slotMs: 60_000, points: 3, kind: "refused" }]);
    expect(spool.target("a")).toMatchObject({ canaryMs: 7, verifyReason: "the spool was damaged", doubted: true });
    spool.close();
  });

  test("a snapshot of the series that cannot be read is as if there were none", async () => {
    const file = join(folder, "snapshot", "spool.db");
    mkdirSync(join(folder, "snapshot"));
    for (const spoil of [
      "update catalogue set body = x'00ff'",
      "update catalogue set body = ''",
      "update field set kind = 'x'",
    ]) {
      const spool = openSpool(file);
      const catalogue = new Catalogue(spool);
      catalogue.complete = true;
      await claimed(spool, catalogue);
      await catalogue.save();
      spool.file.sql<[], never>(spoil).run();
      const again = new Catalogue(spool);
      expect(again.complete, spoil).toBe(spoil.includes("field"));
      expect(
        again.list({}).map(({ tags }) => tags),
        "from the log",
      ).toEqual([{ shop: "0" }, { shop: "1" }]);
      await claimed(spool, again);
      spool.close();
    }
  });
});

async function claimed(spool: Spool, catalogue: Catalogue): Promise<void> {
  using claim = catalogue.claim(undefined, 1);
  expect(claim.take({ measurement: "orders", tags: {}, fields: { n: 1 }, timeMs: 1 })).toBeNull();
  await spool.append([batchOf(1)], undefined, claim.write);
  claim.keep();
}
