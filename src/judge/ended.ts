import { type Ongoing, type Place, sumSlotsMax } from "./cells.ts";
import { gaugeScale, leastExpected } from "./detectors/baseline.ts";
import { countRatio, gaugeRatio, recovery } from "./math/recovery.ts";
import { type Context, readings, slotBySlot } from "./reading.ts";

/** Evidence for "as expected" against "as bad as it was" that ends one, in nats. */
const recoveryNats = 4;

/** Slots of the incident up to the one under test, as far as sums reach. */
export function incidentReach(place: Place, ongoing: Ongoing): number {
  const slots = Math.floor((place.timeMs - ongoing.sinceMs) / place.stepMs) + 1;
  return Math.max(1, Math.min(slots, sumSlotsMax));
}

/**
 * Whether the incident is over: the newest slots are likelier under the baseline than if it were as bad as it was in
 * the older half of what can be seen of it.
 */
export function ended(context: Context, ongoing: Ongoing): boolean {
  const { cells, place, judging, kind } = context;
  const reach = incidentReach(place, ongoing);
  if (reach < 2) return false;
  const { plain } = readings(context, reach);
  const { observed, expected } = slotBySlot(context, reach, plain);
  const newer = Math.floor(reach / 2);
  let badObserved = 0;
  let badExpected = 0;
  let badSlots = 0;
  for (let back = newer; back < reach; back += 1) {
    if (Number.isNaN(observed[back])) continue;
    badObserved += observed[back] as number;
    badExpected += expected[back] as number;
    badSlots += 1;
  }
  const sign = ongoing.direction === "up" ? 1 : -1;
  const least = judging.floor.percent / 100;
  const usual = 1 + (sign * judging.floor.criticalPercent) / 100;
  if (kind === "count") {
    // Between a twentieth and twenty times; at least as far off as the floor. Nothing seen of it: the critical floor.
    const seen = badExpected > 0 ? badObserved / badExpected : usual;
    const bad = sign > 0 ? clamp(seen, 1 + least, 20) : clamp(seen, 0.05, Math.max(0.05, 1 - least));
    // What scatters more than Poisson says less per count.
    const scatter = Math.max(1, plain.variance / Math.max(plain.expected, leastExpected));
    const ratios = newest(observed, newer).map((value, back) =>
      Number.isNaN(value) ? value : countRatio(Math.max(0, value), expected[back] as number, bad) / scatter,
    );
    return recovery(ratios) >= recoveryNats;
  }
  const scale = gaugeScale(cells, place, plain.expected, judging.baseline.trim);
  const seen = badSlots > 0 ? (badObserved - badExpected) / badSlots : (usual - 1) * Math.abs(plain.expected);
  const offset = sign * Math.max(sign * seen, least * Math.abs(plain.expected));
  const ratios = newest(observed, newer).map((value, back) =>
    Number.isNaN(value) ? value : gaugeRatio(value, expected[back] as number, offset, scale),
  );
  return recovery(ratios) >= recoveryNats;
}

function newest(values: readonly number[], slots: number): readonly number[] {
  return values.slice(0, slots);
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(Math.max(value, least), most);
}
