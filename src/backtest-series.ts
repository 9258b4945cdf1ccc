/** A series without a sampler through the life of alerts: which incidents it makes, and what one person hears of them. */
import { planSlot, planTick } from "./alert/plan.ts";
import type { Replay } from "./backtest.ts";
import type { Said } from "./backtest-weeks.ts";
import type { Definitions, Lifecycle, Sampler } from "./core/definitions.ts";
import type { Alert, Incident, OutboxItem, SeriesId, Verdict } from "./core/model.ts";
import { minuteMs } from "./core/time.ts";
import { defaultCollection } from "./define/collection.ts";
import { defaultSteps } from "./define/people.ts";
import { defaultRoute } from "./define/route.ts";
import { backtestJudging, type SeriesToJudge } from "./judge/backtest.ts";
import type { Decision } from "./judge/decision.ts";
import { conclude } from "./relate/relate.ts";
import type { AlertChanges } from "./state/alerts.ts";

const place = "default";
const listener = "reader";
const seriesId: SeriesId = { measurement: "series", tags: {}, field: "value" };

/** What came of a series: as a replay of samplers tells it, for one person. */
export type Heard = Pick<Replay, "slots" | "verdicts" | "incidents"> & Pick<Said, "messages">;

/**
 * Hears the decisions on one series, row by row, and tells one person by the default route: ten seconds after an alert
 * fires, again every four hours while it stands, and when it is over. A slot is told at its end.
 */
export class SeriesLife {
  readonly #series: SeriesToJudge;
  readonly #sampler: Sampler;
  readonly #definitions: Definitions;
  readonly #verdicts = { normal: 0, warning: 0, critical: 0, unknown: 0 };
  readonly #alerts = new Map<string, Alert>();
  readonly #incidents = new Map<string, Incident>();
  readonly #pastAlerts: Alert[] = [];
  readonly #pastIncidents: Incident[] = [];
  #outbox: OutboxItem[] = [];
  #nowMs = Number.NEGATIVE_INFINITY;
  #ids = 0;
  #rowsHeard = 0;

  constructor(series: SeriesToJudge, lifecycle: Lifecycle) {
    this.#series = series;
    this.#sampler = samplerOf(series, lifecycle);
    this.#definitions = definitionsOf(this.#sampler);
  }

