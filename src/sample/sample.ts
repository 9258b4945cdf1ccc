/**
 * Runs samplers: keeps one source for each, bounds its time, counts what came, and holds back who would do harm.
 *
 *   brake (was it cut lately?) -> budget (has it had its part?) -> circuit (does its connection answer?) -> batch -> source
 */
import type { Sampler } from "../core/definitions.ts";
import { counter, gauge } from "../core/measure.ts";
import type { Row, TimeWindow } from "../core/model.ts";
import type {
  Clock,
  Measure,
  Measured,
  Source,
  SourceAnswer,
  SourceCost,
  SourceDeps,
  SourceFacts,
} from "../core/ports.ts";
import { messageOf, Problem } from "../core/problem.ts";
import { deadline, formatTimeUtc, minuteMs, secondMs, stopwatch, timedOut } from "../core/time.ts";
import { Batches } from "./batches.ts";
import { type Brake, brakeAfterCut } from "./brake.ts";
import { Breakers } from "./breaker.ts";
import { budgetSpanMs, decideBudget } from "./budget.ts";
import { type SourcePlugin, sources } from "./sources/index.ts";

/** How long it is remembered what the last hour's reads cost. */
const usageMs = minuteMs;

/** How long an answer serves other samplers of its batch: those of one slot start within seconds of each other. */
const batchKeptMsMax = minuteMs;

/**
 * The object itself is handed to every source: where `connections` is a getter, it is asked anew whenever a source is
 * made.
 */
export type SamplerRunnerDeps = SourceDeps & {
  readonly clock: Clock;
  /** Kind of source -> plug-in. Default all there are. */
  readonly kinds?: Readonly<Record<string, SourcePlugin>>;
  /** Sampler -> how long its system worked for it since then, ms, in all processes. Default: no budget is kept. */
  readonly usageMs?: (sinceMs: number) => Promise<ReadonlyMap<string, number>>;
  /** Samplers that read by a connection. Default: the one that asks. */
  readonly samplersOf?: (connection: string) => readonly string[];
  /** How many times as fast as real time the clock runs. Default 1. */
  readonly tempo?: number;
};

export type SampleResult = {
  readonly rows: readonly Row[];
  readonly cost: SourceCost;
  /** Real time, whatever clock the process runs on. */
  readonly elapsedMs: number;
};

type Held = { readonly definition: Sampler["source"]; readonly source: Source };
type Tally = { runs: number; faults: number; heldBack: number; rows: number; elapsedMs: number; serverMs: number };

export class SamplerRunner implements AsyncDisposable, Measured {
  readonly #deps: SamplerRunnerDeps;
  readonly #kinds: Readonly<Record<string, SourcePlugin>>;
  readonly #held = new Map<string, Held>();
  readonly #tallies = new Map<string, Tally>();
  readonly #brakes = new Map<string, Brake>();
  /** Connections by which a sampler that is slowed down reads just now. */
  readonly #slowReads = new Set<string>();
  /** What cut reads have cost within the last hour, which the ledger does not know. */
  readonly #unwritten = new Map<string, { readonly atMs: number; readonly ms: number }[]>();
  /** Failures that are their sampler's own doing, and say nothing of the connection. */
  readonly #cuts = new WeakSet<Problem>();
  readonly #breakers: Breakers;
  readonly #batches = new Batches();
  /** Found once for each definition: checking its options takes longer than many a read. */
  readonly #batchNames = new WeakMap<Sampler["source"], string | null>();
  #usage: { readonly atMs: number; readonly used: Promise<ReadonlyMap<string, number>> } | null = null;

  constructor(deps: SamplerRunnerDeps) {
    this.#deps = deps;
    this.#kinds = deps.kinds ?? sources;
    const isFault = (fault: unknown, trying: boolean): boolean =>
      fault instanceof Problem && this.#cuts.has(fault) ? trying : isConnectionFault(fault);
    this.#breakers = new Breakers(isFault, deps.tempo ?? 1);
  }

