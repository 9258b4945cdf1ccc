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

/** `trials`: of a ratio, what it was measured on. */
type Slot = JudgedSlot & { readonly trials?: number | null };

/** Slots of each series, by the key of its tags. */
type Slots = Map<string, { readonly tags: Tags; readonly slots: Map<number, Slot> }>;

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
    const denominator = sampler.judge[field]?.denominator;
    const slots: Slots = new Map();
    await readSlots(deps, total, own.length, denominator, slots);
    for (const { series, timeMs, expected, observed, trials } of own) {
      put(slots, series.tags, { timeMs, expected, observed, ...(trials && { trials: trials.slot }) });
    }
    const lists = [...slots.values()].map((one) => ({
      tags: one.tags,
      slots: [...one.slots.values()].map(denominator === undefined ? (slot) => slot : hitsOf),
    }));
    const isTotal = ({ tags }: { readonly tags: Tags }): boolean => Object.keys(tags).length === 0;
    const contribution = contributionOf(
      lists.find(isTotal)?.slots ?? [],
      lists.filter((one) => !isTotal(one)),
    );
    if (contribution !== null) found.set(formatSeries(total.series), contribution);
  }
  return found;
}

/** Shares do not add up, what they are shares of does. */
function hitsOf({ timeMs, expected, observed, trials }: Slot): JudgedSlot {
  const times = (share: number | null): number | null => (share === null || trials == null ? null : share * trials);
  return { timeMs, expected: times(expected), observed: times(observed) };
}

/** Verdicts of the slots since the total is bad, the newest ones where they are many. */
async function readSlots(
  { store, log }: TotalsDeps,
  total: Verdict,
  series: number,
  denominator: string | undefined,
  slots: Slots,
): Promise<void> {
  const { timeMs, stepMs } = total;
  const { measurement, field } = total.series;
  const many = Math.min(slotsMax, Math.floor(valuesMax / ((denominator === undefined ? 2 : 3) * series)));
  const fromMs = Math.max(total.sinceMs ?? timeMs, timeMs - many * stepMs);
  if (store === undefined || fromMs >= timeMs) return;
  const windows = [{ fromMs, toMs: timeMs }];
  const fields = ["expected", "observed"];
  try {
    const verdicts = store.read({
      measurement: verdictMeasurement(measurement),
      fields,
      tags: matchersOf({ field }),
      windows,
    });
    const points = denominator === undefined ? null : store.read({ measurement, fields: [denominator], windows });
    const [judged, measured] = await Promise.all([verdicts, points]);
    if (judged.stale || measured?.stale) return;
    for (const { tags: all, field: what, timesMs, values } of judged.series) {
      const { field: _, ...tags } = all;
      for (const [index, atMs] of timesMs.entries()) put(slots, tags, { timeMs: atMs, [what]: values[index] });
    }
    for (const { tags, timesMs, values } of measured?.series ?? []) {
      for (const [index, atMs] of timesMs.entries())
        put(slots, tags, { timeMs: atMs, trials: values[index] as number });
    }
  } catch (thrown) {
    log?.warn({ series: formatSeries(total.series), error: messageOf(thrown) }, "what explains a total was not read");
  }
}

function put(slots: Slots, tags: Tags, known: Partial<Slot> & Pick<Slot, "timeMs">): void {
  const key = tagsKey(tags);
  const one = slots.get(key) ?? { tags, slots: new Map<number, Slot>() };
  slots.set(key, one);
  const before = one.slots.get(known.timeMs) ?? { timeMs: known.timeMs, expected: null, observed: null };
  one.slots.set(known.timeMs, { ...before, ...known });
}
