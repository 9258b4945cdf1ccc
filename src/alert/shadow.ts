/**
 * Samplers in their shadow period: their alerts live and gather in incidents of their own, and nobody is told. What would
 * have been told is worked out afterwards, by planning each incident's life once more as if somebody had listened. Pure.
 */
import type { Definitions } from "../core/definitions.ts";
import type { Alert, Incident, Noise, OutboxItem, Silence, Transition } from "../core/model.ts";
import { dayMs } from "../core/time.ts";
import type { IncidentStory } from "../state/alerts.ts";
import { planTick } from "./plan.ts";
import { routesTaken, routingLabels } from "./route.ts";
import { isShadowOf } from "./shadow-key.ts";

/** So much must have been seen before it is said what a week would bring. */
const forecastFromMs = dayMs;
/** The most moments of one incident that are planned again; a month of repeats every four hours has 200. */
const momentsMax = 2_000;

type Life = Pick<IncidentStory, "incident" | "alerts" | "transitions">;
type Frame = { readonly definitions: Definitions; readonly silences: readonly Silence[]; readonly nowMs: number };
type Message = Pick<OutboxItem, "notifier" | "recipientName"> & { readonly severity: Alert["severity"] };

/**
 * @param lives incidents of the sampler; those that are not of its shadow are left out
 * @param fromMs when looking began
 */
export function forecast(sampler: string, lives: readonly Life[], frame: Frame, fromMs: number): Noise {
  const own = lives.filter(({ incident }) => isShadowOf(incident, sampler));
  const messages = own.flatMap((life) => wouldTell(life, frame));
  const groups = Map.groupBy(messages, ({ severity, notifier }) => `${severity} ${notifier}`);
  const seenMs = Math.max(0, frame.nowMs - fromMs);
  return {
    seenMs,
    alerts: own.reduce((sum, { alerts }) => sum + alerts.length, 0),
    incidents: own.length,
    messages: messages.length,
    people: names(messages),
    parts: [...groups]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([, [first, ...rest]]) => {
        const { severity, notifier } = first as Message;
        return { severity, notifier, messages: rest.length + 1, people: names([first as Message, ...rest]) };
      }),
    perWeek: seenMs < forecastFromMs ? null : (7 * dayMs) / seenMs,
  };
}

function names(messages: readonly Message[]): string[] {
  return [...new Set(messages.map(({ recipientName }) => recipientName))].sort();
}

/** Every message of one incident, had it been told and had nobody acknowledged it. */
function wouldTell(life: Life, { definitions, silences, nowMs }: Frame): Message[] {
  const endMs = Math.min(life.incident.resolvedMs ?? nowMs, nowMs);
  const [first] = life.alerts;
  if (first === undefined) return [];
  const { route } = routesTaken(definitions.route, routingLabels(first))[0];
  const { openedMs } = life.incident;
  const moments = new Set([openedMs, openedMs + route.groupWaitMs, openedMs + route.groupIntervalMs, endMs]);
  for (const { atMs } of life.transitions) moments.add(atMs);
  for (const { endsMs } of silences) moments.add(endsMs);
  let incident = untold(life.incident);
  let written: { item: OutboxItem; severity: Alert["severity"] }[] = [];
  let ids = 0;
  for (let round = 0, atMs = openedMs; round < momentsMax && atMs <= endMs; round += 1) {
    const { incidents, outbox, cancel } = planTick({
      standing: alertsAt(life, atMs),
      incidents: [incident],
      outbox: written.map(({ item }) => item),
      ...{ definitions, silences, nowMs: atMs },
      newId: () => `${++ids}`,
    });
    incident = incidents.find(({ after }) => after.id === incident.id)?.after ?? incident;
    if (cancel.length > 0) written = written.filter(({ item }) => item.dueMs <= atMs);
    const { severity } = incident;
    written.push(...outbox.map((item) => ({ item, severity })));
    if (incident.state === "resolved") break;
    if (outbox.length > 0) moments.add(atMs + route.groupIntervalMs).add(atMs + route.repeatIntervalMs);
    atMs = Math.min(...[...moments].filter((one) => one > atMs));
  }
  return written
    .filter(({ item }) => item.dueMs <= endMs)
    .map(({ item: { notifier, recipientName }, severity }) => ({ notifier, recipientName, severity }));
}

/** The incident as it was when it opened. */
function untold(incident: Incident): Incident {
  return {
    ...incident,
    ...{ state: "open", resolvedMs: null, acknowledgedBy: null, acknowledgedMs: null },
    ...{ notices: 0, lastNoticeMs: null, mutedReason: null },
  };
}

/** The alerts that had fired and were not over at that time, as they were then. */
function alertsAt({ alerts, transitions }: Life, atMs: number): Alert[] {
  return alerts.flatMap((alert) => {
    const own = transitions.filter(({ subjectId }) => subjectId === alert.id);
    const state = own.findLast((each) => each.atMs <= atMs)?.to as Alert["state"] | undefined;
    if (state !== "firing" && state !== "recovering") return [];
    const rises = own.some((each) => isRise(each) && each.atMs > atMs);
    return [{ ...alert, state, severity: rises ? "warning" : alert.severity, lastSlotMs: atMs }];
  });
}

function isRise({ from, to }: Transition): boolean {
  return from === "firing" && to === "firing";
}
