/**
 * Plans: everything that a slot, the passing of time or a person changes in alerts and incidents, as one set of rows
 * for one transaction. Pure; a plan that lost a race (`AlertBook.apply` said false) is made again from fresh rows.
 */
import type { Definitions, Lifecycle } from "../core/definitions.ts";
import { formatSeries, matchesAll, parseMatcher } from "../core/labels.ts";
import {
  type Alert,
  type AuditEntry,
  type Conclusion,
  type Condition,
  type Incident,
  isOwn,
  type OutboxItem,
  ownName,
  type Silence,
  type Transition,
} from "../core/model.ts";
import { Problem } from "../core/problem.ts";
import { dayMs, formatDuration, formatTimeUtc } from "../core/time.ts";
import type { AlertChanges } from "../state/alerts.ts";
import { advanceCondition, bySeries, ownGroup } from "./condition.ts";
import { familyOf, spokenFor } from "./family.ts";
import { type Company, decideNotice, higher } from "./group.ts";
import { advance, alertFingerprint, type Mark, type Step } from "./lifecycle.ts";
import { type Muter, muter } from "./mute.ts";
import { type Notice, owedAgain, owedToGroups, owedToHearers } from "./receivers.ts";
import { groupOf, routesTaken, routingLabels, type Taken } from "./route.ts";
import { liveKey, type Shadowed, shadowKey } from "./shadow-key.ts";
import { titleOf } from "./title.ts";

export type PlanInput = {
  /** All that stand, of every sampler: incidents gather alerts of several. */
  readonly standing: readonly Alert[];
  readonly incidents: readonly Incident[];
  /** What was written for those incidents: who hears the recovery, and which steps were reached. */
  readonly outbox: readonly OutboxItem[];
  readonly definitions: Definitions;
  /** Those that hold now, and those that ended since the last notices: what they hid speaks when they end. */
  readonly silences: readonly Silence[];
  /** Which samplers are in their shadow period. Absent: none. */
  readonly shadowed?: Shadowed | undefined;
  readonly nowMs: number;
  readonly newId: () => string;
};

/** An alert that no definition speaks for any more is closed when it has heard nothing for so long. */
export const orphanMs = dayMs;
/** One whose series has vanished, though its definition stands: longer than any weekend, and so many of its slots. */
const vanishedMs = 7 * dayMs;
const vanishedSlots = 3;

/**
 * What one slot changes. Conclusions of slots that an alert already looked at change nothing, so a slot may be
 * planned again.
 */
export function planSlot(input: PlanInput & { readonly conclusions: readonly Conclusion[] }): AlertChanges {
  const plan = new Plan(input);
  const standingOf = Map.groupBy(input.standing, (alert) => seriesKey(alert.rule, alert.sampler, alert.series));
  for (const conclusion of totalsFirst(input.conclusions, input.definitions)) {
    const lifecycle = lifecycleOf(conclusion, input.definitions);
    if (lifecycle === null) continue;
    const { sampler, series } = conclusion.verdict;
    const standing = standingOf.get(seriesKey(conclusion.rule, sampler, formatSeries(series))) ?? [];
    // So it is for nearly all, nearly always.
    if (standing.length === 0 && conclusion.state !== "bad") continue;
    const own = alertFingerprint(conclusion);
    const marks: [Alert | null, Mark][] = standing.map((alert) => [alert, markFor(alert, conclusion, own)]);
    if (conclusion.state === "bad" && !standing.some((alert) => alert.fingerprint === own)) marks.push([null, "bad"]);
    for (const [alert, mark] of marks) {
      plan.step(alert, advance(alert, conclusion, mark, lifecycle, input.nowMs, input.newId), conclusion.timeMs);
    }
  }
  plan.speak((incident) => plan.touched.has(incident.id));
  return plan.changes();
}

/**
 * What is wrong with Bellwether itself, all of it, changes: those that are new fire, those that stood and are no longer
 * told recover. The same once more changes nothing but what time does: first notices and repeats of these incidents do
 * not wait for {@link planTick}, since nobody may be left who does that.
 */
export function planConditions(
  input: PlanInput & {
    readonly conditions: readonly Condition[];
    /** False: not everything could be looked at, so nothing recovers for not being told. */
    readonly complete: boolean;
  },
): AlertChanges {
  const plan = new Plan(input);
  const held = bySeries(input.conditions);
  const standing = new Map(input.standing.filter(isOwn).map((alert) => [alert.series, alert]));
  for (const series of new Set([...held.keys(), ...standing.keys()])) {
    if (!held.has(series) && !input.complete) continue;
    const before = standing.get(series) ?? null;
    plan.step(before, advanceCondition(before, held.get(series) ?? null, input.nowMs, input.newId), null);
  }
  plan.speak((incident, alerts) => plan.touched.has(incident.id) || alerts.some(isOwn));
  return plan.changes();
}

