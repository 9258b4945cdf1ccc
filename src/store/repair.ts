/**
 * Finds where copies differ and has it mended.
 *
 *   sweep    windows that were written to lately, once nobody writes to them any more: compared, mended, summed, sealed
 *   verify   everything that a copy in doubt stores (new, restarted, emptied, restored), the newest first
 *
 * Both go in steps, and one step at a time is done: who asks by hand waits for a step, not for hours.
 */
import { counter, gauge } from "../core/measure.ts";
import type { TimeWindow } from "../core/model.ts";
import type { Bucket, ComparisonFound, Log, Measure, PieceSummary, Replica } from "../core/ports.ts";
import { messageOf, Problem } from "../core/problem.ts";
import { dayMs, deadline, floorToStep, hourMs, minuteMs, secondMs, stopwatch } from "../core/time.ts";
import type { Catalogue } from "./catalogue.ts";
import { Coarser, type CoarserDeps } from "./coarser.ts";
import { differingPieces } from "./compare.ts";
import { askTimeoutMs, type MendDeps, Mender, mendPoints, type Range, type Tally } from "./mend.ts";
import type { WindowKey } from "./spool.ts";
import { type Window, windowMs } from "./windows.ts";

/** A window is closed when nobody wrote to it for so long. */
const quietMs = 2 * minuteMs;
/** Windows that one sweep looks at; the next one goes on. */
const sweepMax = 5_000;
const sweepEveryMs = minuteMs;
/** Windows that differ for good are looked at again in one of so many sweeps: somebody may have mended them. */
const sweepsUntilAgain = 60;
/** What one question of a verification spans: doubled while answers are quick, halved while they are slow or late. */
const spanMs = { least: hourMs, first: dayMs, most: 28 * dayMs };
const quickMs = 500;
const slowMs = 5 * secondMs;

export type RepairDeps = MendDeps &
  CoarserDeps & {
    readonly buckets: readonly Bucket[];
    readonly catalogue: Catalogue;
    readonly log: Log;
    /** How far back there are points, ms. */
    readonly horizonMs: number;
    /** Whether a copy answers; one that does not is not waited for. */
    readonly isWell: (target: string) => boolean;
  };

/** A window whose sums differ, and about how many points it holds. */
type Differing = WindowKey & { readonly points: number };

export class Repairer {
  readonly #deps: RepairDeps;
  readonly #mender: Mender;
  readonly #coarser: Coarser;
  #turn: Promise<unknown> = Promise.resolve();
  #counts = { compared: 0, sealed: 0, differing: 0, repaired: 0, failures: 0 };
  #fault: { readonly reason: string; readonly sinceMs: number } | null = null;

  constructor(deps: RepairDeps) {
    this.#deps = deps;
    this.#mender = new Mender(deps);
    this.#coarser = new Coarser(deps);
  }

  /** Why the latest comparison was not made, and since when none is; null if it was. */
  get fault(): { readonly reason: string; readonly sinceMs: number } | null {
    return this.#fault;
  }

  async run(signal: AbortSignal): Promise<void> {
    for (let round = 0; !signal.aborted; round += 1) {
      const faults = [
        await this.#attempt(() => this.verify(signal), signal),
        await this.#attempt(() => this.sweep(signal, round % sweepsUntilAgain === 0), signal),
      ].filter((fault) => fault !== null);
      const [reason] = faults;
      const sinceMs = this.#fault?.sinceMs ?? this.#deps.clock.nowMs();
      this.#fault = reason === undefined ? null : { reason, sinceMs };
      await this.#deps.timer.sleep(sweepEveryMs, signal).catch(() => {});
    }
  }

