/**
 * Verdicts, and what is wrong with Bellwether itself, into alerts, incidents and messages owed: reads the rows, has the
 * change planned, applies it at once.
 */
import { randomUUID } from "node:crypto";
import { checkSilence } from "./alert/mute.ts";
import { acknowledge, isEmpty, planConditions, planSlot, planTick } from "./alert/plan.ts";
import type { Contribution } from "./core/contribution.ts";
import type { Definitions, Sampler } from "./core/definitions.ts";
import { parseMatcher } from "./core/labels.ts";
import {
  type Alert,
  type Condition,
  type Incident,
  isOwn,
  type OutboxItem,
  ownName,
  type Silence,
  type Verdict,
} from "./core/model.ts";
import type { Clock, Log, Measure, Measured, TimeSeriesStore } from "./core/ports.ts";
import { Problem } from "./core/problem.ts";
import { conclude } from "./relate/relate.ts";
import type { Shadows } from "./shadow.ts";
import type { AlertChanges } from "./state/alerts.ts";
import type { State } from "./state/database.ts";
import { explainTotals } from "./totals.ts";

export type AlertingDeps = {
  readonly clock: Clock;
  readonly state: State;
  readonly definitions: () => Definitions;
  /** Where verdicts are kept, to tell what explains a total. Absent: the slot's own verdicts say that alone. */
  readonly store?: Pick<TimeSeriesStore, "read"> | undefined;
  /** Which samplers tell nobody yet. Absent: all tell. */
  readonly shadows?: Shadows | undefined;
  /** Where own conditions are told, too, in case nobody hears the messages. Absent: nowhere. */
  readonly log?: Log | undefined;
  /** Told after messages were written. */
  readonly onOwed?: (() => void) | undefined;
};

/** How often a plan that lost a race against another process is made again before the slot is left for a retry. */
const raceMax = 10;
/** Latest silences looked at; more than hold at a time. */
const silencesMax = 1_000;
/** Messages of one incident that are looked at. */
const messagesMax = 2_000;

type Rows = Parameters<typeof planTick>[0];

/**
 * Plans of one process take turns, so that they lose races only against other processes; those are found by
 * compare-and-set, and planned again from fresh rows.
 */
export class Alerting implements Measured {
  readonly #deps: AlertingDeps;
  #turn: Promise<unknown> = Promise.resolve();
  #races = 0;
  #conditions: readonly Condition[] = [];

  constructor(deps: AlertingDeps) {
    this.#deps = deps;
  }

