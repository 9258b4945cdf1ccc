/**
 * Writes to copies what they lack, and only that.
 *
 * A value that one copy lacks is taken from the other. Of two different values the one in the spool is right, else that
 * of the copy that was in no doubt; where neither tells, it is reported and not guessed.
 */
import { gunzipSync } from "node:zlib";
import type { FieldValue, Point, TimeWindow } from "../core/model.ts";
import type { Clock, Replica } from "../core/ports.ts";
import { Problem } from "../core/problem.ts";
import { deadline, floorToStep, formatTimeUtc, minuteMs, secondMs, stopwatch } from "../core/time.ts";
import { type Difference, differencesOf, pointKey } from "./compare.ts";
import { deliver, Halted } from "./deliver.ts";
import { lineOf, parseLines, seriesKey } from "./line.ts";
import type { Spool, WindowKey } from "./spool.ts";
import { type Window, type Windows, windowMs } from "./windows.ts";

/** How long one question about what copies hold may take. */
export const askTimeoutMs = 2 * minuteMs;
/** Points that are read of each copy, compared and sent at once: some tens of milliseconds of work. */
export const mendPoints = 5_000;

export type MendDeps = {
  readonly spool: Spool;
  readonly windows: Windows;
  readonly clock: Clock;
  readonly timer: Clock;
  readonly pointsPerSecondMax: number;
};

/** What a comparison or repair has found so far. */
export type Tally = { windows: number; differing: WindowKey[]; repaired: number; undecided: string[] };

export type Range = { readonly measurement: string; readonly window: TimeWindow };

type Lacking = {
  readonly measurement: string;
  readonly tags: Point["tags"];
  readonly timeMs: number;
  fields: Record<string, FieldValue>;
};

export class Mender {
  readonly #deps: MendDeps;

  constructor(deps: MendDeps) {
    this.#deps = deps;
  }

