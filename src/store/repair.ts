/**
 * Finds where copies differ and writes only what is lacking.
 *
 *   sweep    windows that were written to lately, once nobody writes to them any more: compared, repaired, sealed
 *   verify   everything that a target in doubt stores (new, restarted, emptied, restored), the newest first
 *
 * A value that one copy lacks is taken from the other. Of two different values the one in the spool is right, else that
 * of the copy that was never in doubt; where neither tells, it is reported and not guessed.
 */
import { gunzipSync, gzipSync } from "node:zlib";
import type { FieldValue, Point, TimeWindow } from "../core/model.ts";
import type { Bucket, Clock, ComparisonFound, Log, Measure, Replica } from "../core/ports.ts";
import { messageOf, Problem } from "../core/problem.ts";
import { dayMs, deadline, floorToStep, formatTimeUtc, hourMs, minuteMs, secondMs, stopwatch } from "../core/time.ts";
import type { Catalogue } from "./catalogue.ts";
import { type Difference, differencesOf, differingPieces, pointKey } from "./compare.ts";
import { lineOf, parseLines, seriesKey } from "./line.ts";
import type { Spool, WindowKey } from "./spool.ts";
import { type Window, type Windows, windowMs } from "./windows.ts";

/** A window is closed when nobody wrote to it for so long. */
const quietMs = 2 * minuteMs;
/** Windows that one sweep looks at; the next one goes on. */
const sweepMax = 5_000;
const sweepEveryMs = minuteMs;

const askTimeoutMs = 2 * minuteMs;
/** What one question of a verification spans: doubled while answers are quick, halved while they are slow. */
const spanMs = { least: hourMs, first: dayMs, most: 28 * dayMs };
const quickMs = 500;
const slowMs = 5 * secondMs;
/** Points that are read of each copy, and sent, at once. */
const readPoints = 50_000;
const sendPoints = 5_000;
/** The servers' own down-sampling takes up points that are late by so much; later ones are summed again. */
const lateMs = hourMs;

export type RepairDeps = {
  readonly replicas: readonly Replica[];
  readonly buckets: readonly Bucket[];
  readonly spool: Spool;
  readonly windows: Windows;
  readonly catalogue: Catalogue;
  readonly clock: Clock;
  readonly timer: Clock;
  readonly log: Log;
  /** How far back there are points, ms. */
  readonly horizonMs: number;
  readonly pointsPerSecondMax: number;
  /** Whether a server fills its coarser buckets by itself. */
  readonly rollsUp: (target: string) => boolean;
  /** Hands over points of a coarser bucket, for servers that do not. */
  readonly append: (bucket: string, points: readonly Point[]) => Promise<void>;
};

type Range = { readonly measurement: string; readonly window: TimeWindow };
type Tally = { windows: number; differing: WindowKey[]; repaired: number; undecided: string[] };
/** A window whose sums differ, and about how many points it holds. */
type Differing = WindowKey & { readonly points: number };

export class Repairer {
  readonly #deps: RepairDeps;
  #turn: Promise<unknown> = Promise.resolve();
  #counts = { compared: 0, sealed: 0, differing: 0, repaired: 0, undecided: 0, rolledUp: 0, failures: 0 };
  #lastError: string | null = null;

  constructor(deps: RepairDeps) {
    this.#deps = deps;
  }

  get lastError(): string | null {
    return this.#lastError;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { timer, log } = this.#deps;
    while (!signal.aborted) {
      try {
        await this.verify(signal);
        await this.sweep(signal);
        this.#lastError = null;
      } catch (thrown) {
        if (signal.aborted) return;
        this.#counts.failures += 1;
        this.#lastError = messageOf(thrown);
        log.warn({ err: thrown }, `copies could not be compared: ${this.#lastError}`);
      }
      await timer.sleep(sweepEveryMs, signal).catch(() => {});
    }
  }

