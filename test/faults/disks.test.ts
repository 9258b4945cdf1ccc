/** Disks that are full, that fail, and files that are not what was written. */
import {
  closeSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeSync,
} from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import Database from "better-sqlite3";
import type { Problem } from "../../src/core/problem.ts";
import { spoolFormat } from "../../src/store/spool-format.ts";
import { smallDisk, whyNoSmallDisk } from "../support/servers/disk.ts";
import { whyNoStrace } from "../support/servers/strace.ts";
import { type Fault, must, playFaults } from "./fault.ts";
import type { Rig } from "./rig.ts";

const megabyte = 1_048_576;
/** Disks of this file's tests, which are played one after the other. */
let disk = null as ReturnType<typeof smallDisk> | null;

function freshDisk(sizeBytes: number): string {
  disk?.[Symbol.dispose]();
  disk = smallDisk(sizeBytes);
  return disk.dir;
}

/** Refused ticks are sampled again, as slots are: then no gap is left. */
async function sampleAgain(rig: Rig): Promise<number> {
  const refused = [...rig.ticks.values()].filter(({ acknowledged }) => !acknowledged).map(({ timeMs }) => timeMs);
  const gaps = rig.mirror.gaps(1_000_000).map(({ slotMs }) => slotMs);
  must(JSON.stringify(gaps.sort()) === JSON.stringify([...refused].sort()), "gaps are not what was refused", {
    gaps,
    refused,
  });
  for (const timeMs of refused) {
    await rig.until(`there is room for ${timeMs}`, () => rig.tick(timeMs), 10_000);
  }
  must(rig.mirror.gaps(10).length === 0, "gaps that are left", rig.mirror.gaps(10));
  return refused.length;
}

/** What somebody or something did to the files of a stopped spool. */
type Damage = {
  readonly title: string;
  /** How the process before ended: after SIGKILL all is in the log, after SIGTERM all is in the file. */
  readonly after: "SIGKILL" | "SIGTERM";
  readonly do: (file: string) => void;
  /** Share of the points that may be lost. Default 0: all can be had from what is left. */
  readonly lost?: number;
  /** What the store must say of it. Default: that a spool was damaged. */
  readonly told?: RegExp | null;
};

const damages: readonly Damage[] = [
  {
    title: "its log lost its end",
    after: "SIGKILL",
    do: (file) => truncateSync(`${file}-wal`, Math.floor(statSync(`${file}-wal`).size * 0.8)),
    // What a log held behind its end is known to nobody.
    lost: 0.3,
    told: null,
  },
  {
    title: "a bit of its log flipped",
    after: "SIGKILL",
    do: (file) => change(`${file}-wal`, 0.5, (bytes) => flip(bytes, 0)),
    told: /the log beside it/,
  },
  {
    title: "the log is gone",
    after: "SIGKILL",
    do: (file) => rmSync(`${file}-wal`),
    lost: 1,
    told: /the log beside it/,
  },
  {
    title: "a page of the file is zero",
    after: "SIGTERM",
    do: (file) => change(file, 0.5, (bytes) => void bytes.fill(0)),
  },
  {
    title: "three bits of the file flipped",
    after: "SIGTERM",
    do: (file) => [0.3, 0.5, 0.7].forEach((share) => void change(file, share, (bytes) => flip(bytes, 2_000))),
  },
  {
    title: "its first page is zero",
    after: "SIGTERM",
    do: (file) => change(file, 0, (bytes) => void bytes.fill(0)),
  },
  {
    title: "the file lost its end",
    after: "SIGTERM",
    do: (file) => truncateSync(file, Math.floor(statSync(file).size * 0.6)),
    // With the tables goes the number of the newest batch.
    lost: 0.8,
    told: /not all of it: bucket, cursor/,
  },
  {
    title: "the cursors are gone",
    after: "SIGTERM",
    do: (file) => edit(file, "delete from cursor"),
    told: null,
  },
];

/** One page, at a share of the file's length. */
function change(path: string, share: number, how: (bytes: Buffer) => void): void {
  const bytes = Buffer.alloc(4_096);
  const at = Math.floor((statSync(path).size * share) / 4_096) * 4_096;
  const file = openSync(path, "r+");
  readSync(file, bytes, 0, bytes.length, at);
  how(bytes);
  writeSync(file, bytes, 0, bytes.length, at);
  closeSync(file);
}

function flip(bytes: Buffer, at: number): void {
  bytes.writeUInt8(bytes.readUInt8(at) ^ 4, at);
}

function edit(file: string, sql: string): void {
  const database = new Database(file);
  database.exec(sql);
  database.close();
}

