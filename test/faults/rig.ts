/**
 * What every fault of the replicated store is played on: two real InfluxDBs behind proxies of ours, the store over them,
 * a generator that writes on and on and keeps its own ledger, and the question at the end: is everything that was
 * acknowledged on both servers, once, with its value, and is every point in exactly one account?
 */
import type { ChildProcess } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Point, Priority } from "../../src/core/model.ts";
import type { Clock, Log, Reading, ReplicaStatus } from "../../src/core/ports.ts";
import { messageOf, type Problem } from "../../src/core/problem.ts";
import { stopwatch, systemClock } from "../../src/core/time.ts";
import type { Mirror } from "../../src/store/mirror.ts";
import { type Influx, type InfluxOptions, startInflux } from "../support/servers/influx.ts";
import { end, spawnBound } from "../support/servers/process.ts";
import { startProxy, type TcpProxy } from "../support/servers/proxy.ts";
import { startTraced } from "../support/servers/strace.ts";
import { database, type Load, measurement, openMirror, pointsAt, valueAt } from "./load.ts";

/** Points that are compared copy with copy, one by one; of more, sums are, and each with the ledger in any case. */
const deepPointsMax = 500_000;

export type RigOptions = {
  readonly a?: InfluxOptions;
  readonly b?: InfluxOptions;
  /** Folder of the spool. Default: one of its own. */
  readonly dir?: string;
  /** Default: 500 series every 100 ms, which are 5,000 points a second. */
  readonly load?: Partial<Load>;
  /** True: the store is not opened yet. Default false. */
  readonly stopped?: boolean;
};

type Line = { readonly level: "warn" | "error"; readonly text: string };

/** One tick of the generator: all its points were acknowledged, or the whole write was not. */
type Tick = { readonly timeMs: number; readonly acknowledged: boolean; readonly atMs: number; readonly tookMs: number };

/** A generator that is a process of its own. */
export type Child = {
  readonly process: ChildProcess;
  /** Where signals go: not the process that traces it. */
  readonly pid: number;
  /** Until the store is open; false if it ended before. */
  readonly open: Promise<boolean>;
  readonly ended: Promise<{ readonly code: number | null; readonly signal: string | null; readonly text: string }>;
};

export class Rig implements AsyncDisposable {
  readonly a: Influx;
  readonly b: Influx;
  readonly proxyA: TcpProxy;
  readonly proxyB: TcpProxy;
  readonly dir: string;
  readonly load: Load;
  readonly lines: Line[] = [];
  /** By time. A tick that was refused and later taken is taken. */
  readonly ticks = new Map<number, Tick>();
  readonly refusals: Problem[] = [];
  broken: Problem | null = null;
  readonly #ownDir: boolean;
  readonly #children = new Set<ChildProcess>();
  #mirror: Mirror | null = null;
  #skewMs = 0;
  #generating: AbortController | null = null;
  #generated: Promise<void> = Promise.resolve();
  #nextMs = 0;

  static async open(options: RigOptions = {}): Promise<Rig> {
    const [a, b] = await Promise.all([startInflux(options.a ?? {}), startInflux(options.b ?? {})]);
    const [proxyA, proxyB] = await Promise.all([startProxy(a.port), startProxy(b.port)]);
    const rig = new Rig(options, a, b, proxyA, proxyB);
    if (options.stopped !== true) await rig.start();
    return rig;
  }

  private constructor({ dir, load }: RigOptions, a: Influx, b: Influx, proxyA: TcpProxy, proxyB: TcpProxy) {
    this.a = a;
    this.b = b;
    this.proxyA = proxyA;
    this.proxyB = proxyB;
    this.#ownDir = dir === undefined;
    this.dir = dir ?? mkdtempSync(join(tmpdir(), "bellwether-rig-"));
    this.load = {
      file: join(this.dir, "spool.db"),
      urls: { a: proxyA.url, b: proxyB.url },
      series: 500,
      tickMs: 100,
      keepRawMs: null,
      spoolBytesMax: 1e9,
      pace: {},
      userOfB: null,
      ...load,
    };
  }

