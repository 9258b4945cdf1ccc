import { acknowledge, isEmpty, planConditions, planSlot, planTick } from "../../../src/alert/plan.ts";
import type { Contribution } from "../../../src/core/contribution.ts";
import type { Definitions } from "../../../src/core/definitions.ts";
import type { Alert, Condition, Incident, OutboxItem, Silence } from "../../../src/core/model.ts";
import type { Log } from "../../../src/core/ports.ts";
import { conclude } from "../../../src/relate/relate.ts";
import type { AlertChanges } from "../../../src/state/alerts.ts";
import { openState, type State } from "../../../src/state/database.ts";
import { SimulatedClock } from "../../support/clock.ts";
import { minuteMs, type VerdictParts, verdict } from "./builders.ts";

export const quiet: Log = { debug() {}, info() {}, warn() {}, error() {} };

/** Slots, ticks and people acting on a real database, on a clock that the test moves. Begins at 09:00 UTC. */
export class World implements AsyncDisposable {
  readonly clock: SimulatedClock;
  readonly state: State;
  definitions: Definitions;
  silences: Silence[] = [];
  /** What explains totals, by series. */
  explained: ReadonlyMap<string, Contribution> = new Map();
  #ids = 0;

  private constructor(state: State, clock: SimulatedClock, definitions: Definitions) {
    this.state = state;
    this.clock = clock;
    this.definitions = definitions;
  }

  static async open(definitions: Definitions): Promise<World> {
    const clock = new SimulatedClock("2026-11-20T09:00:00Z");
    return new World(await openState({ file: ":memory:", clock, log: quiet }), clock, definitions);
  }

  newId = (): string => `id-${String(++this.#ids).padStart(4, "0")}`;

  async input() {
    const incidents = await this.state.alerts.standingIncidents();
    return {
      standing: await this.state.alerts.standing(),
      incidents,
      outbox: (
        await Promise.all(incidents.map(({ id }) => this.state.outbox.list({ incidentId: id, limit: 1000 })))
      ).flat(),
      definitions: this.definitions,
      silences: this.silences,
      nowMs: this.clock.nowMs(),
      newId: this.newId,
    };
  }

  /** The slot that ends now: one verdict for each part, judged, related and planned. */
  async slot(...parts: Omit<VerdictParts, "timeMs">[]): Promise<AlertChanges> {
    return this.#apply(await this.plan(...parts));
  }

  /** What that slot would change, not applied. */
  async plan(...parts: Omit<VerdictParts, "timeMs">[]): Promise<AlertChanges> {
    const timeMs = this.clock.nowMs() - minuteMs;
    const input = await this.input();
    const verdicts = parts.map((part) => verdict({ ...part, timeMs }));
    const conclusions = [...Map.groupBy(verdicts, (one) => one.sampler)].flatMap(([name, own]) => {
      const sampler = this.definitions.samplers.get(name);
      if (sampler === undefined) throw new Error(`no sampler ${name}`);
      const standingRules = new Set(input.standing.map((alert) => alert.rule));
      const { explained } = this;
      return conclude({ sampler, verdicts: own, rules: this.definitions.rules, standingRules, explained });
    });
    return planSlot({ ...input, conclusions });
  }

  /** A minute passes, then the slot that it was. */
  async next(...parts: Omit<VerdictParts, "timeMs">[]): Promise<AlertChanges> {
    await this.clock.advance(minuteMs);
    return this.slot(...parts);
  }

  /** All that is wrong with Bellwether itself. */
  async tell(...conditions: Condition[]): Promise<AlertChanges> {
    return this.#apply(planConditions({ ...(await this.input()), conditions, complete: true }));
  }

  /** Some of it: the rest could not be looked at. */
  async tellSome(...conditions: Condition[]): Promise<AlertChanges> {
    return this.#apply(planConditions({ ...(await this.input()), conditions, complete: false }));
  }

  async tick(): Promise<AlertChanges> {
    return this.#apply(planTick(await this.input()));
  }

  async later(duration: string): Promise<AlertChanges> {
    await this.clock.advance(duration);
    return this.tick();
  }

  async acknowledge(by: string): Promise<void> {
    const [incident] = await this.state.alerts.standingIncidents();
    await this.#apply(acknowledge(incident as Incident, by, this.clock.nowMs(), this.newId));
  }

  /** Everything due is sent at once. */
  async send(): Promise<OutboxItem[]> {
    const items = await this.state.outbox.claim("test", this.clock.nowMs(), minuteMs, 1000);
    for (const { id } of items) await this.state.outbox.settle(id, "test", { state: "sent" }, this.clock.nowMs());
    return items;
  }

  /** What was sent, as `opened to ana@shop.example by email`. */
  async heard(): Promise<string[]> {
    const items = await this.send();
    return items.map(({ kind, recipient, notifier }) => `${kind} to ${recipient} by ${notifier}`).sort();
  }

  async alert(): Promise<Alert | undefined> {
    return (await this.state.alerts.standing())[0];
  }

  async incident(): Promise<Incident | undefined> {
    return (await this.state.alerts.incidents({ limit: 1 }))[0];
  }

  async #apply(changes: AlertChanges): Promise<AlertChanges> {
    if (!isEmpty(changes) && !(await this.state.alerts.apply(changes))) throw new Error("overtaken");
    return changes;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.state[Symbol.asyncDispose]();
  }
}