  /** What the verdicts of one slot change. Verdicts of a slot that was looked at before change nothing. */
  async tellSlot(sampler: Sampler, verdicts: readonly Verdict[]): Promise<void> {
    const { rules } = this.#deps.definitions();
    await this.#deps.shadows?.begin(sampler);
    const explained = await this.#explained(sampler, verdicts);
    await this.#change((rows) => {
      const standingRules = new Set(
        rows.standing.filter((alert) => speaksFor(alert, sampler, rows)).map((alert) => alert.rule),
      );
      const conclusions = conclude({ sampler, verdicts, rules, standingRules, explained });
      return planSlot({ ...rows, conclusions });
    });
  }

  #explained(sampler: Sampler, verdicts: readonly Verdict[]): Promise<ReadonlyMap<string, Contribution>> {
    const { store, log } = this.#deps;
    return explainTotals({ store, log }, sampler, verdicts);
  }

  /**
   * What is wrong with Bellwether itself, the whole list, every few seconds; an empty one where nothing is. It fires at
   * once, so who tells has waited as long as is worth waiting. What is no longer in the list is over once it was absent
   * for 30 s, which takes two calls: after a start, nothing may be told before everything was looked at.
   * @param complete false: something could not be looked at, so what is not in the list stays as it is. Default true
   */
  async tellConditions(conditions: readonly Condition[], complete = true): Promise<void> {
    this.#conditions = conditions;
    const changes = await this.#change((rows) => planConditions({ ...rows, conditions, complete }));
    for (const { before, after } of changes?.alerts ?? []) this.#logCondition(before, after);
  }

  #logCondition(before: Alert | null, after: Alert): void {
    const fields = { condition: after.labels.condition, subject: after.labels.subject };
    const text = `${ownName(after)}: ${after.reason}`;
    if (after.state === "resolved") this.#deps.log?.info(fields, `over: ${text}`);
    else if (after.state === "firing" && (before?.state !== "firing" || before.severity !== after.severity)) {
      if (after.severity === "critical") this.#deps.log?.error(fields, text);
      else this.#deps.log?.warn(fields, text);
    }
  }

  /** What only the passing of time changes: group waits, repeats, ended silences. */
  async tick(): Promise<void> {
    await this.#change(planTick);
  }

  /** `done: false` with the incident as it stands where somebody was faster, null where there is none. */
  async acknowledge(
    incidentId: string,
    by: string,
    expectedVersion?: number,
  ): Promise<{ done: true; incident: Incident } | { done: false; incident: Incident | null }> {
    const { state, clock } = this.#deps;
    const story = await state.alerts.incident(incidentId);
    if (story === null) return { done: false, incident: null };
    const { incident } = story;
    const seen = expectedVersion === undefined || expectedVersion === incident.version;
    if (!seen || incident.state !== "open") return { done: false, incident };
    const changes = acknowledge(incident, by, clock.nowMs(), randomUUID);
    if (!(await state.alerts.apply(changes))) return this.acknowledge(incidentId, by, expectedVersion);
    return { done: true, incident: (await state.alerts.incident(incidentId))?.incident ?? incident };
  }

  /** @throws Problems SIL-001 if the draft has no end, reason, author or valid matchers */
  async addSilence(draft: Omit<Silence, "id" | "createdMs">): Promise<Silence> {
    const nowMs = this.#deps.clock.nowMs();
    const silence: Silence = { ...draft, id: randomUUID(), createdMs: nowMs };
    checkSilence(silence);
    for (const matcher of silence.matchers) parseMatcher(matcher);
    await this.#deps.state.silences.add(silence, {
      id: randomUUID(),
      atMs: nowMs,
      actor: silence.author,
      action: "silence.add",
      subject: silence.id,
      detail: `${silence.matchers.join(", ")}: ${silence.reason}`,
    });
    return silence;
  }

  /** False: there is no such silence, or it has ended. */
  endSilence(id: string, by: string): Promise<boolean> {
    const nowMs = this.#deps.clock.nowMs();
    const audit = { id: randomUUID(), atMs: nowMs, actor: by, action: "silence.end", subject: id, detail: "" };
    return this.#deps.state.silences.end(id, nowMs, audit);
  }

  measures(): Measure[] {
    return [
      {
        name: "bellwether_alert_races_total",
        help: "Plans made again because another process was faster.",
        kind: "counter",
        value: this.#races,
      },
      ...(["warning", "critical"] as const).map((severity) => ({
        name: "bellwether_conditions",
        help: "What is wrong with Bellwether itself and somebody must mend.",
        kind: "gauge" as const,
        value: this.#conditions.filter((condition) => condition.severity === severity).length,
        labels: { severity },
      })),
    ];
  }

  #change(plan: (rows: Rows) => AlertChanges): Promise<AlertChanges | null> {
    const turn = this.#turn.then(() => this.#changeNow(plan));
    this.#turn = turn.catch(() => {});
    return turn;
  }

  /** What was written; null where there was nothing to write. */
  async #changeNow(plan: (rows: Rows) => AlertChanges): Promise<AlertChanges | null> {
    for (let round = 0; round < raceMax; round += 1) {
      const changes = plan(await this.#rows());
      if (isEmpty(changes)) return null;
      if (await this.#deps.state.alerts.apply(changes)) {
        if (changes.outbox.length > 0) this.#deps.onOwed?.();
        return changes;
      }
      this.#races += 1;
    }
    throw new Problem(`alerts were changed by others ${raceMax} times in a row`, { where: "alerts", retryable: true });
  }

  async #rows(): Promise<Rows> {
    const { state, clock, definitions } = this.#deps;
    const standing = await state.alerts.standing();
    const incidents = await state.alerts.standingIncidents();
    const outbox: OutboxItem[] = [];
    for (const { id } of incidents) outbox.push(...(await state.outbox.list({ incidentId: id, limit: messagesMax })));
    const silences = await state.silences.list({ limit: silencesMax });
    const shadowed = await this.#deps.shadows?.read();
    const nowMs = clock.nowMs();
    return { standing, incidents, outbox, definitions: definitions(), silences, shadowed, nowMs, newId: randomUUID };
  }
}

/** Whether rules that need this alert's may fire for the sampler: nobody is told because of what nobody is told of. */
function speaksFor(alert: Alert, sampler: Sampler, { shadowed, nowMs }: Rows): boolean {
  if (isOwn(alert)) return false;
  return alert.sampler === sampler.name || (shadowed?.(alert.sampler, nowMs) ?? null) === null;
}