  get mirror(): Mirror {
    if (this.#mirror === null) throw new Error("the store is stopped");
    return this.#mirror;
  }

  /** Real time, and what a fault jumps over: windows close when nobody has written to them for a while. */
  readonly clock: Clock = { nowMs: () => systemClock.nowMs() + this.#skewMs, sleep: systemClock.sleep };

  jump(ms: number): void {
    this.#skewMs += ms;
  }

  /** Opens the store; returns how long that took, in ms. */
  async start(): Promise<number> {
    const elapsedMs = stopwatch();
    const keep = (level: Line["level"]) => (_: object, text: string) => void this.lines.push({ level, text });
    const log: Log = { debug: () => {}, info: () => {}, warn: keep("warn"), error: keep("error") };
    const onBroken = (problem: Problem): void => {
      this.broken = problem;
    };
    this.#mirror = await openMirror(this.load, { clock: this.clock, log, onBroken });
    return elapsedMs();
  }

  async stop(): Promise<void> {
    const mirror = this.#mirror;
    this.#mirror = null;
    await mirror?.[Symbol.asyncDispose]();
  }

  /** Everybody who lets go of a server's connections does so: it ends, and comes back on the same port. */
  async restart(server: Influx, downMs = 0): Promise<void> {
    await server.kill();
    await sleep(downMs);
    await server.start();
  }

  // ---- the generator ------------------------------------------------------------------------------------------

  /** Writes ticks, one after the other, as time passes; those that were refused are in the ledger as not acknowledged. */
  generate(priority: Priority = "medium"): void {
    const { tickMs } = this.load;
    const stop = new AbortController();
    this.#generating = stop;
    this.#generated = (async () => {
      this.#nextMs = Math.max(this.#nextMs, Math.floor(Date.now() / tickMs) * tickMs);
      while (!stop.signal.aborted) {
        const timeMs = this.#nextMs;
        this.#nextMs += tickMs;
        await this.tick(timeMs, priority);
        const restMs = timeMs + tickMs - Date.now();
        if (restMs > 0) await sleep(restMs);
      }
    })();
  }

  /** @param extra points of other measurements, in the same write */
  async tick(timeMs: number, priority: Priority = "medium", extra: readonly Point[] = []): Promise<boolean> {
    const elapsedMs = stopwatch();
    const origin = { sampler: "generator", priority, slotMs: timeMs };
    const acknowledged = await this.mirror.write([...pointsAt(this.load, timeMs), ...extra], origin).then(
      ({ rejected }) => rejected.length === 0,
      (problem: Problem) => {
        this.refusals.push(problem);
        return false;
      },
    );
    this.#note({ timeMs, acknowledged, atMs: Date.now(), tookMs: elapsedMs() });
    return acknowledged;
  }

  /** `count` ticks as fast as they are taken, each at a time of its own in the newest past. */
  async burst(count: number): Promise<void> {
    const { tickMs } = this.load;
    const last = Math.max(this.#nextMs, Math.floor(Date.now() / tickMs) * tickMs);
    for (let tick = 0; tick < count; tick += 1) await this.tick(last + tick * tickMs);
    this.#nextMs = last + count * tickMs;
  }

  #note(tick: Tick): void {
    const before = this.ticks.get(tick.timeMs);
    this.ticks.set(tick.timeMs, { ...tick, acknowledged: tick.acknowledged || before?.acknowledged === true });
  }

  async rest(): Promise<void> {
    this.#generating?.abort();
    await this.#generated;
  }

  /** Starts a generator as a process of its own. The store must be stopped: it takes the spool. */
  async spawn(
    options: { inject?: readonly string[]; node?: readonly string[]; hoardBytes?: number } = {},
  ): Promise<Child> {
    const script = join(import.meta.dirname, "generator.ts");
    const args = [
      ...(options.node ?? []),
      script,
      JSON.stringify(this.load),
      this.#ledger,
      String(options.hoardBytes ?? 0),
    ];
    const { file } = this.load;
    const tracing = { files: [file, `${file}-wal`], inject: options.inject ?? [] };
    const traced = options.inject === undefined ? null : await startTraced(tracing, process.execPath, args);
    const child = traced?.child ?? spawnBound(process.execPath, args, { stdio: "pipe" });
    this.#children.add(child);
    let text = "";
    child.stderr?.on("data", (data) => (text += data));
    const ended = new Promise<Awaited<Child["ended"]>>((done) => {
      child.on("close", (code, signal) => {
        this.#children.delete(child);
        done({ code, signal, text });
      });
    });
    const opened = new Promise<boolean>((done) => child.stdout?.once("data", () => done(true)));
    const open = Promise.race([opened, ended.then(() => false)]);
    return { process: child, pid: traced?.pid ?? (child.pid as number), open, ended };
  }

