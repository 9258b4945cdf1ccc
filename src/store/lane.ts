/**
 * Carries the batches of one bucket to one target, strictly in order, one request at a time, and says what it is at.
 *
 * What a server answers is sorted by its adapter into few kinds; here is what each of them means for the lane: see
 * `docs/replication.md`. Nothing that was spooled is left out: it is acknowledged, on the shelf, or still to come.
 */
import { gunzipSync } from "node:zlib";
import type { Answer, Clock, Log, Replica } from "../core/ports.ts";
import { deadline, hourMs, secondMs, stopwatch } from "../core/time.ts";
import { deliverParts, type Halt, Halted, isRefusal, type Outcome } from "./deliver.ts";
import { linesOf } from "./line.ts";
import type { Batch, Spool } from "./spool.ts";
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
  /** Looks whether the target is mended, by a canary that goes in and comes out again. */
  readonly probe: (signal: AbortSignal) => Promise<Answer>;
  readonly log: Log;
};

export class Lane {
  readonly #deps: LaneDeps;
  #state: LaneState = { kind: "idle" };
  #pointsMax = batchPointsMax;
  /** When its latest trouble ended. */
  #mendedMs: number | null = null;
  #wake: (() => void) | null = null;
  #counts = { requests: 0, points: 0, failures: 0, requestSeconds: 0 };

  constructor(deps: LaneDeps) {
    this.#deps = deps;
  }

  get state(): LaneState {
    return this.#state;
  }

  get mendedMs(): number | null {
    return this.#mendedMs;
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
        if (!(thrown instanceof Halted)) {
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
    if (this.#state.kind === "idle") this.#state = { kind: "sending" };
    const outcome = await this.#deliver(group, signal).catch((thrown: unknown) => {
      if (thrown instanceof Halted && thrown.answer.kind !== "operator") this.#markDirty(group, thrown.answer.reason);
      throw thrown;
    });
    const shelved = outcome.refused.filter(({ expired }) => !expired);
    if (!spool.shelfTakes(target.name, shelved.length)) {
      const reason = `its shelf is full, and ${shelved.length} more points were refused: ${shelved[0]?.reason}`;
      throw new Halted({ kind: "operator", reason });
    }
    spool.settle(target.name, bucket, (group.at(-1) as Batch).seq, outcome.acknowledged, outcome.refused);
    this.#settled();
  }

  /** The bodies as they are, one after the other; only where the server refuses some of it is it taken apart. */
  async #deliver(group: readonly Batch[], signal: AbortSignal): Promise<Outcome> {
    const points = group.reduce((sum, batch) => sum + batch.points, 0);
    const send = (body: Uint8Array, count: number) => this.#send(body, count, signal);
    const bodies = group.map(({ body }) => body);
    const answer = await send(bodies.length === 1 ? (bodies[0] as Uint8Array) : Buffer.concat(bodies), points);
    if (answer.kind === "stored") {
      this.#pointsMax = Math.min(batchPointsMax, this.#pointsMax * 2);
      return { acknowledged: points, refused: [] };
    }
    if (!isRefusal(answer)) throw new Halted(answer);
    if (answer.kind === "size") this.#pointsMax = Math.max(1, points >> 1);
    return deliverParts(
      bodies.flatMap((body) => linesOf(gunzipSync(body).toString())),
      answer,
      send,
    );
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

  #stop(answer: Halt): void {
    if (answer.kind === "operator") this.#become("parked", answer.reason);
    else this.#become(answer.kind === "stuck" ? "stuck" : "failing", answer.reason);
    // A large request may be what a slow server cannot do in time.
    if (answer.kind === "unknown") this.#pointsMax = Math.max(100, this.#pointsMax >> 1);
  }

  /** @returns when the next try is due: after a pause, and for a failing server once a canary went through it */
  async #waitUntilMended(failures: number, signal: AbortSignal): Promise<void> {
    const { pace, probe } = this.#deps;
    if (this.#state.kind === "parked") return this.#pause(pace.parkedMs, signal);
    for (let round = failures; !signal.aborted; round += 1) {
      const fullMs = Math.min(pace.backOffMsMax, pace.backOffMsMin * 2 ** Math.min(20, round - 1));
      await this.#pause(fullMs * (0.5 + Math.random() / 2), signal);
      if (signal.aborted) return;
      const answer = await probe(signal);
      if (answer.kind === "stored") return;
      if (signal.aborted) return;
      if (!isRefusal(answer)) this.#stop(answer);
      if (answer.kind === "operator") return this.#pause(pace.parkedMs, signal);
    }
  }

  #become(kind: "failing" | "stuck" | "parked", reason: string): void {
    const { clock, log, target, bucket } = this.#deps;
    const before = this.#state;
    // A full server that also hangs is still to be restarted.
    if (before.kind === "stuck" && kind === "failing") return;
    // A server that says first one thing and then another has been in trouble since the first.
    const sinceMs = "sinceMs" in before ? before.sinceMs : clock.nowMs();
    this.#state = { kind, reason, sinceMs };
    if (before.kind === kind) return;
    log.warn({ target: target.name, bucket, reason }, `writes to ${target.name} are ${kind}`);
  }

  #settled(): void {
    const { clock, log, target, bucket } = this.#deps;
    if ("sinceMs" in this.#state) {
      this.#mendedMs = clock.nowMs();
      log.info({ target: target.name, bucket }, `${target.name} takes writes again`);
    }
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