/** So that where a total and its series fire in one slot, there is the incident of the total to join. */
function totalsFirst(conclusions: readonly Conclusion[], definitions: Definitions): readonly Conclusion[] {
  const rank = ({ verdict, labels }: Conclusion): number => {
    const alert = { sampler: verdict.sampler, series: formatSeries(verdict.series), labels };
    return familyOf(alert, definitions)?.total === true ? 0 : 1;
  };
  return conclusions.toSorted((a, b) => rank(a) - rank(b));
}

/** What the alerts of both directions have in common. */
function seriesKey(rule: string, sampler: string, series: string): string {
  return `${rule} ${sampler} ${series}`;
}

/** A value too high is judged not too low: for the alert of the other direction the slot is good. */
function markFor(alert: Alert, conclusion: Conclusion, own: string): Mark {
  return conclusion.state === "bad" && alert.fingerprint !== own ? "good" : conclusion.state;
}

/**
 * What only time brings: first notices whose group wait is over, updates and repeats that are due, silences that
 * ended, incidents whose last alert another plan resolved, and alerts nobody defines any more.
 */
export function planTick(input: PlanInput): AlertChanges {
  const plan = new Plan(input);
  for (const alert of input.standing) {
    // Of an own condition nothing is written while it stands: quiet does not mean that nobody looks.
    if (isOwn(alert)) continue;
    const quietMs = input.nowMs - alert.lastSlotMs;
    if (!isDefined(alert, input.definitions)) {
      if (quietMs >= orphanMs) plan.close(alert, `no definition judges ${alert.series} by rule ${alert.rule} any more`);
    } else if (quietMs >= Math.max(vanishedMs, vanishedSlots * alert.stepMs)) {
      plan.close(alert, `nothing was heard of ${alert.series} for ${formatDuration(quietMs)}`);
    }
  }
  plan.speak(() => true);
  return plan.changes();
}

/**
 * A person takes an incident on: escalation and repeats stop, recovery is still told.
 * @throws Problem if somebody already did, or it is resolved
 */
export function acknowledge(incident: Incident, by: string, nowMs: number, newId: () => string): AlertChanges {
  if (incident.state !== "open") {
    const [did, atMs] =
      incident.state === "resolved"
        ? ["resolved", incident.resolvedMs]
        : [`acknowledged by ${incident.acknowledgedBy}`, incident.acknowledgedMs];
    throw new Problem(`already ${did} at ${atMs === null ? "an unknown time" : formatTimeUtc(atMs)}`, {
      where: `incident ${incident.id}`,
      fix: "read the incident again",
    });
  }
  const reason = `acknowledged by ${by}`;
  const after: Incident = {
    ...incident,
    state: "acknowledged",
    acknowledgedBy: by,
    acknowledgedMs: nowMs,
    version: incident.version + 1,
  };
  const transition: Transition = {
    id: newId(),
    subject: "incident",
    subjectId: incident.id,
    from: incident.state,
    to: "acknowledged",
    atMs: nowMs,
    slotMs: null,
    reason,
  };
  return {
    alerts: [],
    incidents: [{ before: incident, after }],
    transitions: [transition],
    outbox: [],
    cancel: [{ incidentId: incident.id, reason }],
    audit: [auditOf(newId(), nowMs, by, "incident.acknowledge", incident.id, incident.title)],
  };
}

/** Whether a plan changes anything at all. */
export function isEmpty(changes: AlertChanges): boolean {
  return Object.values(changes).every((rows) => rows.length === 0);
}

/** Null if the sampler is no longer defined: nothing is left to say how its alerts live. */
function lifecycleOf(conclusion: Conclusion, definitions: Definitions): Lifecycle | null {
  const sampler = definitions.samplers.get(conclusion.verdict.sampler);
  return sampler === undefined ? null : (definitions.rules.get(conclusion.rule) ?? sampler.alerting);
}

function isDefined(alert: Alert, definitions: Definitions): boolean {
  if (isOwn(alert)) return true;
  const sampler = definitions.samplers.get(alert.sampler);
  if (sampler === undefined || !sampler.alerts || !((alert.labels.field ?? "") in sampler.judge)) return false;
  const matching = [...definitions.rules.values()].filter((rule) =>
    matchesAll(rule.match.map(parseMatcher), alert.labels),
  );
  return matching.length === 0 || matching.some((rule) => rule.name === alert.rule);
}