/** Ended with batches that nobody has, damaged, and started again. */
function damaged({ title, after, do: spoil, lost = 0, told = /damaged/ }: Damage): Fault {
  const batchesLost = (rig: Rig): number =>
    rig.lines.reduce((sum, { text }) => {
      const [, many, one] = /batches lost: (\d+)|(batch \d+) of the spool is damaged/.exec(text) ?? [];
      return sum + Number(many ?? 0) + (one === undefined ? 0 : 1);
    }, 0);
  return {
    id: "X8",
    title,
    options: { stopped: true, load: { series: 1_000 } },
    play: async (rig) => {
      await Promise.all([rig.a.kill(), rig.b.kill()]);
      const child = await rig.spawn();
      must(await child.open, "it did not start");
      await sleep(1_500);
      child.process.kill(after);
      await child.ended;
      spoil(rig.load.file);
      await Promise.all([rig.a.start(), rig.b.start()]);
      const startMs = await rig.start();
      must(startMs <= 2_000, "the start took, ms", startMs);
      // A batch is looked into when it is handed over.
      await Promise.all([rig.caughtUp("a"), rig.caughtUp("b")]);
      must(told === null || rig.lines.some(({ text }) => told.test(text)), "what the store says of it", rig.lines);
      return {
        "start, ms": Math.round(startMs),
        "batches said to be lost": batchesLost(rig),
        gaps: rig.mirror.gaps(1_000).length,
      };
    },
    // A tick is a batch, of each of two copies.
    leaves: { lost: (rig) => 2 * (rig.load.series * batchesLost(rig) + lost * rig.acknowledged) },
  };
}