  /**
   * One read of `[fromMs, toMs)`, stopped after the sampler's `timeoutMs` of real time or when `signal` aborts.
   * @throws Problem if the source cannot be made or fails; SRC-001 while the sampler is slowed down, SRC-002 while its
   *   connection's circuit is open, SRC-003 where its budget is spent; the signal's reason if it aborts
   */
  async run(sampler: Sampler, window: TimeWindow, signal: AbortSignal): Promise<SampleResult> {
    const elapsedMs = stopwatch();
    const tally = this.#tallyOf(sampler.name);
    await this.#mayRead(sampler).catch((thrown: unknown) => {
      tally.heldBack += 1;
      throw thrown;
    });
    tally.runs += 1;
    const limit = deadline(sampler.timeoutMs, signal);
    using _ = this.#holdPlace(sampler);
    try {
      const { rows, cost } = await this.#read(sampler, window, limit);
      this.#brakes.delete(sampler.name);
      tally.rows += rows.length;
      tally.serverMs += cost.serverMs;
      return { rows, cost, elapsedMs: elapsedMs() };
    } catch (thrown) {
      tally.faults += 1;
      const fault = asProblem(thrown, limit, sampler);
      if (fault instanceof Problem && isCut(fault, limit)) this.#slowDown(sampler, elapsedMs());
      throw fault;
    } finally {
      tally.elapsedMs += elapsedMs();
    }
  }

  /** What the source says of one read, within the sampler's time limit. @throws Problem if it cannot be asked */
  async inspect(sampler: Sampler, window: TimeWindow, signal: AbortSignal): Promise<SourceFacts> {
    return this.#sourceOf(sampler).inspect(window, deadline(sampler.timeoutMs, signal));
  }

  /** What must run in one process together with it: its own name, or what it reads in one with others. */
  shareKey(sampler: Sampler): string {
    const batch = this.#batchOf(sampler);
    return batch === null ? sampler.name : `${sampler.source.kind} ${batch}`;
  }

  /** Closes a sampler's source; the next run makes a new one. For samplers that went and connections that changed. */
  async forget(sampler: string): Promise<void> {
    const held = this.#held.get(sampler);
    this.#held.delete(sampler);
    this.#tallies.delete(sampler);
    this.#brakes.delete(sampler);
    this.#unwritten.delete(sampler);
    if (held !== undefined) this.#breakers.forget(connectionOf(held.definition) ?? sampler);
    await held?.source[Symbol.asyncDispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#batches[Symbol.asyncDispose]();
    await Promise.all([...this.#held.keys()].map((sampler) => this.forget(sampler)));
  }

  measures(): Measure[] {
    return [
      gauge("sources_open", "Sources held open.", this.#held.size),
      gauge("samplers_slowed", "Samplers that are slowed down because their reads were cut.", this.#brakes.size),
      ...[...this.#tallies].flatMap(([sampler, tally]) => [
        counter("sample_reads", "Reads of a source.", tally.runs, { sampler }),
        counter("sample_faults", "Reads that failed.", tally.faults, { sampler }),
        counter("sample_held_back", "Reads not made: slowed down, or beyond the budget.", tally.heldBack, { sampler }),
        counter("sample_rows", "Rows read.", tally.rows, { sampler }),
        counter("sample_read_seconds", "Time that reads took.", tally.elapsedMs / secondMs, { sampler }),
        counter("sample_server_seconds", "Time that systems worked.", tally.serverMs / secondMs, { sampler }),
      ]),
      ...this.#breakers.measures(),
      ...this.#batches.measures(),
      ...Object.values(this.#kinds).flatMap((kind) => kind.measures?.(this.#deps) ?? []),
    ];
  }

  async #mayRead(sampler: Sampler): Promise<void> {
    const nowMs = this.#deps.clock.nowMs();
    const brake = this.#brakes.get(sampler.name);
    if (brake !== undefined && nowMs < brake.untilMs) {
      throw new Problem(`slowed down until ${formatTimeUtc(brake.untilMs)}: ${brake.cuts} reads in a row were cut`, {
        code: "SRC-001",
        where: sampler.place,
        fix: "see bellwether try for what a read costs; the slots in between are read once one succeeds",
        retryable: true,
        retryAfterMs: brake.untilMs - nowMs,
      });
    }
    const connection = connectionOf(sampler.source);
    const budgetMs = connection === null ? undefined : this.#deps.connections.get(connection)?.budgetMs;
    if (connection === null || budgetMs === undefined) return;
    const among = this.#deps.samplersOf?.(connection) ?? [sampler.name];
    const used = await this.#usedBy(among, nowMs);
    const decision = decideBudget(used, budgetMs, sampler.name, among.length);
    if (decision.read) return;
    throw new Problem(decision.reason, {
      code: "SRC-003",
      where: sampler.place,
      fix: "make its read cheaper or rarer, or raise the connection's budget",
      retryable: true,
      retryAfterMs: minuteMs,
    });
  }

  async #usedBy(samplers: readonly string[], nowMs: number): Promise<ReadonlyMap<string, number>> {
    const { usageMs: ask } = this.#deps;
    if (ask === undefined) return new Map();
    if (this.#usage === null || nowMs - this.#usage.atMs >= usageMs || nowMs < this.#usage.atMs) {
      this.#usage = { atMs: nowMs, used: ask(nowMs - budgetSpanMs) };
      this.#usage.used.catch(() => {
        this.#usage = null;
      });
    }
    const all = await this.#usage.used.catch((thrown: unknown) => {
      this.#deps.log.warn({ err: thrown }, `budgets are not kept just now: ${messageOf(thrown)}`);
      return new Map<string, number>();
    });
    return new Map(samplers.map((name) => [name, (all.get(name) ?? 0) + this.#unwrittenMs(name, nowMs)]));
  }

  #read(sampler: Sampler, window: TimeWindow, limit: AbortSignal): Promise<SourceAnswer> {
    const source = this.#sourceOf(sampler);
    const ask = (signal: AbortSignal): Promise<SourceAnswer> =>
      this.#breakers.run(connectionOf(sampler.source) ?? sampler.name, () =>
        source.read(window, signal).catch((thrown: unknown) => {
          if (thrown instanceof Problem && isCut(thrown, signal)) this.#cuts.add(thrown);
          throw thrown;
        }),
      );
    const batch = this.#batchOf(sampler);
    if (batch === null) return ask(limit);
    const { delayMs } = sampler.schedule;
    const key = JSON.stringify([sampler.source.kind, batch, window.fromMs, window.toMs, delayMs, sampler.timeoutMs]);
    const keptMs = Math.min(batchKeptMsMax, sampler.schedule.stepMs / 2);
    return this.#batches.read(key, { timeoutMs: sampler.timeoutMs, keptMs }, ask, limit);
  }

  /**
   * Samplers that are slowed down try again one at a time for each connection, so that they never have all of its places.
   * @throws Problem SRC-001 if another one is trying
   */
  #holdPlace({ name, source, place, schedule }: Sampler): Disposable {
    const connection = connectionOf(source) ?? name;
    if (!this.#brakes.has(name)) return { [Symbol.dispose]: () => {} };
    if (this.#slowReads.has(connection)) {
      throw new Problem(`slowed down: another sampler that is reads by connection ${connection} just now`, {
        code: "SRC-001",
        where: place,
        retryable: true,
        retryAfterMs: schedule.stepMs,
      });
    }
    this.#slowReads.add(connection);
    return { [Symbol.dispose]: () => void this.#slowReads.delete(connection) };
  }

  #slowDown({ name, schedule, timeoutMs }: Sampler, ms: number): void {
    const atMs = this.#deps.clock.nowMs();
    this.#brakes.set(name, brakeAfterCut(this.#brakes.get(name) ?? null, schedule.stepMs, timeoutMs, atMs));
    const lately = (this.#unwritten.get(name) ?? []).filter((cut) => atMs - cut.atMs < budgetSpanMs);
    this.#unwritten.set(name, [...lately, { atMs, ms }]);
  }

  #unwrittenMs(sampler: string, nowMs: number): number {
    const lately = (this.#unwritten.get(sampler) ?? []).filter(({ atMs }) => nowMs - atMs < budgetSpanMs);
    return lately.reduce((sum, { ms }) => sum + ms, 0);
  }

  #batchOf({ source }: Sampler): string | null {
    const known = this.#batchNames.get(source);
    if (known !== undefined) return known;
    const kind = this.#kinds[source.kind];
    const batch = kind?.batch?.(kind.options.parse(source.options)) ?? null;
    this.#batchNames.set(source, batch);
    return batch;
  }

  /** The sampler's source; made anew once its definition has changed. */
  #sourceOf(sampler: Sampler): Source {
    const held = this.#held.get(sampler.name);
    if (held !== undefined && held.definition === sampler.source) return held.source;
    const kind = this.#kinds[sampler.source.kind];
    if (kind === undefined) {
      throw new Problem(`unknown source (got ${JSON.stringify(sampler.source.kind)})`, {
        where: sampler.place,
        fix: `one of ${Object.keys(this.#kinds).join(", ")}`,
      });
    }
    const source = kind.create(kind.options.parse(sampler.source.options), this.#deps);
    this.#held.set(sampler.name, { definition: sampler.source, source });
    // Closed only now, so that what both share need not start again. It lets reads under way finish.
    void held?.source[Symbol.asyncDispose]();
    return source;
  }

  #tallyOf(sampler: string): Tally {
    const known = this.#tallies.get(sampler);
    if (known !== undefined) return known;
    const fresh = { runs: 0, faults: 0, heldBack: 0, rows: 0, elapsedMs: 0, serverMs: 0 };
    this.#tallies.set(sampler, fresh);
    return fresh;
  }
}