  get #ledger(): string {
    return join(this.dir, "ledger");
  }

  /** Takes up what generators of their own have written down. */
  readLedger(): void {
    if (!existsSync(this.#ledger)) return;
    const lines = readFileSync(this.#ledger, "utf8").split("\n").slice(0, -1);
    for (const line of lines) {
      const [what, time] = line.split(" ") as [string, string];
      this.#note({ timeMs: Number(time), acknowledged: what === "ack", atMs: Number(time), tookMs: 0 });
    }
  }

  // ---- waiting ------------------------------------------------------------------------------------------------

  async until(what: string, holds: () => boolean | Promise<boolean>, timeoutMs = 20_000): Promise<number> {
    const elapsedMs = stopwatch();
    while (!(await holds())) {
      if (elapsedMs() > timeoutMs) throw new Error(`not within ${timeoutMs} ms: ${what}`);
      await sleep(20);
    }
    return elapsedMs();
  }

  /** Until the store has said so. */
  told(text: string, timeoutMs?: number): Promise<number> {
    return this.until(`the log says "${text}"`, () => this.lines.some((line) => line.text.includes(text)), timeoutMs);
  }

  status(target: string): ReplicaStatus {
    return this.mirror.status().replicas.find(({ name }) => name === target) as ReplicaStatus;
  }

  lane(target: string, bucket = ""): ReplicaStatus["lanes"][number] {
    return this.status(target).lanes.find((lane) => lane.bucket === bucket) as ReplicaStatus["lanes"][number];
  }

  pending(target: string): number {
    return this.status(target).accounts.reduce((sum, { pending }) => sum + pending, 0);
  }

  requests(target: string): number {
    return this.status(target).lanes.reduce((sum, { requests }) => sum + requests, 0);
  }

  measure(name: string): number {
    return this.mirror.measures().find((measure) => measure.name === name)?.value ?? 0;
  }

  /** Points that repair has written so far. */
  repaired(): number {
    return this.measure("bellwether_replica_points_repaired_total");
  }

  /** Until a copy has everything; returns how long that took, in ms. */
  caughtUp(target: string, timeoutMs?: number): Promise<number> {
    return this.until(`${target} has everything`, () => this.pending(target) === 0, timeoutMs);
  }

  /** Whatever looks after the copies does so now, with all windows closed. */
  async tend(): Promise<void> {
    this.jump(10 * 60_000);
    await this.mirror.tendNow(AbortSignal.timeout(120_000));
  }

  // ---- reading ------------------------------------------------------------------------------------------------

  /** All that there is, through the store. */
  read(fromMs = Date.now() - 3_600_000): Promise<Reading> {
    const windows = [{ fromMs, toMs: Date.now() + 3_600_000 }];
    return this.mirror.read({ measurement, fields: ["n"], windows });
  }

  /** Points since `fromMs` that were acknowledged before `beforeMs`, and that an answer lacks or has otherwise. */
  missingIn({ series }: Reading, beforeMs: number, fromMs = 0): number {
    const found = new Map<string, number>();
    for (const { tags, timesMs, values } of series) {
      for (const [index, timeMs] of timesMs.entries()) found.set(`${tags.s} ${timeMs}`, values[index] as number);
    }
    let missing = 0;
    for (const { timeMs, acknowledged, atMs } of this.ticks.values()) {
      if (!acknowledged || atMs >= beforeMs || timeMs < fromMs) continue;
      for (let one = 0; one < this.load.series; one += 1) {
        if (found.get(`s${one} ${timeMs}`) !== valueAt(this.load, one, timeMs)) missing += 1;
      }
    }
    return missing;
  }

  // ---- the question -------------------------------------------------------------------------------------------

  /** What a server holds, straight from it: series and time to value. */
  async stored(server: Influx): Promise<Map<string, number>> {
    const found = new Map<string, number>();
    const { results } = await server.query(`select n from ${measurement} group by s`, database);
    for (const { tags, values } of results[0]?.series ?? []) {
      for (const [timeMs, value] of values) found.set(`${tags?.s} ${timeMs}`, value as number);
    }
    return found;
  }

  /** Points of the ledger that a server lacks or holds otherwise, and points that nobody wrote. */
  async compare(server: Influx): Promise<{ lost: number; wrong: number; invented: number }> {
    const stored = await this.stored(server);
    const counts = { lost: 0, wrong: 0, invented: 0 };
    let known = 0;
    for (const { timeMs, acknowledged } of this.ticks.values()) {
      for (let series = 0; series < this.load.series; series += 1) {
        const value = stored.get(`s${series} ${timeMs}`);
        if (value !== undefined) known += 1;
        if (value === undefined) counts.lost += acknowledged ? 1 : 0;
        else if (value !== valueAt(this.load, series, timeMs)) counts.wrong += 1;
      }
    }
    counts.invented = stored.size - known;
    return counts;
  }

  /** Points of the ledger that were acknowledged. */
  get acknowledged(): number {
    return [...this.ticks.values()].filter(({ acknowledged }) => acknowledged).length * this.load.series;
  }

  /**
   * Everything on both, every point in one account.
   * @returns for the table of faults
   * @throws Error that tells the story where it does not come so far
   */
  async settle(): Promise<{ points: number; lost: number; wrong: number; invented: number; differing: number }> {
    await this.rest();
    if (this.#mirror === null) await this.start();
    this.readLedger();
    await this.caughtUp("a", 60_000);
    await this.caughtUp("b", 60_000);
    await this.tend();
    const [a, b] = [await this.compare(this.a), await this.compare(this.b)];
    const toMs = Math.ceil((Date.now() + 10 * 60_000) / 300_000) * 300_000;
    const fromMs = Math.floor(Math.min(toMs - 3_600_000, ...this.ticks.keys()) / 300_000) * 300_000;
    const deep = this.acknowledged <= deepPointsMax;
    const { differing } = await this.mirror.compare({ fromMs, toMs }, deep, AbortSignal.timeout(120_000));
    this.checkAccounts();
    return {
      points: this.acknowledged,
      lost: a.lost + b.lost,
      wrong: a.wrong + b.wrong,
      invented: a.invented + b.invented,
      differing: differing.length,
    };
  }

  /** spooled = acknowledged + pending + shelved + expired, and pending is what lies in the log. */
  checkAccounts(): void {
    for (const { accounts } of this.mirror.status().replicas) {
      for (const account of accounts) {
        const { spooled, acknowledged, pending, shelved, expired, inLog } = account;
        if (spooled === acknowledged + pending + shelved + expired && pending === inLog) continue;
        throw new Error(`an account does not hold: ${JSON.stringify(account)}`);
      }
    }
  }

  /** p99 of writes that ended in `[fromMs, toMs)`, ms. */
  p99(fromMs: number, toMs: number): number {
    const own = [...this.ticks.values()].filter(({ atMs }) => atMs >= fromMs && atMs < toMs);
    return percentile(
      own.map(({ tookMs }) => tookMs),
      0.99,
    );
  }

  story(): string {
    let status = "";
    try {
      status = JSON.stringify(this.#mirror?.status(), null, 1);
    } catch (thrown) {
      status = messageOf(thrown);
    }
    const lines = this.lines.slice(-40).map(({ level, text }) => `${level} ${text}`);
    return `${lines.join("\n")}\n${status}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.rest();
    for (const child of this.#children) await end(child, "SIGKILL");
    await this.stop();
    await Promise.all([this.proxyA[Symbol.asyncDispose](), this.proxyB[Symbol.asyncDispose]()]);
    await Promise.all([this.a[Symbol.asyncDispose](), this.b[Symbol.asyncDispose]()]);
    if (this.#ownDir) rmSync(this.dir, { recursive: true, force: true });
  }
}

/** @param share 0 to 1 */
export function percentile(values: readonly number[], share: number): number {
  return values.toSorted((x, y) => x - y)[Math.floor(values.length * share)] ?? Number.NaN;
}
