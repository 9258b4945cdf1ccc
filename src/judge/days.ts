import { dayMs, hourMs } from "../core/time.ts";
import { daysBeforeMs, msToWall } from "../core/zone.ts";

/** Hours remembered before the memory starts anew: about a year's. */
const hoursMax = 10_000;

/**
 * "The same slot n days before" and the wall clock, for many slots of one zone. The same answers as `daysBeforeMs`, at
 * a hundredth of the price: the zone's offset is asked for once an hour of time, and only slots near a change of
 * offset take the long way.
 */
export class ZoneDays {
  readonly #zone: string;
  /**
   * Hour since the epoch -> offset of the zone in it; NaN where it changes within that hour, at its end or in the two
   * hours before, so that skipped and repeated wall times take the long way.
   */
  readonly #offsets = new Map<number, number>();

  constructor(zone: string) {
    this.#zone = zone;
  }

  /** The moment that reads the same on the wall clock `days` calendar days before. */
  beforeMs(timeMs: number, days: number): number {
    if (this.#zone === "UTC") return timeMs - days * dayMs;
    const offset = this.#offsetMs(timeMs);
    const guess = timeMs - days * dayMs;
    const found = guess + offset - this.#offsetMs(guess);
    const sure = !Number.isNaN(found) && found + this.#offsetMs(found) === guess + offset;
    return sure ? found : daysBeforeMs(timeMs, days, this.#zone);
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
    if (this.#zone === "UTC") return timeMs;
    const offset = this.#offsetMs(timeMs);
    return Number.isNaN(offset) ? msToWall(timeMs, this.#zone) : timeMs + offset;
  }

  #offsetMs(timeMs: number): number {
    const hour = Math.floor(timeMs / hourMs);
    const known = this.#offsets.get(hour);
    if (known !== undefined) return known;
    if (this.#offsets.size >= hoursMax) this.#offsets.clear();
    const startMs = hour * hourMs;
    const offset = msToWall(startMs, this.#zone) - startMs;
    const stable = [-2, -1, 0.5, 1].every((part) => {
      const laterMs = startMs + part * hourMs;
      return msToWall(laterMs, this.#zone) - laterMs === offset;
    });
    this.#offsets.set(hour, stable ? offset : Number.NaN);
    return stable ? offset : Number.NaN;
  }
}
