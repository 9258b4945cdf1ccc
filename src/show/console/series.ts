/** Which series there are, and how their points and verdicts are read from the store. */
import type { Sampler } from "../../core/definitions.ts";
import { formatSeries, type Matcher, parseMatcher, parseSelector } from "../../core/labels.ts";
import type { FieldValue, Level, SeriesId, SlotRecord, Tags, TimeWindow } from "../../core/model.ts";
import { levelOf } from "../../core/model.ts";
import type { Series } from "../../core/ports.ts";
import { dayMs, floorToStep } from "../../core/time.ts";
import type { Facts } from "./facts.ts";
import { asked, Refusal } from "./problems.ts";

/** A series without a point for so long is no longer shown. */
const shownForMs = 30 * dayMs;
/** How many of the latest slots are looked through for a verdict before the older ones are read one by one. */
const latestSlots = 5;
/** At most so many different last slots are read; series that ended earlier have no level. */
const windowsMax = 64;

export type ShownSeries = {
  readonly id: SeriesId;
  readonly text: string;
  readonly sampler: Sampler;
  /** False: the field is stored only. */
  readonly judged: boolean;
  readonly spacingMs: number;
  /** Time of the latest stored value. */
  readonly lastMs: number;
};

export type Judged = { readonly level: Level; readonly atMs: number };

/** Every series of every sampler, in order of their texts. */
export async function allSeries(facts: Facts): Promise<readonly ShownSeries[]> {
  const samplers = [...facts.definitions().definitions.samplers.values()];
  const found = await Promise.all(samplers.map((sampler) => seriesOf(facts, sampler)));
  return found.flat().sort((a, b) => (a.text < b.text ? -1 : 1));
}

async function seriesOf(facts: Facts, sampler: Sampler): Promise<ShownSeries[]> {
  const { measurement, fields } = sampler.point;
  const sinceMs = facts.clock.nowMs() - shownForMs;
  const [known, spacing] = await Promise.all([facts.store.list({ measurement, sinceMs }), spacingMs(facts, sampler)]);
  return known
    .filter(({ field }) => fields.includes(field))
    .map(({ lastMs, ...id }) => ({
      id,
      text: formatSeries(id),
      sampler,
      judged: sampler.judge[id.field] !== undefined,
      spacingMs: spacing,
      lastMs,
    }));
}

/**
 * The series that a text names, with its sampler.
 * @throws Refusal 400 if the text is not one series, 404 if no sampler makes it
 */
export async function oneSeries(facts: Facts, text: string): Promise<ShownSeries> {
  const { measurement, tags, field } = asked("series", () => parseSelector(text));
  if (field === null || tags.some(({ operator }) => operator !== "=")) {
    throw new Refusal(400, "this names several series", {
      path: "series",
      fix: 'write measurement{tag="value"}.field',
    });
  }
  const { samplers } = facts.definitions().definitions;
  const sampler = [...samplers.values()].find(
    ({ point }) => point.measurement === measurement && point.fields.includes(field),
  );
  const id = { measurement, tags: Object.fromEntries(tags.map(({ label, value }) => [label, value])), field };
  const found = sampler && (await seriesOf(facts, sampler)).find((series) => series.text === formatSeries(id));
  if (found === undefined) {
    throw new Refusal(404, `no sampler makes the series ${formatSeries(id)}`, { fix: "see /api/v1/overview" });
  }
  return found;
}

/** Usual time from one slot to the next. Of a cron schedule it is told from the ledger; one day if that is short. */
async function spacingMs(facts: Facts, sampler: Sampler): Promise<number> {
  if (sampler.schedule.kind === "every") return sampler.schedule.stepMs;
  const slots = await facts.state.slots.list({ sampler: sampler.name, limit: 10 });
  const gaps = slots.slice(1).map((slot, index) => (slots[index] as SlotRecord).startMs - slot.startMs);
  gaps.sort((a, b) => a - b);
  return gaps[Math.floor(gaps.length / 2)] ?? dayMs;
}

/** By the text of the series. `stale`: a copy that is behind was read, so the newest may be missing. */
export type BySeries<T> = { readonly found: ReadonlyMap<string, T>; readonly stale: boolean };