playFaults("disks", [
  {
    id: "X4",
    title: "B's disk is full, then freed",
    missing: whyNoSmallDisk,
    options: () => ({ b: { dir: freshDisk(32 * megabyte) } }),
    play: async (rig) => {
      rig.generate();
      await sleep(1_500);
      disk?.fill();
      const stuckMs = await rig.until("B is stuck", () => rig.lane("b").state === "stuck");
      await sleep(1_500);
      disk?.free();
      await sleep(3_000);
      must(rig.lane("b").state === "stuck", "it goes on refusing", rig.lane("b"));
      const told = () => rig.mirror.conditions().find(({ reason }) => reason.includes("restart influxd b"));
      must(told() === undefined, "told at once, though a restart takes seconds", told());
      const before = Date.now();
      rig.jump(25_000);
      await rig.until("people are told", () => told() !== undefined, 30_000);
      const toldMs = stuckMs + 4_500 + 25_000 + Date.now() - before;
      await rig.restart(rig.b);
      const caughtUpMs = await rig.caughtUp("b", 30_000);
      await rig.rest();
      await rig.tend();
      must(rig.status("b").verifyReason === null, "it was not compared", rig.status("b").verifyReason);
      return {
        "stuck after, ms": Math.round(stuckMs),
        "told after, s": Math.round(toldMs / 1_000),
        "caught up in, ms": Math.round(caughtUpMs),
        "repaired, points": rig.repaired(),
      };
    },
  },
  {
    id: "X5",
    title: "our own disk is full, then freed",
    missing: whyNoSmallDisk,
    options: () => ({ dir: freshDisk(48 * megabyte) }),
    play: async (rig) => {
      rig.generate();
      await sleep(1_500);
      await rig.until("ticks are refused", () => {
        // What the servers have taken makes room again.
        disk?.fill();
        return rig.refusals.length >= 10;
      });
      must(
        rig.refusals.every(({ code, retryable }) => code === "SPL-003" && retryable),
        "why",
        rig.refusals[0],
      );
      disk?.free();
      const refused = rig.refusals.length;
      const from = Date.now();
      await rig.until("ticks are taken again", () =>
        [...rig.ticks.values()].some((tick) => tick.acknowledged && tick.atMs > from + 200),
      );
      await sleep(500);
      await rig.rest();
      const again = await sampleAgain(rig);
      return { refused, "sampled again": again, unrecorded: 0 };
    },
    leaves: { refused: true },
  },
  {
    id: "X5",
    title: "our own spool is full, as nobody takes its points",
    options: { load: { spoolBytesMax: 3 * megabyte, series: 4_000 } },
    play: async (rig) => {
      await Promise.all([rig.a.kill(), rig.b.kill()]);
      rig.generate();
      await rig.until("ticks are refused", () => rig.refusals.length >= 10, 60_000);
      must(
        rig.refusals.every(({ code }) => code === "SPL-003"),
        "why",
        rig.refusals[0],
      );
      const bytes = rig.mirror.status().spool.bytes;
      const told = rig.mirror.conditions().map(({ kind, severity }) => `${kind} ${severity}`);
      must(told.includes("points-refused critical"), "what people are told", told);
      await Promise.all([rig.a.start(), rig.b.start()]);
      const refused = rig.refusals.length;
      await rig.rest();
      await Promise.all([rig.caughtUp("a", 30_000), rig.caughtUp("b", 30_000)]);
      const again = await sampleAgain(rig);
      return { refused, "sampled again": again, "spool, MB": (bytes / megabyte).toFixed(1), "of, MB": 3 };
    },
    leaves: { refused: true },
  },
  {
    id: "X6",
    title: "a sync of the spool fails once",
    missing: whyNoStrace,
    options: { stopped: true },
    play: async (rig) => {
      const child = await rig.spawn({ inject: ["fsync:error=EIO:when=15"] });
      must(await child.open, "it did not start", (await Promise.race([child.ended, sleep(100)]))?.text);
      await sleep(4_000);
      process.kill(child.pid, "SIGTERM");
      const { code, text } = await child.ended;
      must(code === 0 && /new file replaces it/.test(text), "how it ended", { code, text });
      rig.readLedger();
      const refused = [...rig.ticks.values()].filter(({ acknowledged }) => !acknowledged).length;
      const aside = readdirSync(rig.dir).filter((name) => name.startsWith("spool.db.suspect"));
      must(aside.length > 0, "the file is kept aside", readdirSync(rig.dir));
      return { refused, "ended with": code ?? "" };
    },
  },
  {
    id: "X6",
    title: "every sync of the spool fails from the 80th on",
    missing: whyNoStrace,
    options: { stopped: true },
    play: async (rig) => {
      const child = await rig.spawn({ inject: ["fsync:error=EIO:when=80+"] });
      const opened = await child.open;
      const goesOn = sleep(20_000).then(() => ({ code: null, text: "it goes on" }));
      const { code, text } = await Promise.race([child.ended, goesOn]);
      must(opened, "it did not start", text);
      must(code === 75 && text.includes("SPL-004"), "how it ended", { code, text });
      return { "ended with": code ?? "" };
    },
  },
  ...damages.map(damaged),
  {
    id: "X46",
    title: "a spool of the oldest format, and one of a newer",
    play: async (rig) => {
      await Promise.all([rig.a.kill(), rig.b.kill()]);
      await rig.burst(20);
      await rig.stop();
      const { file } = rig.load;
      const now = formatOf(file);
      edit(file, `pragma user_version = ${now + 1}`);
      const refused = await rig.start().then(
        () => null,
        (thrown: Problem) => thrown,
      );
      must(refused?.code === "SPL-002", "a newer format", refused?.message);
      must(formatOf(file) === now + 1, "it was touched", readdirSync(rig.dir));
      toFormat(file, 1);
      await rig.start();
      const pending = [rig.pending("a"), rig.pending("b")];
      must(
        pending.every((points) => points === rig.acknowledged),
        "what is pending",
        pending,
      );
      await Promise.all([rig.a.start(), rig.b.start()]);
      await Promise.all([rig.caughtUp("a"), rig.caughtUp("b")]);
      await rig.stop();
      must(formatOf(file) === now, "it was not brought up to date", formatOf(file));
      return { "read format": 1, "own format": now, "refused format": now + 1 };
    },
  },
]);

function formatOf(file: string): number {
  const database = new Database(file, { readonly: true });
  const version = Number(database.pragma("user_version", { simple: true }));
  database.close();
  return version;
}

/** The same spool as an older build would have written it: its tables, and of their columns those that there were. */
function toFormat(file: string, version: number): void {
  const older = `${file}.older`;
  const database = new Database(older);
  database.exec(spoolFormat.versions.slice(0, version).join(""));
  const tables = database.prepare<[], string>("select name from sqlite_master where type = 'table'").pluck().all();
  database.exec(`attach '${file}' as newer`);
  for (const table of tables.filter((name) => !name.startsWith("sqlite_"))) {
    const columns = (schema: string): string[] =>
      (database.pragma(`${schema}.table_info(${table})`) as { name: string }[]).map(({ name }) => name);
    const known = columns("newer");
    const common = columns("main").filter((name) => known.includes(name));
    database.exec(`insert into main.${table} (${common}) select ${common} from newer.${table}`);
  }
  database.exec(`detach newer; pragma user_version = ${version}`);
  database.close();
  renameSync(older, file);
}
