/** The scheduler: plans slots into the ledger, wakes workers for them, and does what only the passing of time does. */
import type { Definitions } from "./core/definitions.ts";
import type { Measured, Queue } from "./core/ports.ts";
import { minuteMs, secondMs } from "./core/time.ts";
import type { Desk } from "./desk.ts";
import { every, keepFacts } from "./housekeeping.ts";
import { Scheduler } from "./schedule/scheduler.ts";

/** How often alerts are looked at for what only time changes. */
const tickMs = 5 * secondMs;
/** The longest that the first look waits for slots that were due before the start. */
const catchUpMsMax = 5 * minuteMs;

export class SchedulerRole {
  readonly #desk: Desk;
  readonly #scheduler: Scheduler;
  readonly #tempo: number;

  constructor(desk: Desk, queue: Queue, shareOf: (sampler: string) => number, tempo: number) {
    const { clock, log, settings, state } = desk;
    this.#desk = desk;
    this.#tempo = tempo;
    this.#scheduler = new Scheduler({ clock, slots: state.slots, queue, log, catchUp: settings.catchUp, shareOf });
  }

  get measured(): readonly Measured[] {
    return [this.#scheduler];
  }

  takeDefinitions({ samplers }: Definitions): void {
    this.#scheduler.setSamplers(samplers);
  }

  run(signal: AbortSignal): Promise<void>[] {
    return [this.#scheduler.run(signal), this.#tickAlerts(signal), keepFacts(this.#desk, signal)];
  }

  /** After a start, what slots have to say goes before what only time does: no "still" from before a long stop. */
  async #tickAlerts(signal: AbortSignal): Promise<void> {
    const { clock, log, state, alerting } = this.#desk;
    const ms = tickMs * Math.sqrt(this.#tempo);
    const startedMs = clock.nowMs();
    for (let waitedMs = 0; waitedMs < catchUpMsMax && !signal.aborted; waitedMs += ms) {
      await clock.sleep(ms, signal).catch(() => {});
      // Of many samplers one is due at nearly any moment: only what was due before must have run.
      const [oldest] = await state.slots.ready(clock.nowMs(), 1).catch(() => []);
      if (oldest === undefined || oldest.dueMs > startedMs) break;
    }
    await every(ms, clock, signal, log, "alerts", () => alerting.tick());
  }
}