function auditOf(id: string, atMs: number, actor: string, action: string, subject: string, detail: string): AuditEntry {
  return { id, atMs, actor, action, subject, detail };
}

/** What an alert is about, for the audit log and the story of its incident. */
function spoken(alert: Alert): string {
  return isOwn(alert) ? ownName(alert) : alert.series;
}

/** A plan in the making: the rows as they will be, and what is written about them. */
class Plan {
  /** Incidents that an alert joined, rose in, or left. */
  readonly touched = new Set<string>();
  readonly #input: PlanInput;
  readonly #muted: Muter;
  readonly #alerts = new Map<string, { before: Alert | null; after: Alert }>();
  /** Alerts of totals, by the key of their family. */
  readonly #totals = new Map<string, string>();
  readonly #incidents: Map<string, { before: Incident | null; after: Incident }>;
  /** Standing incidents by their group key. */
  readonly #byGroup: Map<string, string>;
  readonly #transitions: Transition[] = [];
  readonly #outbox: OutboxItem[] = [];
  readonly #cancel: { incidentId: string; reason: string }[] = [];
  readonly #audit: AuditEntry[] = [];

  constructor(input: PlanInput) {
    this.#input = input;
    const silenced = muter(input.silences);
    this.#muted = (labels, atMs) => input.shadowed?.(labels.sampler ?? "", atMs) ?? silenced(labels, atMs);
    for (const alert of input.standing) this.#keep(alert, alert);
    this.#incidents = new Map(input.incidents.map((incident) => [incident.id, { before: incident, after: incident }]));
    this.#byGroup = new Map(input.incidents.map((incident) => [incident.groupKey, incident.id]));
  }

  #keep(before: Alert | null, after: Alert): void {
    this.#alerts.set(after.id, { before, after });
    const family = familyOf(after, this.#input.definitions);
    if (family?.total === true) this.#totals.set(family.key, after.id);
  }

  /** @param slotMs the slot that caused it, or null */
  step(before: Alert | null, { after, transition, reason }: Step, slotMs: number | null): void {
    if (after === null || after === before) return;
    const placed = after.state === "firing" && after.incidentId === null ? this.#join(after) : after;
    this.#keep(before, placed);
    if (transition === null) return;
    this.#write("alert", placed.id, transition.from, transition.to, slotMs, reason, spoken(placed));
    if (placed.incidentId !== null) this.touched.add(placed.incidentId);
  }

  /** Not because it is good again, but because nothing more will be known of it. */
  close(alert: Alert, reason: string): void {
    const { nowMs } = this.#input;
    const after: Alert = { ...alert, state: "resolved", resolvedMs: nowMs, reason, version: alert.version + 1 };
    this.#alerts.set(alert.id, { before: alert, after });
    this.#write("alert", alert.id, alert.state, "resolved", null, reason, alert.series);
  }