  /**
   * Makes copies equal in a range.
   * @param points about how many there are, so that not too many are read at once
   * @returns starts of windows that differ still: somebody writes to them, or nothing tells what is right
   */
  async mend(
    copies: readonly Replica[],
    range: Range,
    points: number,
    tally: Tally,
    signal: AbortSignal,
  ): Promise<Set<number>> {
    const open = new Set<number>();
    for (const window of parts(range.window, points)) {
      const part = { measurement: range.measurement, window };
      for (const startMs of await this.#mendPart(copies, part, tally, signal)) open.add(startMs);
    }
    return open;
  }

  /** Gives copies the points of a coarser bucket that they lack; of two different values both stay. */
  async fill(
    copies: readonly Replica[],
    bucket: string,
    range: Range,
    tally: Tally,
    signal: AbortSignal,
  ): Promise<void> {
    const lacking = copies.map(() => new Map<string, Lacking>());
    for (const difference of await differencesIn(copies, range, signal, bucket)) {
      const present = distinct(difference.values);
      if (present.length === 1) addLacking(lacking, difference, present[0] as FieldValue);
    }
    for (const [index, points] of lacking.entries()) {
      await this.#send(copies[index] as Replica, bucket, [...points.values()], tally, signal);
    }
  }

  /** Points that copies hold differently, without those that are on the shelf of the copy that lacks them. */
  async differences(copies: readonly Replica[], range: Range, signal: AbortSignal): Promise<Difference[]> {
    const found = await differencesIn(copies, range, signal);
    const shelves = copies.map(({ name }) => this.#shelfKeys(name, range.measurement));
    return found.filter(({ point, values }) => {
      if (distinct(values).length > 1) return true;
      const key = pointKey(point);
      return !values.every((value, index) => value !== undefined || shelves[index]?.has(key) === true);
    });
  }

  async #mendPart(copies: readonly Replica[], range: Range, tally: Tally, signal: AbortSignal): Promise<Set<number>> {
    const { spool, windows } = this.#deps;
    const handedOver = spool.handedOver();
    const before = this.#windowsOf(range);
    const differences = await this.differences(copies, range, signal);
    const open = new Set<number>();
    const settled = differences.filter(({ point }) => {
      const startMs = floorToStep(point.timeMs, windowMs);
      if (!this.#changed(range.measurement, startMs, before, handedOver)) return true;
      open.add(startMs);
      return false;
    });
    const lacking = copies.map(() => new Map<string, Lacking>());
    const spooled = this.#spooledValues(settled);
    for (const difference of settled) {
      const startMs = floorToStep(difference.point.timeMs, windowMs);
      note(tally.differing, { measurement: range.measurement, startMs });
      const right = this.#rightValue(copies, difference, spooled);
      if (right === undefined) {
        const text = undecidedText(copies, difference);
        tally.undecided.push(text);
        windows.differ({ measurement: range.measurement, startMs }, text);
        open.add(startMs);
      } else addLacking(lacking, difference, right);
    }
    for (const [index, points] of lacking.entries()) {
      const replica = copies[index] as Replica;
      const shelf = this.#shelfKeys(replica.name, range.measurement);
      const own = [...points].filter(([key]) => !shelf.has(key)).map(([, point]) => point);
      // What changed meanwhile has a newer value on its way.
      const fresh = own.filter(({ timeMs }) => {
        const startMs = floorToStep(timeMs, windowMs);
        const changed = this.#changed(range.measurement, startMs, before, handedOver);
        if (changed) open.add(startMs);
        return !changed;
      });
      for (const startMs of await this.#send(replica, "", fresh, tally, signal)) open.add(startMs);
    }
    return open;
  }

  #windowsOf({ measurement, window }: Range): Map<number, Window | null> {
    const found = new Map<number, Window | null>();
    for (let startMs = floorToStep(window.fromMs, windowMs); startMs < window.toMs; startMs += windowMs) {
      found.set(startMs, this.#deps.windows.get({ measurement, startMs }));
    }
    return found;
  }

  /** Whether somebody wrote to a window since it was looked at, or not all copies had it whole then. */
  #changed(
    measurement: string,
    startMs: number,
    before: ReadonlyMap<number, Window | null>,
    handedOver: number,
  ): boolean {
    const now = this.#deps.windows.get({ measurement, startMs });
    if (now === null || now.writes === 0) return false;
    return now.writes !== (before.get(startMs)?.writes ?? 0) || now.lastSeq > handedOver;
  }

  #shelfKeys(target: string, measurement: string): Set<string> {
    const { spool } = this.#deps;
    if (spool.shelfRows(target) === 0) return new Set();
    const beginning = seriesKey({ measurement, tags: {} });
    const lines = spool.shelf({ target, expired: false, limit: Number.MAX_SAFE_INTEGER }).map(({ line }) => line);
    return new Set(
      lines
        .filter((line) => line.startsWith(beginning))
        .flatMap(parseLines)
        .map(pointKey),
    );
  }

  /** The newest value in the spool of each field that has two. */
  #spooledValues(differences: readonly Difference[]): Map<string, FieldValue> {
    const conflicts = differences.filter(({ values }) => distinct(values).length > 1);
    const found = new Map<string, FieldValue>();
    const wanted = new Set(conflicts.map(({ point }) => pointKey(point)));
    const measurement = conflicts[0]?.point.measurement ?? "";
    for (const startMs of new Set(conflicts.map(({ point }) => floorToStep(point.timeMs, windowMs)))) {
      for (const { body } of this.#deps.spool.touching({ measurement, startMs }).toReversed()) {
        for (const point of parseLines(gunzipSync(body).toString())) {
          const key = pointKey(point);
          if (!wanted.has(key)) continue;
          for (const [field, value] of Object.entries(point.fields)) found.set(`${key} ${field}`, value);
        }
      }
    }
    return found;
  }

