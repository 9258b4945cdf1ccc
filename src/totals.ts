/** What explains the totals of one slot that are bad, from the verdicts of the slots since they are. */
import type { Contribution } from "./core/contribution.ts";
import type { Sampler } from "./core/definitions.ts";
import { formatSeries, matchersOf, tagsKey } from "./core/labels.ts";
import type { Tags, Verdict } from "./core/model.ts";
import type { Log, TimeSeriesStore } from "./core/ports.ts";
import { messageOf } from "./core/problem.ts";
import { verdictMeasurement } from "./judge/stored.ts";
import { contributionOf, type JudgedSlot } from "./relate/contribution.ts";

export type TotalsDeps = {
  /** Absent: what the slot itself says is all that is known. */
  readonly store?: Pick<TimeSeriesStore, "read"> | undefined;
  readonly log?: Log | undefined;
};

/** The newest slots of an incident that are looked at, and the values that one look may read. */
const slotsMax = 360;
const valuesMax = 200_000;

/** Slots of each series, by the key of its tags. */
type Slots = Map<string, { readonly tags: Tags; readonly slots: Map<number, JudgedSlot> }>;

/**
 * By series of the total as `formatSeries` writes it; nothing for totals that are as expected. Where verdicts of earlier
 * slots cannot be read, or only from a copy that is behind, the slot itself has to do: an alert does not wait for it.
 */
export async function explainTotals(
  deps: TotalsDeps,
  sampler: Sampler,
  verdicts: readonly Verdict[],
): Promise<ReadonlyMap<string, Contribution>> {
  const found = new Map<string, Contribution>();
  if (!sampler.alerts) return found;
  for (const field of sampler.point.total ?? []) {
    const own = verdicts.filter(({ series }) => series.field === field);
    const total = own.find(({ series }) => Object.keys(series.tags).length === 0);
    if (total === undefined || total.level === "normal" || total.level === "unknown") continue;
    const slots: Slots = new Map();
    await readSlots(deps, total, own.length, slots);
    for (const { series, timeMs, expected, observed } of own) put(slots, series.tags, { timeMs, expected, observed });
    const lists = [...slots.values()].map((one) => ({ tags: one.tags, slots: [...one.slots.values()] }));
    const isTotal = ({ tags }: { readonly tags: Tags }): boolean => Object.keys(tags).length === 0;
    const contribution = contributionOf(
      lists.find(isTotal)?.slots ?? [],
      lists.filter((one) => !isTotal(one)),
    );
    if (contribution !== null) found.set(formatSeries(total.series), contribution);
  }
  return found;
}

/** Verdicts of the slots since the total is bad, the newest ones where they are many. */
async function readSlots({ store, log }: TotalsDeps, total: Verdict, series: number, slots: Slots): Promise<void> {
  const { timeMs, stepMs } = total;
  const { measurement, field } = total.series;
  const many = Math.min(slotsMax, Math.floor(valuesMax / (2 * series)));
  const fromMs = Math.max(total.sinceMs ?? timeMs, timeMs - many * stepMs);
  if (store === undefined || fromMs >= timeMs) return;
  try {
    const read = await store.read({
      measurement: verdictMeasurement(measurement),
      fields: ["expected", "observed"],
      tags: matchersOf({ field }),
      windows: [{ fromMs, toMs: timeMs }],
    });
    if (read.stale) return;
    for (const one of read.series) {
      const { field: _, ...tags } = one.tags;
      for (const [index, atMs] of one.timesMs.entries()) {
        put(slots, tags, { timeMs: atMs, [one.field]: one.values[index] });
      }
    }
  } catch (thrown) {
    log?.warn({ series: formatSeries(total.series), error: messageOf(thrown) }, "what explains a total was not read");
  }
}

function put(slots: Slots, tags: Tags, known: Partial<JudgedSlot> & Pick<JudgedSlot, "timeMs">): void {
  const key = tagsKey(tags);
  const one = slots.get(key) ?? { tags, slots: new Map<number, JudgedSlot>() };
  slots.set(key, one);
  const before = one.slots.get(known.timeMs) ?? { timeMs: known.timeMs, expected: null, observed: null };
  one.slots.set(known.timeMs, { ...before, ...known });
}
