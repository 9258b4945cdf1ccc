/** The whole engine over the past: what would have been alerted, and who would have been told what. */
import { Alerting } from "./alerting.ts";
import { calendarOf } from "./core/calendar.ts";
import type { Definitions, Sampler } from "./core/definitions.ts";
import type { Alert, Incident, NoticeKind, Point, Row, Tags, TimeWindow } from "./core/model.ts";
import type { Clock, Log, Origin, Series, TimeSeriesStore } from "./core/ports.ts";
import { Problem } from "./core/problem.ts";
import { dayMs, minuteMs } from "./core/time.ts";
import { referenceDays } from "./judge/cells.ts";
import { Judge } from "./judge/judge.ts";
import { Pipeline } from "./pipeline.ts";
import type { SamplerRunner } from "./sample/sample.ts";
import { dueMs, slotsEndingIn } from "./schedule/cron.ts";
import { openState } from "./state/database.ts";
import { stores } from "./store/stores/index.ts";

export type ReplayOptions = {
  readonly samplers: readonly Sampler[];
  readonly definitions: Definitions;
  readonly fromMs: number;
  readonly toMs: number;
  /** The real source, read slot by slot; or {@link storedRows}, what the store has of it. */
  readonly runner: Pick<SamplerRunner, "run">;
  readonly log: Log;
  readonly onProgress?: (share: number) => void;
};

export type FailedSlot = {
  readonly sampler: string;
  readonly startMs: number;
  readonly error: string;
  /** False: its source was not even asked, for what had failed before. */
  readonly asked: boolean;
};

type Unanswered = {
  readonly sampler: string;
  readonly slots: number;
  /** Of all that failed, in the days before `fromMs` too: the first whose source was asked, else the first. */
  readonly failure: Problem;
};

export type Replay = {
  readonly slots: number;
  /** Slots whose source failed, each with why. */
  readonly failed: readonly FailedSlot[];
  /** Samplers none of whose slots was answered. */
  readonly unanswered: readonly Unanswered[];
  readonly verdicts: Readonly<Record<"normal" | "warning" | "critical" | "unknown", number>>;
  readonly incidents: readonly { readonly incident: Incident; readonly alerts: readonly Alert[] }[];
  readonly messages: readonly {
    readonly atMs: number;
    readonly kind: NoticeKind;
    readonly notifier: string;
    readonly recipientName: string;
    readonly title: string;
    /** Of its incident, at its worst. */
    readonly severity: Incident["severity"];
  }[];
};

/** Slots that one backtest may run, the days before `fromMs` included. */
const slotsMax = 2_000_000;
/** Codes of slots that were held back: sampler slowed down, circuit open, budget spent. */
const heldBack = new Set<string | undefined>(["SRC-001", "SRC-002", "SRC-003"]);
/** How often, in replayed time, alerts are looked at for what only time changes. */
const tickMs = minuteMs;

/**
 * Replays slots in the order in which they were due, on a clock of its own and with stores in memory. The days that
 * baselines look back on are sampled and judged first, for the record.
 * @throws Problem if there are too many slots
 */