/** The connection that a source names, if it has one. */
export function connectionOf({ options }: Sampler["source"]): string | null {
  const { connection } = options as { connection?: unknown };
  return typeof connection === "string" ? connection : null;
}

/** Refused by the guard as too costly; refused by the system for want of rights. */
const tooCostly: ReadonlySet<string | undefined> = new Set(["SQL-009", "ELS-009"]);
const refusedAccount: ReadonlySet<string | undefined> = new Set(["SQL-014", "NET-011"]);

/** Others of the connection were in the way: that is neither the sampler's doing nor its system's. */
const noPlace = "SQL-019";

/** The sampler's own doing: its read took too long, or would. */
function isCut({ code }: Problem, limit: AbortSignal): boolean {
  if (code === noPlace) return false;
  return tooCostly.has(code) || timedOut(limit);
}

/** Its system does not answer, or turns us away: one sampler's read is as good as another's. */
function isConnectionFault(fault: unknown): boolean {
  if (!(fault instanceof Problem)) return false;
  if (refusedAccount.has(fault.code)) return true;
  return fault.retryable && fault.code !== noPlace;
}

/** Who shares another sampler's read is cut by a limit of its own, which no source has put into words. */
function asProblem(thrown: unknown, limit: AbortSignal, { place, timeoutMs }: Sampler): unknown {
  if (thrown !== limit.reason || !timedOut(limit)) return thrown;
  return new Problem(`cut at ${(timeoutMs / secondMs).toFixed(1)} s`, {
    code: "SRC-004",
    where: place,
    fix: "see bellwether try for what its read costs, or raise the sampler's timeout",
    retryable: true,
  });
}
