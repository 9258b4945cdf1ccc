import type { Calendar, Sampler } from "../core/definitions.ts";
import { matchersOf, seriesLabels, tagsKey } from "../core/labels.ts";
import type { Level, Point, SeriesId, Verdict } from "../core/model.ts";
import type { Log, Measure, Measured, TimeSeriesStore } from "../core/ports.ts";
import { Problem } from "../core/problem.ts";
import { floorToStep } from "../core/time.ts";
import type { Block, Held } from "./block.ts";
import { cellValue, type Place } from "./cells.ts";
import { ZoneDays } from "./days.ts";
import { decide } from "./decide.ts";
import { History, putPoints, type Subject } from "./history.ts";
import { verdictOf, verdictWithout } from "./verdict.ts";

export type JudgeDeps = {
  readonly store: TimeSeriesStore;
  readonly log: Log;
  /** The calendar that a sampler names; default: nobody has one. */
  readonly calendarOf?: (sampler: Sampler) => Calendar | null;
  /** Slots of history that may be held in memory, of all series together. Default 100 million. */
  readonly historyCellsMax?: number;
};

/**
 * Judges slots. What it remembers is only a copy of what the store holds: another Judge on the same store comes to the
 * same verdicts. The store must hold the verdicts of a slot before the next slot of the same sampler is judged; where
 * they could not be stored, call {@link Judge.forget}.
 */
export class Judge implements Measured {
  readonly #store: TimeSeriesStore;
  readonly #log: Log;
  readonly #history: History;
  readonly #verdicts: Record<Level, number> = { normal: 0, warning: 0, critical: 0, unknown: 0 };
  #withoutHistory = 0;

  constructor(deps: JudgeDeps) {
    this.#store = deps.store;
    this.#log = deps.log;
    this.#history = new History(deps.store, deps.calendarOf ?? (() => null), deps.historyCellsMax);
  }