  /** The alert within the incident of its group, which begins if none stands. */
  #join(alert: Alert): Alert {
    const { nowMs, newId } = this.#input;
    const [taken] = this.#taken(alert);
    const group = this.#groupOf(taken, alert);
    const standingId = this.#ofTotal(alert, taken) ?? this.#byGroup.get(group.key);
    if (standingId !== undefined) {
      // Touching the row makes this plan and one that resolves the incident at the same time exclude each other.
      const { lastNoticeMs } = this.#change(standingId, {});
      // No notice told of it, not even one of this millisecond, or of another process whose clock is ahead.
      const firedMs = Math.max(alert.firedMs ?? nowMs, (lastNoticeMs ?? 0) + 1);
      return { ...alert, firedMs, incidentId: standingId };
    }
    const incident: Incident = {
      id: newId(),
      groupKey: group.key,
      groupLabels: group.labels,
      route: taken.position,
      group: taken.group,
      title: "",
      severity: alert.severity,
      state: "open",
      openedMs: nowMs,
      resolvedMs: null,
      acknowledgedBy: null,
      acknowledgedMs: null,
      notices: 0,
      lastNoticeMs: null,
      mutedReason: null,
      version: 1,
    };
    this.#incidents.set(incident.id, { before: null, after: incident });
    this.#byGroup.set(group.key, incident.id);
    this.#write(
      "incident",
      incident.id,
      null,
      "open",
      null,
      `${spoken(alert)} fires, route ${taken.position}`,
      alert.rule,
    );
    return { ...alert, incidentId: incident.id };
  }

  /**
   * The incident of the total that this alert's series is part of, whatever the route groups by, if it is told to the
   * same people: where the series has a route of its own, somebody else is to hear of it.
   */
  #ofTotal(alert: Alert, taken: Taken): string | undefined {
    const family = familyOf(alert, this.#input.definitions);
    if (family === null || family.total) return undefined;
    const total = this.#totalOf(family.key);
    const incident = this.#incidents.get(total?.incidentId ?? "")?.after;
    const same = incident?.route === taken.position && incident.group === taken.group && incident.state !== "resolved";
    return same && total?.state !== "resolved" ? incident.id : undefined;
  }

  #totalOf(familyKey: string): Alert | undefined {
    return this.#alerts.get(this.#totals.get(familyKey) ?? "")?.after;
  }

  /**
   * Where the total of all that fires was bad lately and is about to fire as well, the first notice waits for it: for the
   * slots that decide it, and no longer than an update would.
   */
  #company(alerts: readonly Alert[], groupIntervalMs: number): Company {
    const { definitions } = this.#input;
    const waits = alerts.map((alert) => {
      const family = alert.state === "firing" ? familyOf(alert, definitions) : null;
      const total = family === null || family.total ? undefined : this.#totalOf(family.key);
      if (total?.state !== "pending") return 0;
      const lifecycle = definitions.rules.get(total.rule) ?? definitions.samplers.get(total.sampler)?.alerting;
      return Math.min((lifecycle?.pendingOf ?? 0) * total.stepMs, groupIntervalMs);
    });
    return {
      spokenFor: (told) => spokenFor(told, definitions),
      waitMs: alerts.length === 0 ? 0 : Math.min(...waits),
    };
  }

  /** A sampler in its shadow period has incidents of its own; one that stands at its end is gone on with. */
  #groupOf(taken: Taken, alert: Alert): ReturnType<typeof groupOf> {
    const group = groupOf(taken, routingLabels(alert));
    const apart = shadowKey(alert.sampler, group.key);
    const isShadow = (this.#input.shadowed?.(alert.sampler, this.#input.nowMs) ?? null) !== null;
    const goesOn = this.#byGroup.has(apart) && !this.#byGroup.has(group.key);
    return isShadow || goesOn ? { ...group, key: apart } : group;
  }

  /** The group key of an incident that is told: no longer one of a shadow, where no other stands for its group. */
  #keyWhenTold({ id, groupKey }: Incident): string {
    const key = liveKey(groupKey);
    if (this.#byGroup.has(key)) return groupKey;
    this.#byGroup.delete(groupKey);
    this.#byGroup.set(key, id);
    return key;
  }

  /** Lets each chosen incident say what it has to say. */
  speak(chosen: (incident: Incident, alerts: readonly Alert[]) => boolean): void {
    const members = Map.groupBy(this.#standing(), (alert) => alert.incidentId);
    for (const { after: incident } of [...this.#incidents.values()]) {
      const alerts = members.get(incident.id) ?? [];
      if (incident.state === "resolved" || !chosen(incident, alerts)) continue;
      const { route } = this.#routesOf(alerts)[0] ?? { route: this.#input.definitions.route };
      const company = this.#company(alerts, route.groupIntervalMs);
      const decision = decideNotice(incident, alerts, route, this.#muted, this.#input.nowMs, company);
      // Of what nobody watches any more there is nothing new to say until it is closed.
      const stale = decision.kind === "still" && !alerts.some((alert) => isDefined(alert, this.#input.definitions));
      if (decision.kind === "resolved") this.#resolve(incident, decision.reason);
      else if (decision.kind !== null && !stale) this.#tell(incident, alerts, decision.kind, decision.reason);
      else {
        this.#hold(incident, alerts, decision.mutedReason);
        const speaks = decision.mutedReason === null && alerts.some(({ state }) => state === "firing");
        if (speaks) this.#resume(incident);
      }
    }
  }

  #standing(): Alert[] {
    return [...this.#alerts.values()].map(({ after }) => after).filter((alert) => alert.state !== "resolved");
  }

  #routesOf(alerts: readonly Alert[]): Taken[] {
    return alerts.flatMap((alert) => this.#taken(alert));
  }

  #taken(alert: Alert): readonly [Taken, ...Taken[]] {
    const { definitions } = this.#input;
    return routesTaken(definitions.route, routingLabels(alert), isOwn(alert) ? ownGroup(definitions) : "");
  }

  #tell(incident: Incident, alerts: readonly Alert[], kind: Notice["kind"], reason: string): void {
    const { definitions, outbox, nowMs, newId } = this.#input;
    const speaking = alerts.filter((alert) => this.#muted(routingLabels(alert), nowMs) === null);
    const after = this.#change(incident.id, {
      groupKey: this.#keyWhenTold(incident),
      title: titleOf(alerts, definitions),
      severity: speaking.map((alert) => alert.severity).reduce(higher, incident.severity),
      notices: incident.notices + 1,
      lastNoticeMs: nowMs,
      mutedReason: null,
    });
    const groups = new Set([incident.group, ...this.#routesOf(speaking).map((taken) => taken.group)]);
    const notice = { incident: after, kind, number: after.notices, nowMs };
    const { items, missed } = owedToGroups(notice, [...groups], outbox, definitions, newId);
    this.#owe(notice, reason, items, missed);
  }

  #resolve(incident: Incident, reason: string): void {
    const { outbox, nowMs, newId } = this.#input;
    const told = { incident, kind: "resolved" as const, number: incident.notices + 1, nowMs };
    const { items, missed } = owedToHearers(told, outbox, newId);
    this.#cancel.push({ incidentId: incident.id, reason });
    const spoke = items.length > 0;
    this.#change(incident.id, {
      state: "resolved",
      resolvedMs: nowMs,
      ...(spoke ? { notices: told.number, lastNoticeMs: nowMs } : {}),
    });
    this.#write("incident", incident.id, incident.state, "resolved", null, reason, incident.title);
    if (spoke) this.#owe(told, reason, items, missed);
  }

  /** Steps that a silence stopped are owed again once it has ended: nobody has acknowledged. */
  #resume(incident: Incident): void {
    if (incident.acknowledgedMs !== null) return;
    const { outbox, nowMs, newId } = this.#input;
    const notice = { incident, kind: "opened" as const, number: incident.notices + 1, nowMs };
    const items = owedAgain(notice, outbox, newId);
    if (items.length === 0) return;
    this.#change(incident.id, { notices: notice.number });
    this.#owe(notice, "a silence that stopped escalation has ended", items, []);
  }

  /** Nothing is said now. A silence also stops the steps that are still to come. */
  #hold(incident: Incident, alerts: readonly Alert[], mutedReason: string | null): void {
    const title = incident.title === "" ? titleOf(alerts, this.#input.definitions) : incident.title;
    const shown = incident.lastNoticeMs === null ? mutedReason : null;
    if (shown !== incident.mutedReason || title !== incident.title) {
      this.#change(incident.id, { mutedReason: shown, title });
    }
    const { outbox, nowMs } = this.#input;
    const later = (item: OutboxItem): boolean =>
      item.incidentId === incident.id && item.state === "owed" && item.attempts === 0 && item.dueMs > nowMs;
    if (mutedReason !== null && outbox.some(later)) {
      this.#cancel.push({ incidentId: incident.id, reason: mutedReason });
    }
  }

  #owe(notice: Notice, reason: string, items: readonly OutboxItem[], missed: readonly string[]): void {
    const { nowMs, newId } = this.#input;
    this.#outbox.push(...items);
    const detail = [`${reason}; ${items.length} messages written`, ...missed].join("; ");
    this.#audit.push(auditOf(newId(), nowMs, "system", `notice.${notice.kind}`, notice.incident.id, detail));
  }

  /** A row changed several times in one plan is one version further. */
  #change(id: string, fields: Partial<Incident>): Incident {
    const entry = this.#incidents.get(id) as { before: Incident | null; after: Incident };
    const after = { ...entry.after, ...fields, version: (entry.before?.version ?? 0) + 1 };
    this.#incidents.set(id, { before: entry.before, after });
    return after;
  }

  #write(
    subject: Transition["subject"],
    subjectId: string,
    from: string | null,
    to: string,
    slotMs: number | null,
    reason: string,
    what: string,
  ): void {
    const { nowMs, newId } = this.#input;
    this.#transitions.push({ id: newId(), subject, subjectId, from, to, atMs: nowMs, slotMs, reason });
    this.#audit.push(auditOf(newId(), nowMs, "system", `${subject}.${to}`, subjectId, `${what}: ${reason}`));
  }

  changes(): AlertChanges {
    const changed = <T>(rows: Iterable<{ before: T | null; after: T }>): { before: T | null; after: T }[] =>
      [...rows].filter(({ before, after }) => before !== after);
    return {
      alerts: changed(this.#alerts.values()),
      incidents: changed(this.#incidents.values()),
      transitions: this.#transitions,
      outbox: this.#outbox,
      cancel: this.#cancel,
      audit: this.#audit,
    };
  }
}
