/** Runs samplers: keeps one source for each, bounds its time, counts what came. */
import type { Sampler } from "../core/definitions.ts";
import type { Row, TimeWindow } from "../core/model.ts";
import type { Measure, Measured, Source, SourceDeps } from "../core/ports.ts";
import { Problem } from "../core/problem.ts";
import { deadline, secondMs, stopwatch } from "../core/time.ts";
import { type SourcePlugin, sources } from "./sources/index.ts";

/**
 * The object itself is handed to every source: where `connections` is a getter, it is asked anew whenever a source is
 * made. `kinds`: kind of source -> plug-in; default all there are.
 */
export type SamplerRunnerDeps = SourceDeps & { readonly kinds?: Readonly<Record<string, SourcePlugin>> };

export type SampleResult = {
  readonly rows: readonly Row[];
  /** Real time, whatever clock the process runs on. */
  readonly elapsedMs: number;
};

type Held = { readonly definition: Sampler["source"]; readonly source: Source };
type Tally = { runs: number; faults: number; rows: number; elapsedMs: number };

export class SamplerRunner implements AsyncDisposable, Measured {
  readonly #deps: SourceDeps;
  readonly #kinds: Readonly<Record<string, SourcePlugin>>;
  readonly #held = new Map<string, Held>();
  readonly #tallies = new Map<string, Tally>();

  constructor(deps: SamplerRunnerDeps) {
    this.#deps = deps;
    this.#kinds = deps.kinds ?? sources;
  }

  /**
   * One read of `[fromMs, toMs)`, stopped after the sampler's `timeoutMs` of real time or when `signal` aborts.
   * @throws Problem if the source cannot be made or fails; the signal's reason if it aborts
   */
  async run(sampler: Sampler, window: TimeWindow, signal: AbortSignal): Promise<SampleResult> {
    const elapsedMs = stopwatch();
    const tally = this.#tallyOf(sampler.name);
    tally.runs += 1;
    try {
      const source = this.#sourceOf(sampler);
      const rows = await source.read(window, deadline(sampler.timeoutMs, signal));
      tally.rows += rows.length;
      return { rows, elapsedMs: elapsedMs() };
    } catch (thrown) {
      tally.faults += 1;
      throw thrown;
    } finally {
      tally.elapsedMs += elapsedMs();
    }
  }

  /** Closes a sampler's source; the next run makes a new one. For samplers that went and connections that changed. */
  async forget(sampler: string): Promise<void> {
    const held = this.#held.get(sampler);
    this.#held.delete(sampler);
    this.#tallies.delete(sampler);
    await held?.source[Symbol.asyncDispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#held.keys()].map((sampler) => this.forget(sampler)));
  }

  measures(): Measure[] {
    const counter = (name: string, help: string, value: number, sampler: string): Measure => {
      return { name: `bellwether_sample_${name}`, help, kind: "counter", value, labels: { sampler } };
    };
    return [
      { name: "bellwether_sources_open", help: "Sources held open.", kind: "gauge", value: this.#held.size },
      ...[...this.#tallies].flatMap(([sampler, tally]) => [
        counter("reads_total", "Reads of a source.", tally.runs, sampler),
        counter("faults_total", "Reads that failed.", tally.faults, sampler),
        counter("rows_total", "Rows read.", tally.rows, sampler),
        counter("read_seconds_total", "Time that reads took.", tally.elapsedMs / secondMs, sampler),
      ]),
      ...Object.values(this.#kinds).flatMap((kind) => kind.measures?.(this.#deps) ?? []),
    ];
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
    const fresh = { runs: 0, faults: 0, rows: 0, elapsedMs: 0 };
    this.#tallies.set(sampler, fresh);
    return fresh;
  }
}