  /**
   * One verdict for each judged field of each point, and one (`missing`, level `unknown`) for each series that was
   * heard of lately and has no value in this slot. One slot of a sampler at a time. A slot that was judged before, or
   * that is older than the newest one, is judged by what was known before it. Where the history that it needs cannot
   * be read now, or only from a copy that is behind, each value is `unknown`, and nothing is said of other series.
   * @param points of the slot, of the sampler's measurement
   */
  async judgeSlot(sampler: Sampler, slotStartMs: number, points: readonly Point[]): Promise<readonly Verdict[]> {
    const verdicts: Verdict[] = [];
    const lacking = new Set<string>();
    for (const [field, judging] of Object.entries(sampler.judge)) {
      const subject = { sampler, field, judging };
      const basis = await this.#history.at(subject, slotStartMs);
      if (basis.block === null) {
        lacking.add(basis.without);
        this.#history.note(subject, points);
        verdicts.push(...this.#unjudged(subject, points, basis.without));
        continue;
      }
      const { block, kept } = basis;
      const present = putPoints(block, subject, points);
      verdicts.push(...this.#judge(subject, block, slotStartMs, present));
      block.lastMs = slotStartMs;
      // An old slot, judged again, may have changed what later ones rest on.
      if (!kept) {
        this.#history.forget(sampler.name, field);
        this.#log.debug({ sampler: sampler.name, field, slotStartMs }, "an old slot was judged again");
      }
    }
    for (const verdict of verdicts) this.#verdicts[verdict.level] += 1;
    if (lacking.size > 0) {
      this.#withoutHistory += 1;
      this.#log.warn({ sampler: sampler.name, slotStartMs }, `a slot was not judged: ${[...lacking].join("; ")}`);
    }
    return verdicts;
  }

  /** What can be said of a slot's values without any history. */
  #unjudged({ sampler, field }: Subject, points: readonly Point[], without: string): Verdict[] {
    const clock = new ZoneDays(sampler.zone);
    return points
      .filter(({ fields }) => fields[field] !== undefined)
      .map((point) => verdictWithout(without, point, { sampler, field, clock }));
  }

  /**
   * The verdict on one series at a time, judged from what is stored; nothing is changed. `stale`: some of that could
   * only be read from a copy that is behind.
   * @param timeMs any time within the slot
   * @throws Problem if the sampler does not judge the field
   */
  async explain(
    sampler: Sampler,
    series: SeriesId,
    timeMs: number,
  ): Promise<{ readonly verdict: Verdict; readonly stale: boolean }> {
    const judging = sampler.judge[series.field];
    if (judging === undefined || series.measurement !== sampler.point.measurement) {
      throw new Problem(`${sampler.name} does not judge ${series.measurement}.${series.field}`, {
        where: sampler.place,
        fix: `name the field under judge: in the sampler, or ask for one of ${Object.keys(sampler.judge).join(", ")}`,
      });
    }
    const subject = { sampler, field: series.field, judging };
    const found = await this.#valueAt(sampler, series, timeMs);
    const { block, stale } = await this.#history.look(subject, found.startMs, series.tags);
    const held = block.series(tagsKey(series.tags), series.tags);
    block.put(held, found.startMs, found.value);
    const verdict = this.#verdict(subject, block, block.place(found.startMs), held);
    return { verdict, stale: stale || found.stale };
  }

  /** The slot that holds `timeMs`: the one that has a value, else the one that the schedule has. */
  async #valueAt(
    sampler: Sampler,
    series: SeriesId,
    timeMs: number,
  ): Promise<{ startMs: number; value: number; stale: boolean }> {
    const { stepMs, kind } = sampler.schedule;
    const { series: rows, stale } = await this.#store.read({
      measurement: series.measurement,
      fields: [series.field],
      tags: matchersOf(series.tags),
      windows: [{ fromMs: timeMs - stepMs + 1, toMs: timeMs + 1 }],
    });
    const own = rows.find((row) => tagsKey(row.tags) === tagsKey(series.tags));
    // Slots of a cron may overlap: the one that begins at this time is meant, if there is one.
    const exact = own?.timesMs.indexOf(timeMs) ?? -1;
    const startMs = own?.timesMs.at(exact);
    if (startMs !== undefined) return { startMs, value: cellValue(own?.values.at(exact)), stale };
    return { startMs: kind === "every" ? floorToStep(timeMs, stepMs) : timeMs, value: Number.NaN, stale };
  }

  /** @param present series that have a point in the slot, though its value may be none that can be judged */
  #judge(subject: Subject, block: Block, timeMs: number, present: ReadonlySet<Held>): Verdict[] {
    const place = block.place(timeMs);
    const verdicts: Verdict[] = [];
    for (const held of block.held.values()) {
      if (!present.has(held) && !block.isKnown(held, place)) continue;
      const verdict = this.#verdict(subject, block, place, held);
      verdicts.push(verdict);
      // Slots without a value are a pause: what goes on in them is not taken up for ever.
      if (verdict.state === "missing") {
        if (verdict.closes === true) block.mark(held, { timeMs, ongoing: null });
        continue;
      }
      block.remember(held, timeMs, { range: verdict.range ?? null, memory: verdict.memory ?? null });
      const { sinceMs, lossSoFar, direction } = verdict;
      if (sinceMs !== null) {
        block.mark(held, { timeMs, ongoing: { sinceMs, loss: lossSoFar ?? 0, direction: direction ?? "down" } });
      } else if (verdict.closes === true) block.mark(held, { timeMs, ongoing: null });
      if (verdict.accepted !== undefined) block.accept(held, { atMs: timeMs, ...verdict.accepted });
    }
    return verdicts;
  }

  #verdict({ sampler, field, judging }: Subject, block: Block, slot: Place, held: Held): Verdict {
    const series = { measurement: sampler.point.measurement, tags: held.tags, field };
    const subject = () => seriesLabels(sampler, series);
    const place = block.placeFor(slot, held, subject);
    const before = block.beforeAt(held, place.timeMs);
    const part = block.weigh(held, place, subject);
    return verdictOf(decide(held.cells, place, judging, before), held.cells, place, {
      sampler: sampler.name,
      series,
      judging,
      clock: new ZoneDays(sampler.zone),
      before: before.ongoing,
      part,
      wasInIncident: held.earlier.includes(place.timeMs),
    });
  }

  /** After a change of the sampler's definition, or where its verdicts could not be stored. */
  forget(samplerName: string): void {
    this.#history.forget(samplerName);
  }

  measures(): readonly Measure[] {
    const verdicts = Object.entries(this.#verdicts).map(([level, value]) => ({
      name: "bellwether_judge_verdicts_total",
      help: "Verdicts by level.",
      kind: "counter" as const,
      value,
      labels: { level },
    }));
    const without: Measure = {
      name: "bellwether_judge_without_history_total",
      help: "Slots left unknown because their history could not be read, or only from a copy that is behind.",
      kind: "counter",
      value: this.#withoutHistory,
    };
    return [...verdicts, without, ...this.#history.measures()];
  }
}