  #rightValue(
    copies: readonly Replica[],
    { point, field, values }: Difference,
    spooled: ReadonlyMap<string, FieldValue>,
  ): FieldValue | undefined {
    const present = distinct(values);
    if (present.length === 1) return present[0];
    const inSpool = spooled.get(`${pointKey(point)} ${field}`);
    if (inSpool !== undefined) return inSpool;
    const startMs = floorToStep(point.timeMs, windowMs);
    const sound = values.filter((_, index) => this.#wasSound(copies[index] as Replica, point.measurement, startMs));
    const right = distinct(sound);
    return right.length === 1 && sound.length < values.length ? right[0] : undefined;
  }

  /** A copy that need not be compared as a whole, and gave no unclear answers in this window. */
  #wasSound({ name }: Replica, measurement: string, startMs: number): boolean {
    const { spool, windows } = this.#deps;
    return spool.target(name).verifyReason === null && !windows.isDirty(name, { measurement, startMs });
  }

  /**
   * Sends at most so many points a second.
   * @returns starts of windows in which the copy refused some; those that are too old for it are none
   */
  async #send(
    target: Replica,
    bucket: string,
    points: readonly Point[],
    tally: Tally,
    signal: AbortSignal,
  ): Promise<Set<number>> {
    const { timer, clock, pointsPerSecondMax, windows, spool } = this.#deps;
    const refused = new Set<number>();
    for (let start = 0; start < points.length; start += mendPoints) {
      const elapsedMs = stopwatch();
      const lines = points
        .slice(start, start + mendPoints)
        .map((point) => ({ point, text: lineOf(seriesKey(point), point) }));
      const send = (body: Uint8Array) => target.send(bucket, body, deadline(askTimeoutMs, signal));
      const outcome = await deliver(lines, send).catch((thrown: unknown) => {
        if (!(thrown instanceof Halted)) throw thrown;
        const fix = "see bellwether replicas status";
        throw new Problem(`${target.name} takes no repairs: ${thrown.message}`, {
          where: target.place,
          fix,
          retryable: true,
        });
      });
      tally.repaired += outcome.acknowledged;
      spool.noteTarget(target.name, { repairedMs: clock.nowMs() });
      for (const { line, reason, expired } of outcome.refused) {
        if (expired) continue;
        const [{ measurement, timeMs }] = parseLines(line) as [Point];
        const text = `${target.name} does not take what it lacks: ${reason}`;
        tally.undecided.push(text);
        if (bucket === "") windows.differ({ measurement, startMs: floorToStep(timeMs, windowMs) }, text);
        refused.add(floorToStep(timeMs, windowMs));
      }
      const restMs = (lines.length / pointsPerSecondMax) * secondMs - elapsedMs();
      if (restMs > 0) await timer.sleep(restMs, signal);
    }
    return refused;
  }
}

async function differencesIn(
  copies: readonly Replica[],
  { measurement, window }: Range,
  signal: AbortSignal,
  bucket?: string,
): Promise<Difference[]> {
  const soon = deadline(askTimeoutMs, signal);
  return differencesOf(await Promise.all(copies.map((replica) => replica.points(measurement, window, soon, bucket))));
}

/** The values that copies have, each once. */
function distinct(values: Difference["values"]): FieldValue[] {
  return [...new Set(values.filter((value) => value !== undefined))];
}

/** A window cut so that each part holds about as many points as are read at once. */
function parts({ fromMs, toMs }: TimeWindow, points: number): TimeWindow[] {
  const count = Math.max(1, Math.ceil(points / mendPoints));
  const stepMs = Math.max(secondMs, Math.ceil((toMs - fromMs) / count / secondMs) * secondMs);
  const found: TimeWindow[] = [];
  for (let startMs = fromMs; startMs < toMs; startMs += stepMs) {
    found.push({ fromMs: startMs, toMs: Math.min(toMs, startMs + stepMs) });
  }
  return found;
}

function note(found: WindowKey[], window: WindowKey): void {
  const last = found.at(-1);
  if (last?.startMs !== window.startMs || last.measurement !== window.measurement) found.push(window);
}

function addLacking(
  lacking: readonly Map<string, Lacking>[],
  { point, field, values }: Difference,
  right: FieldValue,
): void {
  const key = pointKey(point);
  for (const [index, value] of values.entries()) {
    if (value === right) continue;
    const own = lacking[index]?.get(key) ?? { ...point, fields: {} };
    own.fields[field] = right;
    lacking[index]?.set(key, own);
  }
}

function undecidedText(copies: readonly Replica[], { point, field, values }: Difference): string {
  const shown = values.map((value, index) => `${copies[index]?.name} has ${JSON.stringify(value) ?? "none"}`);
  return `${seriesKey(point)} ${field} at ${formatTimeUtc(point.timeMs)}: ${shown.join(", ")}; nothing tells which is right`;
}
