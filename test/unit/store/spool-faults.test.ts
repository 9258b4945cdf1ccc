import { once } from "node:events";
import { existsSync, readdirSync, realpathSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Spool } from "../../../src/store/spool.ts";
import { Windows } from "../../../src/store/windows.ts";
import { type SmallDisk, smallDisk, whyNoSmallDisk } from "../../support/servers/disk.ts";
import { startTraced, whyNoStrace } from "../../support/servers/strace.ts";
import { batchOf, drain, expectAccounts, idOf, idsBehind, openSpool, recordingLog, startMs } from "./spool-support.ts";
import { testFolder } from "./support.ts";

const windowMs = 300_000;

describe.skipIf(whyNoSmallDisk() !== null)("on a full disk", () => {
  const origin = (id: number) => ({ sampler: "shop", priority: "medium", slotMs: startMs + id * 60_000 }) as const;
  const bigBatch = (id: number) => batchOf(id, { points: 20, ballastBytes: 2_000, timeMs: startMs + id * windowMs });

  async function withFullDisk(work: (disk: SmallDisk, file: string) => Promise<void>): Promise<void> {
    using disk = smallDisk(40e6);
    await work(disk, join(disk.dir, "spool.db"));
  }

  /** Appends until the disk has been full for so long; returns what was stored and what was refused. */
  async function offer(spool: Spool, ids: readonly number[]): Promise<{ stored: number[]; refused: number[] }> {
    const [stored, refused]: [number[], number[]] = [[], []];
    for (const id of ids) {
      try {
        await spool.append([bigBatch(id)], origin(id));
        stored.push(id);
      } catch (thrown) {
        expect(thrown).toMatchObject({ code: "SPL-003", retryable: true });
        refused.push(id);
      }
    }
    return { stored, refused };
  }
  const range = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => from + index);

  test("each refused slot is a gap, on the disk, until it is stored; nothing that was stored goes", async () => {
    await withFullDisk(async (disk, file) => {
      let spool = openSpool(file);
      const first = await offer(spool, range(0, 20));
      expect(first.refused).toEqual([]);
      disk.fill();
      const second = await offer(spool, range(20, 80));
      expect(second.refused.length).toBeGreaterThan(20);
      const stored = [...first.stored, ...second.stored];
      const slots = () => spool.gaps(1_000).map(({ slotMs }) => (slotMs - startMs) / 60_000);
      expect(slots()).toEqual(second.refused);
      expect(unwritten(spool), "in the room that is kept back").toBe(0);
      expect(idsBehind(spool, "b")).toEqual(stored);

      // A lane goes on, and so does a start.
      expect(drain(spool, "a")).toEqual(stored);
      expectAccounts(spool);
      spool.close();
      disk.fill();
      spool = openSpool(file);
      expect(slots()).toEqual(second.refused);
      expect(idsBehind(spool, "a")).toEqual([]);
      expect(idsBehind(spool, "b")).toEqual(stored);

      disk.free();
      const third = await offer(spool, range(80, 90));
      expect(third.refused).toEqual([]);
      expect(slots(), "exactly the refused ones").toEqual(second.refused);
      const fourth = await offer(spool, second.refused);
      expect(fourth.refused).toEqual([]);
      expect(slots()).toEqual([]);
      expect(idsBehind(spool, "b")).toEqual([...stored, ...third.stored, ...fourth.stored]);
      expectAccounts(spool);
      spool.close();
    });
  });

  test("what all targets have goes before anything is refused: sealed windows first, the oldest first", async () => {
    await withFullDisk(async (disk, file) => {
      const spool = openSpool(file);
      await offer(spool, range(0, 60));
      for (const target of ["a", "b"]) drain(spool, target);
      const windows = new Windows(spool);
      windows.seal(windows.closed(spool.handedOver(), startMs, 30));
      const left = () => [...spool.since(0).batches].map(idOf);
      disk.fill();
      const seen: { stored: number; oldest: number }[] = [];
      let id = 60;
      for (; id < 200; id += 1) {
        const { stored } = await offer(spool, [id]);
        if (stored.length === 0) break;
        seen.push({ stored: id, oldest: left()[0] as number });
      }
      expect(seen.length, "many fit into the room of those that went").toBeGreaterThan(30);
      expect(
        seen.map(({ oldest }) => oldest),
        "the oldest first",
      ).toEqual(seen.map(({ oldest }) => oldest).toSorted((one, two) => one - two));
      expect(left(), "nothing that a target lacks").toEqual(range(60, id));
      expect(spool.gapCount).toBe(1);
      expectAccounts(spool);
      spool.close();
    });
  });

  test("a spool is begun on a disk that takes no more than that", async () => {
    await withFullDisk(async (disk, file) => {
      const log = recordingLog();
      disk.resize(1e6);
      const spool = openSpool(file, { log });
      expect(existsSync(`${file}.reserve`), "there is no room for it").toBe(false);
      disk.fill();
      const { refused } = await offer(spool, [1, 2, 3]);
      expect(refused).toEqual([1, 2, 3]);
      expect(spool.gaps(9).map(({ slotMs }) => slotMs)).toEqual([1, 2, 3].map((id) => origin(id).slotMs));
      if (unwritten(spool) !== 0) expect(log.lines.join("\n")).toContain("gaps are not written down yet");
      disk.free();
      await spool.trim();
      expect(unwritten(spool)).toBe(0);
      spool.close();
      const again = openSpool(file);
      expect(again.gapCount).toBe(3);
      again.close();
    });
  });
});

