/** A series without a sampler through the life of alerts: which incidents it makes, and what one person hears of them. */
import { planSlot, planTick } from "./alert/plan.ts";
import type { Said } from "./backtest-weeks.ts";
import type { Definitions, Lifecycle, Sampler } from "./core/definitions.ts";
import type { Alert, Incident, OutboxItem, SeriesId, Verdict } from "./core/model.ts";
import { minuteMs } from "./core/time.ts";
import { defaultCollection } from "./define/collection.ts";
import { defaultSteps } from "./define/people.ts";
import { defaultRoute } from "./define/route.ts";
import { backtestJudging, decisions, type SeriesToJudge } from "./judge/backtest.ts";
import type { Decision } from "./judge/decision.ts";
import { conclude } from "./relate/relate.ts";
import type { AlertChanges } from "./state/alerts.ts";

const place = "default";
const listener = "reader";
const seriesId: SeriesId = { measurement: "series", tags: {}, field: "value" };

/**
 * Judged by the shipped defaults and told by the default route: ten seconds after an alert fires, again every four
 * hours while it stands, and when it is over. A slot is told at its end.
 */
export function tellSeries(series: SeriesToJudge, lifecycle: Lifecycle): Said {
  const definitions = definitionsOf(series, lifecycle);
  const sampler = definitions.samplers.get(seriesId.measurement) as Sampler;
  const told = new Told(definitions);
  let row = 0;
  for (const decision of decisions(series)) {
    const timeMs = series.timesMs[row] as number;
    row += 1;
    told.waitUntil(timeMs + series.stepMs);
    const bad = decision.level === "warning" || decision.level === "critical";
    if (bad || told.stands) told.slot(sampler, verdictOf(decision, timeMs, series.stepMs));
  }
  return told.said();
}

/** What the state keeps, in memory, of one series. */
class Told {
  readonly #definitions: Definitions;
  readonly #alerts = new Map<string, Alert>();
  readonly #incidents = new Map<string, Incident>();
  readonly #past: Incident[] = [];
  #outbox: OutboxItem[] = [];
  #nowMs = Number.NEGATIVE_INFINITY;
  #ids = 0;

  constructor(definitions: Definitions) {
    this.#definitions = definitions;
  }

  get stands(): boolean {
    return this.#alerts.size > 0 || this.#incidents.size > 0;
  }

  /** Lets time pass, with what it alone brings: first messages, repeats, and the end of what nothing is heard of. */
  waitUntil(timeMs: number): void {
    while (this.stands && this.#nowMs + minuteMs < timeMs) {
      this.#nowMs += minuteMs;
      this.#apply(planTick(this.#rows()));
    }
    this.#nowMs = timeMs;
    if (this.stands) this.#apply(planTick(this.#rows()));
  }

  slot(sampler: Sampler, verdict: Verdict): void {
    const conclusions = conclude({ sampler, verdicts: [verdict], rules: new Map(), standingRules: new Set() });
    this.#apply(planSlot({ ...this.#rows(), conclusions }));
  }

  said(): Said {
    const incidents = [...this.#past, ...this.#incidents.values()];
    const severities = new Map(incidents.map(({ id, severity }) => [id, severity]));
    const messages = this.#outbox.map(({ dueMs: atMs, notifier, recipientName, incidentId }) => {
      return { atMs, notifier, recipientName, severity: severities.get(incidentId ?? "") ?? "warning" };
    });
    return { incidents, messages };
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
      if (after.state === "resolved") this.#alerts.delete(after.id);
      else this.#alerts.set(after.id, after);
    }
    for (const { after } of incidents) {
      if (after.state === "resolved") {
        this.#incidents.delete(after.id);
        this.#past.push(after);
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

/** One sampler, one person, and nothing else. */
function definitionsOf({ stepMs, zone = "UTC", kind }: SeriesToJudge, alerting: Lifecycle): Definitions {
  const name = seriesId.measurement;
  const sampler: Sampler = {
    ...{ name, title: name, owner: listener, group: listener, purpose: null, runbook: null, zone, calendar: null },
    schedule: { kind: "every", stepMs, delayMs: 0 },
    ...{ active: null, timeoutMs: stepMs, graceMs: 0, resample: 0, source: { kind: "csv", options: {} } },
    point: { measurement: name, tags: [], fields: [seriesId.field] },
    empty: "missing",
    judge: { [seriesId.field]: backtestJudging(kind === "auto" ? "count" : kind) },
    ...{ priority: "medium", alerts: true, alerting, labels: {}, place },
  };
  const person = { id: listener, name: listener, email: `${listener}@example.org`, phone: null, place };
  const group = { id: listener, title: listener, members: [listener], steps: defaultSteps, place };
  return {
    samplers: new Map([[name, sampler]]),
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
  const { state, level, observed, expected, lower, upper, evidence, gates, direction, ongoing, slotsSummed } = decision;
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
    ...{ evidence, gates, direction, slotsSummed, reason: level },
    sinceMs: ongoing?.sinceMs ?? null,
    lossSoFar: ongoing?.loss ?? null,
  };
}