  async #attempt(work: () => Promise<unknown>, signal: AbortSignal): Promise<string | null> {
    try {
      await work();
      return null;
    } catch (thrown) {
      if (signal.aborted) return null;
      this.#counts.failures += 1;
      const reason = messageOf(thrown);
      this.#deps.log.warn({ err: thrown }, `copies could not be compared: ${reason}`);
      return reason;
    }
  }

  /**
   * Compares, mends, sums and seals the windows that are closed. One group that fails holds up no other.
   * @param again also those that differ for good
   */
  async sweep(signal: AbortSignal, again = false): Promise<ComparisonFound> {
    const { windows, spool, clock, replicas, isWell } = this.#deps;
    const tally = newTally();
    if (!replicas.every(({ name }) => isWell(name))) return tally;
    const { readyBeforeMs } = this.#coarser;
    const closed = windows.closed(spool.handedOver(), clock.nowMs() - quietMs, sweepMax, { again });
    const faults: unknown[] = [];
    for (const group of neighbours(closed.filter(({ startMs }) => startMs + windowMs <= readyBeforeMs))) {
      await this.#alone(() => this.#sweepGroup(group, tally, signal)).catch((thrown) => faults.push(thrown));
      signal.throwIfAborted();
    }
    if (faults.length > 0) throw faults[0];
    return tally;
  }

  async #sweepGroup(group: readonly Window[], tally: Tally, signal: AbortSignal): Promise<void> {
    const { windows, replicas } = this.#deps;
    const range = rangeOf(group);
    const own = new Set(group.map(({ startMs }) => startMs));
    const found = await this.#differing(replicas, range, signal);
    const open = await this.#mendAll(
      replicas,
      found.filter(({ startMs }) => own.has(startMs)),
      tally,
      signal,
    );
    await this.#coarser.sumSealed(range.measurement, group, signal);
    const equal = group.filter(({ startMs }) => !open.has(startMs));
    windows.seal(equal);
    tally.windows += group.length;
    this.#counts.compared += group.length;
    this.#counts.sealed += equal.length;
  }

  /** Compares all that copies in doubt store; what was compared is remembered, for the next try and for reads. */
  async verify(signal: AbortSignal): Promise<ComparisonFound> {
    const { replicas, spool, windows, clock, isWell } = this.#deps;
    const tally = newTally();
    const beganMs = clock.nowMs();
    const copies = replicas.filter(({ name }) => isWell(name));
    const doubts = new Map<string, number>();
    for (const { name } of copies) {
      const { verifyReason, doubt } = spool.target(name);
      if (verifyReason !== null) doubts.set(name, doubt);
    }
    // One copy alone has nothing to be compared with; of several, another one must answer.
    if (doubts.size === 0 || (replicas.length > 1 && copies.length < 2)) return tally;
    if (replicas.length > 1) {
      const from = [...doubts.keys()].map((name) => spool.target(name).verifiedFromMs ?? Number.POSITIVE_INFINITY);
      const toMs = Math.min(floorToStep(clock.nowMs() + dayMs, windowMs), Math.max(...from));
      if (!(await this.#verifyBack(copies, doubts, toMs, tally, signal))) return tally;
      await this.#fillCoarser(copies, tally, signal);
    }
    for (const [name, doubt] of doubts) {
      if (!spool.endDoubt(name, doubt)) continue;
      windows.clean(name, beganMs);
      this.#deps.log.info({ target: name, repaired: tally.repaired }, `all that ${name} stores was compared`);
    }
    return tally;
  }

  /** @returns false if there is a newer doubt: then it begins anew */
  async #verifyBack(
    copies: readonly Replica[],
    doubts: ReadonlyMap<string, number>,
    fromTopMs: number,
    tally: Tally,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { spool, clock, horizonMs } = this.#deps;
    const measurements = await this.#measurements(copies, signal);
    let stepMs = spanMs.first;
    // What is about to be forgotten is not worth filling in: some servers have forgotten it already.
    const endMs = () => floorToStep(clock.nowMs() - horizonMs + hourMs, windowMs);
    for (let toMs = fromTopMs; toMs > endMs(); ) {
      const window = { fromMs: Math.max(endMs(), floorToStep(toMs - stepMs, windowMs)), toMs };
      const elapsedMs = stopwatch();
      const before = tally.repaired;
      try {
        for (const measurement of measurements) {
          await this.#alone(async () => {
            await this.#mendAll(copies, await this.#differing(copies, { measurement, window }, signal), tally, signal);
          });
        }
      } catch (thrown) {
        if (signal.aborted || stepMs <= spanMs.least || !(thrown instanceof Problem && thrown.retryable)) throw thrown;
        stepMs = Math.max(spanMs.least, stepMs / 2);
        continue;
      }
      if (elapsedMs() < quickMs) stepMs = Math.min(stepMs * 2, spanMs.most);
      else if (elapsedMs() > slowMs && tally.repaired === before) stepMs = Math.max(stepMs / 2, spanMs.least);
      toMs = window.fromMs;
      for (const [name, doubt] of doubts) if (!spool.progress(name, doubt, toMs)) return false;
    }
    return true;
  }

  /**
   * Sums and means that a copy lacks: raw points may be too young to make them of. Where two differ, both stay; a bucket
   * that a server does not have is its set-up's fault, and named there.
   */
  async #fillCoarser(copies: readonly Replica[], tally: Tally, signal: AbortSignal): Promise<void> {
    const { buckets, clock, log } = this.#deps;
    for (const { name: bucket, everyMs, keepMs } of buckets) {
      if (everyMs === null || keepMs === null) continue;
      const toMs = floorToStep(clock.nowMs(), dayMs) + dayMs;
      const window = { fromMs: floorToStep(clock.nowMs() - keepMs, dayMs) + 2 * dayMs, toMs };
      for (const measurement of await this.#measurements(copies, signal)) {
        try {
          await this.#alone(() => this.#fillBucket(copies, bucket, { measurement, window }, tally, signal));
        } catch (thrown) {
          if (!(thrown instanceof Problem) || thrown.retryable) throw thrown;
          log.warn({ err: thrown, bucket }, `${bucket} could not be filled: ${thrown.message}`);
          break;
        }
      }
    }
  }

  async #fillBucket(
    copies: readonly Replica[],
    bucket: string,
    range: Range,
    tally: Tally,
    signal: AbortSignal,
  ): Promise<void> {
    for (const startMs of differingPieces(await summarized(copies, range, dayMs, signal, bucket))) {
      const day = { measurement: range.measurement, window: { fromMs: startMs, toMs: startMs + dayMs } };
      await this.#mender.fill(copies, bucket, day, tally, signal);
    }
  }

  /**
   * Where copies differ in a window of time, changing nothing.
   * @param deep true: point by point, which also finds texts of equal number and values exchanged among series
   */
  compare(window: TimeWindow, deep: boolean, signal: AbortSignal): Promise<ComparisonFound> {
    return this.#look(window, deep, signal, async (_, found, handedOver, tally) => {
      const closed = found.filter((each) => !this.#isOpen(each, handedOver));
      tally.differing.push(...closed.map(({ measurement, startMs }) => ({ measurement, startMs })));
    });
  }

  repair(window: TimeWindow, deep: boolean, signal: AbortSignal): Promise<ComparisonFound> {
    return this.#look(window, deep, signal, async (copies, found, _, tally) => {
      await this.#mendAll(copies, found, tally, signal);
    });
  }

  async #look(
    window: TimeWindow,
    deep: boolean,
    signal: AbortSignal,
    use: (copies: readonly Replica[], found: Differing[], handedOver: number, tally: Tally) => Promise<void>,
  ): Promise<ComparisonFound> {
    const { replicas, spool } = this.#deps;
    const tally = newTally();
    for (const measurement of await this.#measurements(replicas, signal)) {
      for (let toMs = window.toMs; toMs > window.fromMs; ) {
        const fromMs = Math.max(window.fromMs, floorToStep(toMs - (deep ? windowMs : spanMs.first), windowMs));
        const range = { measurement, window: { fromMs, toMs } };
        tally.windows += Math.ceil((toMs - fromMs) / windowMs);
        toMs = fromMs;
        await this.#alone(async () => {
          const handedOver = spool.handedOver();
          const found = await (deep ? this.#deeply(replicas, range, signal) : this.#differing(replicas, range, signal));
          await use(replicas, found, handedOver, tally);
        });
      }
    }
    return tally;
  }

  /** One step at a time. */
  #alone<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work);
    this.#turn = turn.catch(() => {});
    return turn;
  }

  /** Whether a window held batches that not all copies had up to `seq`: that it differs then says nothing yet. */
  #isOpen(key: WindowKey, seq: number): boolean {
    const window = this.#deps.windows.get(key);
    return window !== null && window.differs === null && window.lastSeq > seq;
  }

  async #measurements(copies: readonly Replica[], signal: AbortSignal): Promise<string[]> {
    const stored = await Promise.all(copies.map((replica) => replica.fields(deadline(askTimeoutMs, signal))));
    const known = this.#deps.catalogue.measurements();
    return [...new Set([...known, ...stored.flat().map(({ measurement }) => measurement)])].sort();
  }

  async #differing(copies: readonly Replica[], range: Range, signal: AbortSignal): Promise<Differing[]> {
    const { measurement } = range;
    const summed = await summarized(copies, range, windowMs, signal);
    const points = new Map<number, number>();
    for (const { startMs, fields } of summed.flat()) {
      points.set(startMs, Math.max(points.get(startMs) ?? 0, ...fields.map(({ count }) => count)));
    }
    return differingPieces(summed).map((startMs) => ({ measurement, startMs, points: points.get(startMs) ?? 0 }));
  }

  async #deeply(copies: readonly Replica[], range: Range, signal: AbortSignal): Promise<Differing[]> {
    const differences = await this.#mender.differences(copies, range, signal);
    const starts = new Set(differences.map(({ point }) => floorToStep(point.timeMs, windowMs)));
    return [...starts].map((startMs) => ({ measurement: range.measurement, startMs, points: 0 }));
  }

  /** Neighbours together, as long as they are not too many points at once. @returns those that differ still */
  async #mendAll(
    copies: readonly Replica[],
    found: readonly Differing[],
    tally: Tally,
    signal: AbortSignal,
  ): Promise<Set<number>> {
    const open = new Set<number>();
    const [repaired, differing] = [tally.repaired, tally.differing.length];
    for (const group of gathered(found)) {
      const range = rangeOf(group);
      const points = group.reduce((sum, each) => sum + each.points, 0);
      const before = tally.repaired;
      for (const startMs of await this.#mender.mend(copies, range, points, tally, signal)) open.add(startMs);
      if (tally.repaired === before) continue;
      for (const replica of copies) await this.#coarser.sum(replica, range.measurement, range.window, signal);
    }
    this.#counts.repaired += tally.repaired - repaired;
    this.#counts.differing += tally.differing.length - differing;
    return open;
  }

  measures(): Measure[] {
    const { compared, sealed, differing, repaired, failures } = this.#counts;
    return [
      counter("replica_windows_compared", "Windows of five minutes compared among the copies.", compared),
      counter("replica_windows_sealed", "Windows found equal.", sealed),
      counter("replica_windows_differing", "Windows in which copies differed.", differing),
      counter("replica_points_repaired", "Points written to copies that lacked them.", repaired),
      counter("replica_roll_ups", "Stretches summed into a coarser bucket by us.", this.#coarser.count),
      counter("replica_comparisons_failed", "Comparisons that a server did not answer.", failures),
      gauge("repair_points_per_second_limit", "Points a second that repair may write.", this.#deps.pointsPerSecondMax),
    ];
  }
}

function newTally(): Tally {
  return { windows: 0, differing: [], repaired: 0, undecided: [] };
}

/** What each copy has, in pieces of `everyMs`. */
function summarized(
  copies: readonly Replica[],
  { measurement, window }: Range,
  everyMs: number,
  signal: AbortSignal,
  bucket?: string,
): Promise<(readonly PieceSummary[])[]> {
  const soon = deadline(askTimeoutMs, signal);
  return Promise.all(copies.map((replica) => replica.summarize(measurement, window, everyMs, soon, bucket)));
}

/** From the first to the end of the last of some windows, ascending. */
function rangeOf(group: readonly WindowKey[]): Range {
  const first = group[0] as WindowKey;
  return {
    measurement: first.measurement,
    window: { fromMs: first.startMs, toMs: (group.at(-1)?.startMs ?? 0) + windowMs },
  };
}

/** Windows of one measurement that lie within a day, together and ascending. */
function neighbours(windows: readonly Window[]): Window[][] {
  const groups: Window[][] = [];
  for (const [, own] of Map.groupBy(windows, ({ measurement }) => measurement)) {
    let group: Window[] = [];
    for (const window of own.toSorted((a, b) => a.startMs - b.startMs)) {
      if (group.length > 0 && window.startMs - (group[0] as Window).startMs >= dayMs) {
        groups.push(group);
        group = [];
      }
      group.push(window);
    }
    if (group.length > 0) groups.push(group);
  }
  return groups;
}

/** Neighbouring windows together, as long as they hold few enough points to be read at once. */
function gathered(found: readonly Differing[]): Differing[][] {
  const groups: Differing[][] = [];
  let points = 0;
  for (const window of found) {
    const group = groups.at(-1);
    const last = group?.at(-1);
    points += window.points;
    if (
      group !== undefined &&
      last !== undefined &&
      window.startMs - last.startMs === windowMs &&
      points <= mendPoints
    ) {
      group.push(window);
    } else {
      groups.push([window]);
      points = window.points;
    }
  }
  return groups;
}
