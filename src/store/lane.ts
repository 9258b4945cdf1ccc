/**
 * Carries the batches of one bucket to one target, strictly in order, one request at a time, and says what it is at.
 *
 * What a server answers is sorted by its adapter into few kinds; here is what each of them means for the lane: see
 * `docs/replication.md`. Nothing that was spooled is left out: it is acknowledged, on the shelf, or still to come.
 */
import { gunzipSync, gzipSync } from "node:zlib";
import type { Answer, Clock, Log, Replica } from "../core/ports.ts";
import { deadline, hourMs, secondMs, stopwatch } from "../core/time.ts";
import { kindOf, type Line, linesOf } from "./line.ts";
import type { Batch, Refused, Spool } from "./spool.ts";
import type { Windows } from "./windows.ts";

/** How lanes pace themselves. Real time, whatever the clock of the application says. */
export type Pace = {
  /** A request that takes longer may have been stored or not. */
  readonly writeTimeoutMs: number;
  /** Wait after a failure: from the least, doubled each time, to the most; jitter takes up to half of it. */
  readonly backOffMsMin: number;
  readonly backOffMsMax: number;
  /** How often a parked lane looks whether its server was mended. */
  readonly parkedMs: number;
  /** How often a target is asked how it is. */
  readonly pulseMs: number;
};

export const defaultPace: Pace = {
  writeTimeoutMs: 5 * secondMs,
  backOffMsMin: secondMs / 2,
  backOffMsMax: 30 * secondMs,
  parkedMs: 30 * secondMs,
  pulseMs: 30 * secondMs,
};

/** Points and bytes of one request at most; halved where a server finds it too much. */
const batchPointsMax = 5_000;
const batchBytesMax = 512 * 1_024;

export type LaneState =
  | { readonly kind: "idle" | "sending" }
  /** The server does not answer, or answers that it cannot: the same bytes are sent again, for ever. */
  | { readonly kind: "failing" | "stuck"; readonly reason: string; readonly sinceMs: number }
  /** Somebody has to mend the server first. */
  | { readonly kind: "parked"; readonly reason: string; readonly sinceMs: number };

export type LaneDeps = {
  readonly target: Replica;
  readonly bucket: string;
  readonly spool: Spool;
  readonly windows: Windows;
  /** Tells the times that are remembered. */
  readonly clock: Clock;
  /** Waits between requests, in real time. */
  readonly timer: Clock;
  readonly pace: Pace;
  readonly log: Log;
};

/** Thrown where the rest of a group cannot go on before something has changed. */
class Stopped extends Error {
  readonly answer: Exclude<Answer, { kind: "stored" }>;
  constructor(answer: Exclude<Answer, { kind: "stored" }>) {
    super(answer.reason);
    this.answer = answer;
  }
}

type Outcome = { acknowledged: number; refused: Refused[] };

export class Lane {
  readonly #deps: LaneDeps;
  #state: LaneState = { kind: "idle" };
  #pointsMax = batchPointsMax;
  #wake: (() => void) | null = null;
  #counts = { requests: 0, points: 0, failures: 0, requestSeconds: 0 };

  constructor(deps: LaneDeps) {
    this.#deps = deps;
  }

  get state(): LaneState {
    return this.#state;
  }

  get target(): string {
    return this.#deps.target.name;
  }

  get bucket(): string {
    return this.#deps.bucket;
  }

  get counts(): Readonly<{ requests: number; points: number; failures: number; requestSeconds: number }> {
    return this.#counts;
  }

  /** There is something new to carry, or a reason to try again at once. */
  nudge(): void {
    this.#wake?.();
  }

  /** Until the signal aborts; a request in flight is waited for no longer than that. */
  async run(signal: AbortSignal): Promise<void> {
    const { spool, target, bucket, log } = this.#deps;
    for (let failures = 0; !signal.aborted; ) {
      try {
        const group = spool.next(target.name, bucket, this.#pointsMax, batchBytesMax);
        if (group.length === 0) {
          this.#settled();
          await this.#pause(hourMs, signal);
          continue;
        }
        await this.#carry(group, signal);
        failures = 0;
      } catch (thrown) {
        if (signal.aborted) return;
        if (!(thrown instanceof Stopped)) {
          log.error({ err: thrown, target: target.name }, "a lane met a defect; it goes on");
          this.#become("failing", String(thrown));
        } else this.#stop(thrown.answer);
        failures += 1;
        await this.#waitUntilMended(failures, signal);
      }
    }
  }

  async #carry(group: readonly Batch[], signal: AbortSignal): Promise<void> {
    const { spool, target, bucket } = this.#deps;
    const points = group.reduce((sum, batch) => sum + batch.points, 0);
    if (this.#state.kind === "idle") this.#state = { kind: "sending" };
    let outcome: Outcome;
    const answer = await this.#send(
      group.length === 1 ? (group[0] as Batch).body : Buffer.concat(group.map(({ body }) => body)),
      points,
      signal,
    );
    if (answer.kind === "stored") {
      outcome = { acknowledged: points, refused: [] };
      this.#pointsMax = Math.min(batchPointsMax, this.#pointsMax * 2);
    } else if (answer.kind === "refused" || answer.kind === "expired" || answer.kind === "size") {
      const lines = group.flatMap(({ body }) => linesOf(gunzipSync(body).toString()));
      outcome = await this.#part(lines, answer, signal);
    } else {
      if (answer.kind !== "operator") this.#markDirty(group, answer.reason);
      throw new Stopped(answer);
    }
    if (!spool.shelfTakes(target.name, outcome.refused.length)) {
      const reason = `its shelf is full, and ${outcome.refused.length} more points were refused: ${outcome.refused[0]?.reason}`;
      throw new Stopped({ kind: "operator", reason });
    }
    spool.settle(target.name, bucket, (group.at(-1) as Batch).seq, outcome.acknowledged, outcome.refused);
    this.#settled();
  }

