import { daysBeforeMs, msToWall } from "../core/zone.ts";

/** "The same slot n days before" and the wall clock, in one zone. */
export class ZoneDays {
  readonly #zone: string;

  constructor(zone: string) {
    this.#zone = zone;
  }

  /** The moment that reads the same on the wall clock `days` calendar days before. */
  beforeMs(timeMs: number, days: number): number {
    return daysBeforeMs(timeMs, days, this.#zone);
  }

  /**
   * The same slot on each of the `days` calendar days before, newest first; null for a day that the zone left out
   * (Pacific/Apia, 30 December 2011), which would be the slot of the day after it once more, or `timeMs` itself.
   */
  sameSlotsMs(timeMs: number, days: number): (number | null)[] {
    const found: (number | null)[] = [];
    let laterMs = timeMs;
    for (let day = 1; day <= days; day += 1) {
      const startMs = this.beforeMs(timeMs, day);
      found.push(startMs < laterMs ? startMs : null);
      laterMs = Math.min(laterMs, startMs);
    }
    return found;
  }

  /** The wall clock as if its digits were UTC. */
  wallMs(timeMs: number): number {
    return msToWall(timeMs, this.#zone);
  }
}