describe.skipIf(whyNoStrace() !== null)("on a disk that fails", () => {
  const folder = realpathSync(testFolder("spool-faults"));
  const script = join(import.meta.dirname, "spool-under-faults.ts");
  let runs = 0;

  async function run(
    ...inject: string[]
  ): Promise<{ file: string; lines: string[]; code: number | null; injected: number }> {
    const file = join(folder, `spool-${runs++}.db`);
    const before = openSpool(file);
    for (let id = 1; id <= 5; id += 1) await before.append([batchOf(id)]);
    before.close();
    const { child, calls } = await startTraced(
      { files: ["", "-wal", ".new", ".next"].map((suffix) => file + suffix), inject },
      process.execPath,
      [script, file, "6", "30"],
    );
    let text = "";
    child.stdout?.setEncoding("utf8").on("data", (piece: string) => {
      text += piece;
    });
    child.stderr?.pipe(process.stderr);
    const [code] = await once(child, "close");
    return { file, lines: text.trim().split("\n"), code, injected: calls().split("INJECTED").length - 1 };
  }

  const storedIn = (lines: readonly string[]) =>
    lines.filter((line) => line.startsWith("stored ")).map((line) => Number(line.slice(7)));
  const asides = (file: string) =>
    readdirSync(folder).filter((name) => join(folder, name).startsWith(`${file}.suspect-`) && !name.endsWith("-wal"));

  // The count is over all calls of the process on the two files: some at its start, one or two an append.
  test.for([
    ["fsync:error=EIO:when=4"],
    ["fsync:error=EIO:when=9"],
    ["fsync:error=EIO:when=16"],
    ["pwrite64:error=EIO:when=20"],
    ["pwrite64:error=EIO:when=41"],
  ] as const)(
    "%s once: the append is done again in a new file, nothing is lost and nothing there twice",
    async ([inject]) => {
      const { file, lines, code, injected } = await run(inject);
      expect({ code, injected, lines: lines.filter((line) => line.startsWith("refused")) }).toEqual({
        code: 0,
        injected: 1,
        lines: [],
      });
      const ids = Array.from({ length: 30 }, (_, index) => index + 6);
      expect(storedIn(lines)).toEqual(ids);
      expect(lines.join("\n")).toContain("log the spool's file or its disk failed: a new file replaces it");
      expect(asides(file)).toHaveLength(1);
      const spool = openSpool(file);
      expect(idsBehind(spool, "b")).toEqual([1, 2, 3, 4, 5, ...ids]);
      expect([...spool.since(0).batches].map(idOf)).toEqual([1, 2, 3, 4, 5, ...ids]);
      expect(spool.target("b").verifyReason, "nothing was lost").toBe("it is new here");
      expectAccounts(spool);
      spool.close();
    },
  );

  // Twice: the second failure is that of the new file, which cannot even be made.
  test.for([["fsync:error=EIO:when=9..10"], ["fsync:error=EIO:when=9+"], ["fsync:error=EIO:when=9+15"]] as const)(
    "%s: it says so once, refuses what comes, and has all that it had stored",
    async ([inject]) => {
      const { file, lines, code, injected } = await run(inject);
      expect(injected).toBeGreaterThan(1);
      expect(code).toBe(75);
      expect(lines.filter((line) => line.startsWith("broken"))).toEqual([
        expect.stringMatching(/^broken SPL-004 the spool's disk fails: /),
      ]);
      const stored = storedIn(lines);
      expect(lines.filter((line) => line.startsWith("refused"))).toEqual(
        Array.from({ length: 30 - stored.length }, (_, index) => `refused ${6 + stored.length + index} SPL-004`),
      );
      const log = recordingLog();
      const spool = openSpool(file, { log });
      const present = [...spool.since(0).batches].map(idOf);
      expect(present.slice(0, 5 + stored.length)).toEqual([1, 2, 3, 4, 5, ...stored]);
      expectAccounts(spool);
      spool.close();
    },
  );

  // Of the new file to its last name but one, of the old file and of its log, and of the new one to the old one's name.
  test.for([1, 2, 3, 4])(
    "ended at renaming number %i of a replacement, it has everything at the next start, once",
    async (count) => {
      const { file, lines, code } = await run("fsync:error=EIO:when=9", `rename:error=EIO:when=${count}`);
      expect(code).toBe(75);
      const stored = storedIn(lines);
      expect(stored.length).toBeLessThan(30);
      const spool = openSpool(file);
      const ids = [...spool.since(0).batches].map(idOf);
      const sure = [1, 2, 3, 4, 5, ...stored];
      expect([sure, [...sure, sure.length + 1]], "the one in flight may be there").toContainEqual(ids);
      expectAccounts(spool);
      await spool.append([batchOf(99)]);
      expect(idsBehind(spool, "b")).toEqual([...ids, 99]);
      expect(readdirSync(folder).filter((name) => /\.(new|next)/.test(name))).toEqual([]);
      spool.close();
    },
  );
});

function unwritten(spool: Spool): number | undefined {
  return spool.measures().find(({ name }) => name === "bellwether_spool_gaps_unwritten")?.value;
}