  /** Sends lines that were refused as a whole in parts, until those at fault stand alone. */
  async #part(
    lines: readonly Line[],
    answer: Extract<Answer, { kind: "refused" | "expired" | "size" }>,
    signal: AbortSignal,
  ): Promise<Outcome> {
    if (answer.kind === "size") this.#pointsMax = Math.max(1, Math.floor(lines.length / 2));
    const guilty = lines.filter(({ point, text }) => isNamed(answer, point, text));
    if (guilty.length > 0 || lines.length === 1) {
      const shelved = guilty.length > 0 ? guilty : lines;
      const expired = answer.kind === "expired";
      const refused = shelved.map(({ text }) => ({ line: text, reason: answer.reason, expired }));
      const innocent = lines.filter((line) => !shelved.includes(line));
      const rest = innocent.length === 0 ? { acknowledged: 0, refused: [] } : await this.#sendLines(innocent, signal);
      return { acknowledged: rest.acknowledged, refused: [...refused, ...rest.refused] };
    }
    const middle = lines.length >> 1;
    const first = await this.#sendLines(lines.slice(0, middle), signal);
    const second = await this.#sendLines(lines.slice(middle), signal);
    return { acknowledged: first.acknowledged + second.acknowledged, refused: [...first.refused, ...second.refused] };
  }

  async #sendLines(lines: readonly Line[], signal: AbortSignal): Promise<Outcome> {
    const body = gzipSync(`${lines.map(({ text }) => text).join("\n")}\n`, { level: 1 });
    const answer = await this.#send(body, lines.length, signal);
    if (answer.kind === "stored") return { acknowledged: lines.length, refused: [] };
    if (answer.kind === "refused" || answer.kind === "expired" || answer.kind === "size") {
      return this.#part(lines, answer, signal);
    }
    throw new Stopped(answer);
  }

  async #send(body: Uint8Array, points: number, signal: AbortSignal): Promise<Answer> {
    const { target, bucket, pace } = this.#deps;
    const elapsedMs = stopwatch();
    const answer = await target.send(bucket, body, deadline(pace.writeTimeoutMs, signal));
    signal.throwIfAborted();
    this.#counts.requests += 1;
    this.#counts.requestSeconds += elapsedMs() / secondMs;
    if (answer.kind === "stored") this.#counts.points += points;
    else this.#counts.failures += 1;
    return answer;
  }

  #markDirty(group: readonly Batch[], reason: string): void {
    const { windows, target, bucket, clock } = this.#deps;
    if (bucket !== "") return;
    windows.markDirty(
      target.name,
      group.flatMap((batch) => batch.windows),
      reason,
      clock.nowMs(),
    );
  }

  #stop(answer: Exclude<Answer, { kind: "stored" }>): void {
    if (answer.kind === "operator") this.#become("parked", answer.reason);
    else this.#become(answer.kind === "stuck" ? "stuck" : "failing", answer.reason);
    // A large request may be what a slow server cannot do in time.
    if (answer.kind === "unknown") this.#pointsMax = Math.max(100, this.#pointsMax >> 1);
  }

  /** @returns when the next try is due: after a pause, and for a failing server once a canary went through it */
  async #waitUntilMended(failures: number, signal: AbortSignal): Promise<void> {
    const { pace, target, timer } = this.#deps;
    if (this.#state.kind === "parked") return this.#pause(pace.parkedMs, signal);
    for (let round = failures; !signal.aborted; round += 1) {
      const fullMs = Math.min(pace.backOffMsMax, pace.backOffMsMin * 2 ** Math.min(20, round - 1));
      await this.#pause(fullMs * (0.5 + Math.random() / 2), signal);
      if (signal.aborted) return;
      const answer = await target.probe(timer.nowMs(), deadline(pace.writeTimeoutMs, signal));
      if (answer.kind === "stored") return;
      if (signal.aborted) return;
      this.#stop(answer);
      if (answer.kind === "operator") return this.#pause(pace.parkedMs, signal);
    }
  }

  #become(kind: "failing" | "stuck" | "parked", reason: string): void {
    const { clock, log, target, bucket } = this.#deps;
    const before = this.#state;
    // A server that says first one thing and then another has been in trouble since the first.
    const sinceMs = "sinceMs" in before ? before.sinceMs : clock.nowMs();
    this.#state = { kind, reason, sinceMs };
    if (before.kind === kind) return;
    log.warn({ target: target.name, bucket, reason }, `writes to ${target.name} are ${kind}`);
  }

  #settled(): void {
    const { log, target, bucket } = this.#deps;
    if ("sinceMs" in this.#state) log.info({ target: target.name, bucket }, `${target.name} takes writes again`);
    this.#state = { kind: "idle" };
  }

  /** Waits so long, or until it is nudged. */
  async #pause(ms: number, signal: AbortSignal): Promise<void> {
    const nudged = new AbortController();
    this.#wake = () => nudged.abort();
    await this.#deps.timer.sleep(ms, AbortSignal.any([signal, nudged.signal])).catch(() => {});
    this.#wake = null;
  }
}

/** Whether an answer means this very line. */
function isNamed(answer: Answer, { measurement, fields, timeMs }: Line["point"], text: string): boolean {
  if (answer.kind === "expired") return answer.beforeMs !== null && timeMs < answer.beforeMs;
  if (answer.kind !== "refused" || answer.culprit === null) return false;
  const { culprit } = answer;
  if (culprit.kind === "line") return culprit.text === text;
  const value = measurement === culprit.measurement ? fields[culprit.field] : undefined;
  return value !== undefined && culprit.given !== null && kindOf(value) === culprit.given;
}