  /** The decision on the next row. */
  hear(decision: Decision): void {
    const { timesMs, stepMs } = this.#series;
    const timeMs = timesMs[this.#rowsHeard] as number;
    this.#rowsHeard += 1;
    this.#verdicts[decision.level] += 1;
    this.#waitUntil(timeMs + stepMs);
    const bad = decision.level === "warning" || decision.level === "critical";
    if (bad || this.#stands) this.#slot(verdictOf(decision, timeMs, stepMs));
  }

  heard(): Heard {
    const incidents = [...this.#pastIncidents, ...this.#incidents.values()];
    const alerts = Map.groupBy([...this.#pastAlerts, ...this.#alerts.values()], ({ incidentId }) => incidentId);
    const severities = new Map(incidents.map(({ id, severity }) => [id, severity]));
    const messages = this.#outbox.map(({ dueMs: atMs, notifier, recipientName, incidentId }) => {
      return { atMs, notifier, recipientName, severity: severities.get(incidentId ?? "") ?? "warning" };
    });
    return {
      slots: this.#rowsHeard,
      verdicts: this.#verdicts,
      incidents: incidents.map((incident) => ({ incident, alerts: alerts.get(incident.id) ?? [] })),
      messages,
    };
  }

  get #stands(): boolean {
    return this.#alerts.size > 0 || this.#incidents.size > 0;
  }

  /** Lets time pass, with what it alone brings: first messages, repeats, and the end of what nothing is heard of. */
  #waitUntil(timeMs: number): void {
    while (this.#stands && this.#nowMs + minuteMs < timeMs) {
      this.#nowMs += minuteMs;
      this.#apply(planTick(this.#rows()));
    }
    this.#nowMs = timeMs;
    if (this.#stands) this.#apply(planTick(this.#rows()));
  }

  #slot(verdict: Verdict): void {
    const [sampler, verdicts] = [this.#sampler, [verdict]];
    const conclusions = conclude({ sampler, verdicts, rules: new Map(), standingRules: new Set() });
    this.#apply(planSlot({ ...this.#rows(), conclusions }));
  }

  #rows(): Parameters<typeof planTick>[0] {
    return {
      standing: [...this.#alerts.values()],
      incidents: [...this.#incidents.values()],
      outbox: this.#outbox.filter(({ incidentId }) => this.#incidents.has(incidentId ?? "")),
      definitions: this.#definitions,
      silences: [],
      nowMs: this.#nowMs,
      newId: () => String(++this.#ids),
    };
  }

  #apply({ alerts, incidents, outbox, cancel }: AlertChanges): void {
    for (const { after } of alerts) {
      if (after.state === "resolved") {
        this.#alerts.delete(after.id);
        this.#pastAlerts.push(after);
      } else this.#alerts.set(after.id, after);
    }
    for (const { after } of incidents) {
      if (after.state === "resolved") {
        this.#incidents.delete(after.id);
        this.#pastIncidents.push(after);
      } else this.#incidents.set(after.id, after);
    }
    const over = new Set(cancel.map(({ incidentId }) => incidentId));
    if (over.size > 0) {
      this.#outbox = this.#outbox.filter(
        ({ incidentId, dueMs }) => dueMs <= this.#nowMs || !over.has(incidentId ?? ""),
      );
    }
    this.#outbox.push(...outbox);
  }
}

function samplerOf({ stepMs, zone = "UTC", kind }: SeriesToJudge, alerting: Lifecycle): Sampler {
  const name = seriesId.measurement;
  return {
    ...{ name, title: name, owner: listener, group: listener, purpose: null, runbook: null, zone, calendar: null },
    schedule: { kind: "every", stepMs, delayMs: 0 },
    ...{ active: null, timeoutMs: stepMs, graceMs: 0, resample: 0, source: { kind: "csv", options: {} } },
    historyMs: 0,
    point: { measurement: name, tags: [], fields: [seriesId.field] },
    empty: "missing",
    judge: { [seriesId.field]: backtestJudging(kind) },
    ...{ priority: "medium", alerts: true, alerting, labels: {}, place },
  };
}

/** One sampler, one person, and nothing else. */
function definitionsOf(sampler: Sampler): Definitions {
  const person = { id: listener, name: listener, email: `${listener}@example.org`, phone: null, place };
  const group = { id: listener, title: listener, members: [listener], steps: defaultSteps, place };
  return {
    samplers: new Map([[sampler.name, sampler]]),
    rules: new Map(),
    route: defaultRoute,
    collection: defaultCollection,
    people: new Map([[listener, person]]),
    groups: new Map([[listener, group]]),
    calendars: new Map(),
    connections: new Map(),
  };
}

/** What alerts need of a decision; nobody reads its sentence. */
function verdictOf(decision: Decision, timeMs: number, stepMs: number): Verdict {
  const { state, level, observed, expected, lower, upper, evidence, gates, direction, slotsSummed } = decision;
  const { ongoing, memory } = decision;
  return {
    ...{
      sampler: seriesId.measurement,
      series: seriesId,
      timeMs,
      stepMs,
      state,
      level,
      observed,
      expected,
      lower,
      upper,
    },
    forecast: { value: null, abstained: "not kept" },
    baseline: { centre: null, spread: null, daysUsed: 0, daysTrimmed: 0, days: [] },
    ...{ evidence, gates, direction, slotsSummed, memory, reason: level },
    sinceMs: ongoing?.sinceMs ?? null,
    lossSoFar: ongoing?.loss ?? null,
  };
}