export async function replay(options: ReplayOptions): Promise<Replay> {
  const { samplers, definitions, fromMs, toMs, runner, log } = options;
  const warmUpMs = Math.max(...samplers.map(lookBackMs));
  const slots = samplers
    .flatMap((sampler) =>
      slotsEndingIn(sampler, fromMs - warmUpMs, toMs, slotsMax + 1).map((slot) => {
        return { ...slot, sampler, dueMs: dueMs(sampler, slot), catchUp: slot.startMs + slot.stepMs <= fromMs };
      }),
    )
    .sort((a, b) => a.dueMs - b.dueMs || a.startMs - b.startMs);
  if (slots.length > slotsMax) {
    throw new Problem(`too many slots (${slots.length}, at most ${slotsMax})`, { fix: "give a shorter time" });
  }
  let nowMs = fromMs - warmUpMs;
  const clock: Clock = { nowMs: () => nowMs, sleep: () => Promise.reject(new Error("a replay does not wait")) };
  await using store = stores.sqlite.create({ file: ":memory:" }, { clock, log });
  await using state = await openState({ file: ":memory:", clock, log });
  const alerting = new Alerting({ clock, state, definitions: () => definitions, store });
  const tally = countLevels(store);
  const judge = new Judge({ store: tally.store, log, calendarOf: (sampler) => calendarOf(definitions, sampler) });
  const pipeline = new Pipeline({ clock, runner, store: tally.store, judge, alerting, log });
  const failed: FailedSlot[] = [];
  const first = new Map<string, { asked?: Problem; heldBack?: Problem }>();
  const signal = new AbortController().signal;
  let tickedMs = fromMs;
  for (const [index, slot] of slots.entries()) {
    for (; tickedMs + tickMs <= slot.dueMs; tickedMs += tickMs) {
      nowMs = tickedMs + tickMs;
      await alerting.tick();
    }
    nowMs = Math.max(nowMs, slot.dueMs);
    tally.counting = !slot.catchUp;
    await pipeline.run(slot.sampler, slot, signal).catch((thrown: unknown) => {
      if (!(thrown instanceof Problem)) throw thrown;
      const asked = !heldBack.has(thrown.code);
      first.set(slot.sampler.name, { [asked ? "asked" : "heldBack"]: thrown, ...first.get(slot.sampler.name) });
      if (slot.catchUp) return;
      failed.push({ sampler: slot.sampler.name, startMs: slot.startMs, error: thrown.message, asked });
    });
    if (index % 256 === 0) options.onProgress?.(index / slots.length);
  }
  const ran = slots.filter(({ catchUp }) => !catchUp).length;
  const incidents = (await state.alerts.incidents({ limit: 10_000 })).toReversed();
  const stories = await Promise.all(incidents.map(({ id }) => state.alerts.incident(id)));
  const told = stories.filter((story) => story !== null);
  const messages = told.flatMap(({ incident: { title, severity }, outbox }) =>
    // A later step of a group is dropped where the incident was over before it.
    outbox.flatMap(({ state: became, dueMs: atMs, kind, notifier, recipientName }) => {
      return became === "cancelled" ? [] : [{ atMs, kind, notifier, recipientName, title, severity }];
    }),
  );
  messages.sort((a, b) => a.atMs - b.atMs);
  const unanswered = samplers.flatMap(({ name }): Unanswered[] => {
    const { asked, heldBack } = first.get(name) ?? {};
    const failure = asked ?? heldBack;
    if (failure === undefined) return [];
    const own = slots.filter(({ sampler, catchUp }) => sampler.name === name && !catchUp).length;
    const isAll = own > 0 && failed.filter(({ sampler }) => sampler === name).length === own;
    return isAll ? [{ sampler: name, slots: own, failure }] : [];
  });
  return { slots: ran, failed, unanswered, verdicts: tally.levels, incidents: told, messages };
}

/** How far judging looks back, and a day more. */
function lookBackMs(sampler: Sampler): number {
  const days = Object.values(sampler.judge).map(({ baseline }) => baseline.days);
  return (Math.max(referenceDays, ...days) + 1) * dayMs;
}

/** The store, counting levels of the verdicts written while `counting`. */
function countLevels(store: TimeSeriesStore) {
  const names = new Map<unknown, keyof Replay["verdicts"]>([
    [0, "normal"],
    [1, "warning"],
    [2, "critical"],
    [-1, "unknown"],
  ]);
  const tally = {
    counting: false,
    levels: { normal: 0, warning: 0, critical: 0, unknown: 0 },
    store: {
      read: (query) => store.read(query),
      list: (query) => store.list(query),
      expire: (beforeMs) => store.expire(beforeMs),
      write: (points: readonly Point[], origin?: Origin) => {
        const levels = tally.counting ? points.flatMap(({ fields }) => names.get(fields.level) ?? []) : [];
        for (const level of levels) tally.levels[level] += 1;
        return store.write(points, origin);
      },
      [Symbol.asyncDispose]: async () => {},
    } satisfies TimeSeriesStore,
  };
  return tally;
}

export type StoredRows = Pick<SamplerRunner, "run"> & {
  /** Names of samplers of which rows were found that came after `fromMs`. */
  readonly found: ReadonlySet<string>;
};

/** Reads a sampler's rows back from the points that are stored, for sources that no longer have the past. */
export function storedRows(store: TimeSeriesStore, fromMs: number): StoredRows {
  const found = new Set<string>();
  return {
    found,
    run: async (sampler: Sampler, window: TimeWindow) => {
      const { measurement, fields } = sampler.point;
      const { series } = await store.read({ measurement, fields, windows: [window] });
      const isRow = (tags: Tags): boolean => sampler.point.tags.length === 0 || Object.keys(tags).length > 0;
      // A total is made again from its rows.
      const rows = rowsOf(series.filter(({ tags }) => isRow(tags)));
      if (rows.length > 0 && window.toMs > fromMs) found.add(sampler.name);
      return { rows, cost: { serverMs: 0, rowsRead: null }, elapsedMs: 0 };
    },
  };
}

/** One row for each combination of tags; a window holds one point of each. */
function rowsOf(found: readonly Series[]): Row[] {
  const rows = new Map<string, Record<string, unknown>>();
  for (const { tags, field, values } of found) {
    if (values.length === 0) continue;
    const key = JSON.stringify(tags);
    const row = rows.get(key) ?? { ...tags };
    row[field] = values[0];
    rows.set(key, row);
  }
  return [...rows.values()];
}