/** The latest verdict of each judged series. A series is absent if its latest slots have none. */
export async function latestLevels(facts: Facts, shown: readonly ShownSeries[]): Promise<BySeries<Judged>> {
  const found = new Map<string, Judged>();
  let stale = false;
  const judged = shown.filter((series) => series.judged);
  for (const [measurement, ofMeasurement] of Map.groupBy(judged, (series) => series.id.measurement)) {
    const windows = await latestWindows(facts, ofMeasurement);
    const read = await facts.store.read({ measurement: `${measurement}_verdict`, fields: ["level"], windows });
    stale ||= read.stale;
    for (const verdicts of read.series) {
      const atMs = verdicts.timesMs.at(-1);
      if (atMs !== undefined) found.set(textOfVerdict(verdicts), { level: levelOf(verdicts.values.at(-1)), atMs });
    }
  }
  return { found, stale };
}

/** The last few slots of the measurement, and the last slot of each series that ended before them. */
async function latestWindows(facts: Facts, shown: readonly ShownSeries[]): Promise<TimeWindow[]> {
  const [{ sampler, spacingMs: spacing }] = shown as [ShownSeries];
  const slots = await facts.state.slots.list({ sampler: sampler.name, limit: latestSlots });
  // A slot without any rows leaves a verdict and no value, so the ledger knows later slots than the store.
  const endMs = Math.max(...shown.map(({ lastMs }) => lastMs), ...slots.map(({ startMs }) => startMs)) + 1;
  const fromMs = endMs - 1 - (latestSlots - 1) * spacing;
  const older = [...new Set(shown.map(({ lastMs }) => lastMs))].filter((lastMs) => lastMs < fromMs);
  const windows = older.sort((a, b) => b - a).slice(0, windowsMax);
  return [...windows.reverse().map((lastMs) => ({ fromMs: lastMs, toMs: lastMs + 1 })), { fromMs, toMs: endMs }];
}

/** Columns of one series by slot: each field's value at a time, `null` where there is none. */
export type Columns = ReadonlyMap<string, ReadonlyMap<number, FieldValue>>;

/** Verdict fields of judged series, and plain values (as `observed`) of the others. */
export async function readColumns(
  facts: Facts,
  shown: readonly ShownSeries[],
  window: TimeWindow,
  fields: readonly string[],
): Promise<BySeries<Columns>> {
  const found = new Map<string, Map<string, ReadonlyMap<number, FieldValue>>>();
  let stale = false;
  const keep = (text: string, field: string, { timesMs, values }: Series) => {
    const columns = found.get(text) ?? new Map();
    found.set(text, columns.set(field, new Map(timesMs.map((atMs, index) => [atMs, values[index] as FieldValue]))));
  };
  const groups = Map.groupBy(shown, ({ id, judged }) => `${judged}:${id.measurement}`);
  for (const group of groups.values()) {
    const [{ id, judged }] = group as [ShownSeries];
    const measurement = judged ? `${id.measurement}_verdict` : id.measurement;
    const wanted = judged ? fields : [...new Set(group.map((series) => series.id.field))];
    const tags = matchersOf(
      group.map((series) => (judged ? { ...series.id.tags, field: series.id.field } : series.id.tags)),
    );
    const read = await facts.store.read({ measurement, fields: wanted, tags, windows: [window] });
    stale ||= read.stale;
    for (const series of read.series) {
      if (judged) keep(textOfVerdict(series), series.field, series);
      else keep(formatSeries(series), "observed", series);
    }
  }
  return { found, stale };
}

/** Matchers that hold for all of these tags, and for few others: one alternative per value of each tag. */
function matchersOf(all: readonly Tags[]): Matcher[] {
  return Object.keys(all[0] ?? {}).map((label) => {
    const values = [...new Set(all.map((tags) => tags[label] ?? ""))];
    const [only] = values as [string];
    if (values.length === 1) return parseMatcher(`${label}=${quote(only)}`);
    return parseMatcher(
      `${label}=~${quote(values.map((value) => value.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&")).join("|"))}`,
    );
  });
}

function quote(value: string): string {
  return `"${value.replace(/["\\]/g, "\\$&")}"`;
}

/** The judged series that a series of verdicts speaks of. */
function textOfVerdict({ measurement, tags }: SeriesId): string {
  const { field = "", ...own } = tags;
  return formatSeries({ measurement: measurement.replace(/_verdict$/, ""), tags: own, field });
}

/** A stored cell as a number; null where there is none. */
export function numberOf(value: FieldValue | undefined): number | null {
  return typeof value === "number" ? value : null;
}

/** The start of the slot that holds a moment, for schedules that are aligned to the epoch. */
export function slotStartMs(sampler: Sampler, timeMs: number): number {
  return sampler.schedule.kind === "every" ? floorToStep(timeMs, sampler.schedule.stepMs) : timeMs;
}