  /** Compares, repairs and seals the windows that are closed. */
  sweep(signal: AbortSignal): Promise<ComparisonFound> {
    return this.#alone(async () => {
      const { windows, spool, clock, replicas } = this.#deps;
      const tally = newTally();
      if (replicas.length === 0) return tally;
      const closed = windows.closed(spool.handedOver(), clock.nowMs() - quietMs, sweepMax);
      for (const group of neighbours(closed)) {
        const { measurement, window } = rangeOf(group);
        const differing = await this.#differing({ measurement, window }, signal);
        const own = differing.filter(({ startMs }) => group.some((each) => each.startMs === startMs));
        await this.#repairAll(own, tally, signal);
        const still =
          own.length === 0 ? new Set<number>() : await this.#stillDiffering({ measurement, window }, signal);
        windows.seal(group.filter(({ startMs }) => !still.has(startMs)));
        tally.windows += group.length;
        this.#counts.compared += group.length;
        this.#counts.sealed += group.length - still.size;
        await this.#rollUp(measurement, group, signal);
      }
      return tally;
    });
  }

  /** Compares all that targets in doubt store, newest first; what was compared is remembered. */
  verify(signal: AbortSignal): Promise<ComparisonFound> {
    return this.#alone(async () => {
      const { replicas, spool, windows, clock, log } = this.#deps;
      const tally = newTally();
      const doubted = replicas.filter(({ name }) => spool.target(name).verifyReason !== null);
      if (doubted.length === 0) return tally;
      // One copy alone has nothing to be compared with.
      const measurements = replicas.length < 2 ? [] : await this.#measurements(signal);
      const untilMs = clock.nowMs() - this.#deps.horizonMs;
      const from = doubted.map(({ name }) => spool.target(name).verifiedFromMs ?? Number.POSITIVE_INFINITY);
      let toMs = Math.min(floorToStep(clock.nowMs() + dayMs, windowMs), Math.max(...from));
      let stepMs = spanMs.first;
      while (toMs > untilMs && !signal.aborted) {
        const fromMs = Math.max(floorToStep(untilMs, windowMs), floorToStep(toMs - stepMs, windowMs));
        const elapsedMs = stopwatch();
        const repairedBefore = tally.repaired;
        for (const measurement of measurements) {
          await this.#repairAll(
            await this.#differing({ measurement, window: { fromMs, toMs } }, signal),
            tally,
            signal,
          );
        }
        const slow = elapsedMs() > slowMs && tally.repaired === repairedBefore;
        if (elapsedMs() < quickMs) stepMs = Math.min(stepMs * 2, spanMs.most);
        else if (slow) stepMs = Math.max(stepMs / 2, spanMs.least);
        for (const { name } of doubted) spool.noteTarget(name, { verifiedFromMs: fromMs });
        toMs = fromMs;
      }
      signal.throwIfAborted();
      for (const { name } of doubted) {
        windows.clean(name);
        spool.noteTarget(name, { verifyReason: null, verifySinceMs: null, verifiedFromMs: null, doubted: false });
        log.info({ target: name, repaired: tally.repaired }, `all that ${name} stores was compared`);
      }
      return tally;
    });
  }

  /**
   * Where copies differ in a window of time, changing nothing.
   * @param deep true: point by point, which also finds texts of equal number and values exchanged among series
   */
  compare(window: TimeWindow, deep: boolean, signal: AbortSignal): Promise<ComparisonFound> {
    return this.#alone(() => this.#look(window, deep, false, signal));
  }

  repair(window: TimeWindow, deep: boolean, signal: AbortSignal): Promise<ComparisonFound> {
    return this.#alone(() => this.#look(window, deep, true, signal));
  }

  async #look(window: TimeWindow, deep: boolean, mend: boolean, signal: AbortSignal): Promise<Tally> {
    const tally = newTally();
    for (const measurement of await this.#measurements(signal)) {
      for (let toMs = window.toMs; toMs > window.fromMs; ) {
        const fromMs = Math.max(window.fromMs, floorToStep(toMs - (deep ? hourMs : spanMs.first), windowMs));
        const part = { measurement, window: { fromMs, toMs } };
        tally.windows += Math.ceil((toMs - fromMs) / windowMs);
        toMs = fromMs;
        const handedOver = this.#deps.spool.handedOver();
        const found = deep ? await this.#deeply(part, signal) : await this.#differing(part, signal);
        if (mend) await this.#repairAll(found, tally, signal);
        else
          tally.differing.push(
            ...found.filter((each) => !this.#isOpen(each, handedOver)).map(({ startMs }) => ({ measurement, startMs })),
          );
      }
    }
    return tally;
  }

  /** One comparison or repair at a time. */
  #alone(work: () => Promise<Tally>): Promise<Tally> {
    const turn = this.#turn.then(work);
    this.#turn = turn.catch(() => {});
    return turn;
  }

  /** Whether a window held batches that not all copies had up to `seq`: that it differs then says nothing yet. */
  #isOpen(key: WindowKey, seq: number): boolean {
    const window = this.#deps.windows.get(key);
    return window !== null && window.differs === null && window.lastSeq > seq;
  }

  async #measurements(signal: AbortSignal): Promise<string[]> {
    const { replicas, catalogue } = this.#deps;
    const stored = await Promise.all(replicas.map((replica) => replica.fields(deadline(askTimeoutMs, signal))));
    return [...new Set([...catalogue.measurements(), ...stored.flat().map(({ measurement }) => measurement)])].sort();
  }

  async #differing({ measurement, window }: Range, signal: AbortSignal): Promise<Differing[]> {
    const soon = deadline(askTimeoutMs, signal);
    const copies = await Promise.all(
      this.#deps.replicas.map((replica) => replica.summarize(measurement, window, windowMs, soon)),
    );
    const points = new Map<number, number>();
    for (const { startMs, fields } of copies.flat()) {
      points.set(startMs, Math.max(points.get(startMs) ?? 0, ...fields.map(({ count }) => count)));
    }
    return differingPieces(copies).map((startMs) => ({ measurement, startMs, points: points.get(startMs) ?? 0 }));
  }

  async #deeply({ measurement, window }: Range, signal: AbortSignal): Promise<Differing[]> {
    const differences = differencesOf(await this.#read(measurement, window, signal));
    const starts = new Set(differences.map(({ point }) => floorToStep(point.timeMs, windowMs)));
    return [...starts].map((startMs) => ({ measurement, startMs, points: 0 }));
  }

  #read(measurement: string, window: TimeWindow, signal: AbortSignal): Promise<(readonly Point[])[]> {
    const soon = deadline(askTimeoutMs, signal);
    return Promise.all(this.#deps.replicas.map((replica) => replica.points(measurement, window, soon)));
  }

  async #stillDiffering(range: Range, signal: AbortSignal): Promise<Set<number>> {
    const again = await this.#differing(range, signal);
    const still = new Set<number>();
    for (const each of again) {
      // What is on a shelf is accounted for: one copy will not have it.
      const differences = this.#unaccounted(
        differencesOf(await this.#read(each.measurement, windowOf(each.startMs), signal)),
      );
      if (differences.length > 0) still.add(each.startMs);
    }
    return still;
  }

  /** Repairs windows, neighbours together as long as they are not too many points at once. */
  async #repairAll(found: readonly Differing[], tally: Tally, signal: AbortSignal): Promise<void> {
    for (const group of gathered(found)) {
      const first = group[0] as Differing;
      const window = { fromMs: first.startMs, toMs: (group.at(-1)?.startMs ?? 0) + windowMs };
      await this.#repairRange({ measurement: first.measurement, window }, tally, signal);
    }
  }

  async #repairRange(range: Range, tally: Tally, signal: AbortSignal): Promise<void> {
    const { windows, spool } = this.#deps;
    const starts = startsOf(range.window);
    const before = starts.map((startMs) => windows.get({ measurement: range.measurement, startMs }));
    const handedOver = spool.handedOver();
    const differences = this.#unaccounted(differencesOf(await this.#read(range.measurement, range.window, signal)));
    const isOpen = (startMs: number): boolean => {
      const index = starts.indexOf(startMs);
      const now = windows.get({ measurement: range.measurement, startMs });
      if (now === null) return false;
      return now.writes !== (before[index]?.writes ?? 0) || now.lastSeq > handedOver;
    };
    const settled = differences.filter(({ point }) => !isOpen(floorToStep(point.timeMs, windowMs)));
    if (settled.length === 0) return;
    const differing = new Set(settled.map(({ point }) => floorToStep(point.timeMs, windowMs)));
    tally.differing.push(...[...differing].map((startMs) => ({ measurement: range.measurement, startMs })));
    this.#counts.differing += differing.size;
    await this.#write(range, settled, tally, signal);
  }

  /** Differences that no shelf explains. */
  #unaccounted(differences: readonly Difference[]): Difference[] {
    if (differences.length === 0) return [];
    const { spool, replicas } = this.#deps;
    const shelved = replicas.map(({ name }) => {
      if (spool.shelfRows(name) === 0) return new Set<string>();
      const entries = spool.shelf({ target: name, limit: Number.MAX_SAFE_INTEGER });
      return new Set(entries.flatMap(({ line }) => parseLines(line)).map(pointKey));
    });
    return differences.filter(({ point }) => !shelved.some((keys) => keys.size > 0 && keys.has(pointKey(point))));
  }

  async #write(
    { measurement, window }: Range,
    differences: readonly Difference[],
    tally: Tally,
    signal: AbortSignal,
  ): Promise<void> {
    const { replicas, spool, clock, windows } = this.#deps;
    const spooled = this.#spooledValues(differences);
    const lacking = replicas.map(
      () =>
        new Map<
          string,
          { measurement: string; tags: Point["tags"]; timeMs: number; fields: Record<string, FieldValue> }
        >(),
    );
    for (const difference of differences) {
      const right = this.#rightValue(difference, spooled);
      if (right === undefined) {
        const text = this.#undecidedText(difference);
        tally.undecided.push(text);
        this.#counts.undecided += 1;
        windows.differ({ measurement, startMs: floorToStep(difference.point.timeMs, windowMs) }, text);
        continue;
      }
      for (const [index, value] of difference.values.entries()) {
        if (value === right) continue;
        const key = pointKey(difference.point);
        const point = lacking[index]?.get(key) ?? { ...difference.point, fields: {} };
        point.fields[difference.field] = right;
        lacking[index]?.set(key, point);
      }
    }
    for (const [index, points] of lacking.entries()) {
      const target = replicas[index] as Replica;
      if (points.size === 0) continue;
      tally.repaired += await this.#send(target, measurement, [...points.values()], tally, signal);
      spool.noteTarget(target.name, { repairedMs: clock.nowMs() });
      await this.#rollUpAt(target, measurement, window, signal);
    }
  }

  /** The newest value in the spool of each field that differs. */
  #spooledValues(differences: readonly Difference[]): Map<string, FieldValue> {
    const { spool } = this.#deps;
    const conflicts = differences.filter(
      ({ values }) => new Set(values.filter((value) => value !== undefined)).size > 1,
    );
    const found = new Map<string, FieldValue>();
    const starts = new Set(conflicts.map(({ point }) => floorToStep(point.timeMs, windowMs)));
    const wanted = new Set(conflicts.map(({ point }) => pointKey(point)));
    const measurement = conflicts[0]?.point.measurement ?? "";
    for (const startMs of starts) {
      for (const { body } of spool.touching({ measurement, startMs }).toReversed()) {
        for (const point of parseLines(gunzipSync(body).toString())) {
          const key = pointKey(point);
          if (!wanted.has(key)) continue;
          for (const [field, value] of Object.entries(point.fields)) found.set(`${key} ${field}`, value);
        }
      }
    }
    return found;
  }

  #rightValue({ point, field, values }: Difference, spooled: ReadonlyMap<string, FieldValue>): FieldValue | undefined {
    const present = new Set(values.filter((value) => value !== undefined));
    if (present.size === 1) return [...present][0];
    const inSpool = spooled.get(`${pointKey(point)} ${field}`);
    if (inSpool !== undefined) return inSpool;
    const startMs = floorToStep(point.timeMs, windowMs);
    const undoubted = values.filter((_, index) =>
      this.#isUndoubted(this.#deps.replicas[index] as Replica, point.measurement, startMs),
    );
    const right = new Set(undoubted.filter((value) => value !== undefined));
    return right.size === 1 && undoubted.length < values.length ? [...right][0] : undefined;
  }

  /** A copy that was neither restarted lately nor gave unclear answers in this window. */
  #isUndoubted({ name }: Replica, measurement: string, startMs: number): boolean {
    const { spool, windows } = this.#deps;
    return spool.target(name).verifyReason === null && !windows.isDirty(name, { measurement, startMs });
  }

  #undecidedText({ point, field, values }: Difference): string {
    const shown = values.map(
      (value, index) => `${this.#deps.replicas[index]?.name} has ${JSON.stringify(value) ?? "none"}`,
    );
    return `${seriesKey(point)} ${field} at ${formatTimeUtc(point.timeMs)}: ${shown.join(", ")}; nothing tells which is right`;
  }

  /** Sends at most so many points a second; returns how many were taken. */
  async #send(
    target: Replica,
    measurement: string,
    points: readonly Point[],
    tally: Tally,
    signal: AbortSignal,
  ): Promise<number> {
    const { timer, pointsPerSecondMax, windows } = this.#deps;
    let taken = 0;
    for (let start = 0; start < points.length; start += sendPoints) {
      const piece = points.slice(start, start + sendPoints);
      const elapsedMs = stopwatch();
      const text = piece.map((point) => `${lineOf(seriesKey(point), point)}\n`).join("");
      const answer = await target.send("", gzipSync(text, { level: 1 }), deadline(askTimeoutMs, signal));
      if (answer.kind === "stored") {
        taken += piece.length;
        this.#counts.repaired += piece.length;
      } else if (answer.kind === "refused" || answer.kind === "expired") {
        const reason = `${target.name} does not take points that it lacks: ${answer.reason}`;
        tally.undecided.push(reason);
        for (const { timeMs } of piece) windows.differ({ measurement, startMs: floorToStep(timeMs, windowMs) }, reason);
      } else {
        const fix = "see bellwether replicas status";
        throw new Problem(`${target.name} takes no repairs: ${answer.reason}`, {
          where: target.place,
          fix,
          retryable: true,
        });
      }
      const restMs = (piece.length / pointsPerSecondMax) * secondMs - elapsedMs();
      if (restMs > 0) await timer.sleep(restMs, signal);
    }
    return taken;
  }

  // ---- coarser buckets ----------------------------------------------------------------------------------------

  /** Sums up what was sealed: where a server does not by itself, and where it came too late for it. */
  async #rollUp(measurement: string, sealed: readonly Window[], signal: AbortSignal): Promise<void> {
    const { replicas, timer, rollsUp } = this.#deps;
    const lateBeforeMs = timer.nowMs() - lateMs;
    for (const target of replicas) {
      const own = sealed.filter(({ startMs }) => !rollsUp(target.name) || startMs < lateBeforeMs);
      for (const group of neighbours(own)) await this.#rollUpAt(target, measurement, rangeOf(group).window, signal);
    }
  }

  async #rollUpAt(target: Replica, measurement: string, window: TimeWindow, signal: AbortSignal): Promise<void> {
    const { buckets, timer, append } = this.#deps;
    for (const { name, everyMs } of buckets) {
      if (everyMs === null) continue;
      const whole = {
        fromMs: floorToStep(window.fromMs, everyMs),
        toMs: floorToStep(window.toMs - 1, everyMs) + everyMs,
      };
      // A piece that has not ended will be summed when it has.
      const toMs = Math.min(whole.toMs, floorToStep(timer.nowMs(), everyMs));
      if (toMs <= whole.fromMs) continue;
      const soon = deadline(askTimeoutMs, signal);
      const span = { fromMs: whole.fromMs, toMs };
      if (await target.rollUpInto(name, measurement, span, everyMs, soon)) this.#counts.rolledUp += 1;
      else if (target === this.#deps.replicas[0]) {
        await append(name, await target.rollUp(measurement, span, everyMs, soon));
        this.#counts.rolledUp += 1;
      }
    }
  }

  measures(): Measure[] {
    const { compared, sealed, differing, repaired, undecided, rolledUp, failures } = this.#counts;
    return [
      counter("windows_compared", "Windows of five minutes compared among the copies.", compared),
      counter("windows_sealed", "Windows found equal.", sealed),
      counter("windows_differing", "Windows in which copies differed.", differing),
      counter("points_repaired", "Points written to copies that lacked them.", repaired),
      counter("points_undecided", "Values that differ, and nothing tells which is right.", undecided),
      counter("roll_ups", "Stretches summed into a coarser bucket by us.", rolledUp),
      counter("comparisons_failed", "Comparisons that a server did not answer.", failures),
      {
        name: "bellwether_repair_points_per_second_limit",
        help: "Points a second that repair may write.",
        kind: "gauge",
        value: this.#deps.pointsPerSecondMax,
      },
    ];
  }
}

function newTally(): Tally {
  return { windows: 0, differing: [], repaired: 0, undecided: [] };
}

function windowOf(startMs: number): TimeWindow {
  return { fromMs: startMs, toMs: startMs + windowMs };
}

function startsOf({ fromMs, toMs }: TimeWindow): number[] {
  const starts: number[] = [];
  for (let startMs = floorToStep(fromMs, windowMs); startMs < toMs; startMs += windowMs) starts.push(startMs);
  return starts;
}

function rangeOf(group: readonly Window[]): Range {
  const first = group[0] as Window;
  return {
    measurement: first.measurement,
    window: { fromMs: first.startMs, toMs: (group.at(-1)?.startMs ?? 0) + windowMs },
  };
}

/** Windows of one measurement that lie within a day, together. */
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
      points <= readPoints
    ) {
      group.push(window);
    } else {
      groups.push([window]);
      points = window.points;
    }
  }
  return groups;
}

function counter(name: string, help: string, value: number): Measure {
  return { name: `bellwether_replica_${name}_total`, help, kind: "counter", value };
}
