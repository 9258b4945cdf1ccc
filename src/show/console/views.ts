/** Our words as the API says them: moments as ISO 8601, addresses masked, nothing that is only ours to know. */
import type { ActiveHours, Sampler, Schedule } from "../../core/definitions.ts";
import type { ShadowState } from "../../core/model.ts";
import {
  type Alert,
  type Explanation,
  type Incident,
  isOwn,
  type OutboxItem,
  ownName,
  type Silence,
  type SlotRecord,
  type TimeWindow,
  type Transition,
} from "../../core/model.ts";
import type { ComparisonFound, LaneStatus, ReplicaStatus, ReplicasStatus, ShelfEntry } from "../../core/ports.ts";
import type { Problem } from "../../core/problem.ts";
import { formatDuration, formatTimeUtc, secondMs } from "../../core/time.ts";
import type { Api } from "./api.ts";
import type { ShownSeries } from "./series.ts";

/** Letters of a stored text that are shown. */
const textShownMax = 40;
/** Windows, and sentences, that one comparison lists; it counts all of them. */
const foundShownMax = 500;

export const moment = formatTimeUtc;

export function momentOrNull(timeMs: number | null): string | null {
  return timeMs === null ? null : moment(timeMs);
}

export function seriesView({ id, text, sampler, spacingMs }: ShownSeries) {
  const { title, zone, schedule } = sampler;
  return { ...id, series: text, sampler: sampler.name, title, zone, stepMs: schedule.stepMs, spacingMs };
}

export function slotView(slot: SlotRecord): Api["Slot"] {
  const { sampler, state, catchUp, attempts, rows, points, dataState, serverMs, rowsRead, error } = slot;
  return {
    ...{ sampler, state, catchUp, attempts, rows, points, dataState, serverMs, rowsRead, error },
    start: moment(slot.startMs),
    end: moment(slot.startMs + slot.stepMs),
    due: moment(slot.dueMs),
    startedAt: momentOrNull(slot.startedMs),
    finishedAt: momentOrNull(slot.finishedMs),
  };
}

export function alertView(alert: Alert): Api["Alert"] {
  const { id, rule, sampler, series, severity, state, reason } = alert;
  const { observed, expected, worstObserved, worstExpected, lossSoFar } = alert;
  return {
    ...{ id, rule, sampler, series, severity, state, reason },
    ...{ observed, expected, worstObserved, worstExpected, lossSoFar },
    condition: isOwn(alert) ? ownName(alert) : null,
    since: moment(alert.sinceMs),
    firedAt: momentOrNull(alert.firedMs),
    resolvedAt: momentOrNull(alert.resolvedMs),
    incident: alert.incidentId,
  };
}

export function incidentView(incident: Incident): Api["Incident"] {
  const { id, title, severity, state, group, acknowledgedBy, notices, mutedReason, version } = incident;
  return {
    ...{ id, title, severity, state, group, acknowledgedBy, notices, mutedReason, version },
    labels: incident.groupLabels,
    opened: moment(incident.openedMs),
    resolved: momentOrNull(incident.resolvedMs),
    acknowledgedAt: momentOrNull(incident.acknowledgedMs),
  };
}

export function transitionView(transition: Transition): Api["Story"]["transitions"][number] {
  const { subject, subjectId, from, to, reason, atMs, slotMs } = transition;
  return { subject, subjectId, from, to, reason, at: moment(atMs), slot: momentOrNull(slotMs) };
}

export function deliveryView(item: OutboxItem): Api["Story"]["deliveries"][number] {
  const { id, kind, notifier, state, attempts, error } = item;
  return {
    ...{ id, kind, notifier, state, attempts, error },
    name: item.recipientName,
    recipient: maskAddress(item.recipient),
    created: moment(item.createdMs),
    due: moment(item.dueMs),
    sent: momentOrNull(item.sentMs),
  };
}

export function silenceView(silence: Silence, nowMs: number): Api["Silence"] {
  const { id, matchers, reason, author, createdMs, startsMs, endsMs } = silence;
  return {
    ...{ id, matchers: [...matchers], reason, author, active: startsMs <= nowMs && nowMs < endsMs },
    created: moment(createdMs),
    starts: moment(startsMs),
    ends: moment(endsMs),
  };
}

export function explanationView(explanation: Explanation): Api["Explanation"] {
  const { verdict, series, sampler, stored, judged, stood, mutes, told, notes, lines } = explanation;
  const { state, level, reason, observed, expected, lower, upper, direction, evidence, gates } = verdict;
  const { lossSoFar, slotsSummed, forecast, baseline } = verdict;
  return {
    ...{ series, sampler, stored, state, level, reason, observed, expected, lower, upper, direction, evidence },
    ...{
      lossSoFar,
      slotsSummed,
      notes: [...notes],
      lines: [...lines],
      stood: [...stood],
      mutes: [...mutes],
      told: [...told],
      gates: [...gates],
    },
    at: moment(explanation.timeMs),
    judged: judged && { ...judged, sentences: [...judged.sentences] },
    since: momentOrNull(verdict.sinceMs),
    forecast:
      forecast.value === null
        ? { value: null, abstained: forecast.abstained, grade: null }
        : { value: forecast.value, abstained: null, grade: forecast.grade },
    baseline: {
      centre: baseline.centre,
      spread: baseline.spread,
      days: baseline.days.map(({ startMs, value, use }) => ({ at: moment(startMs), value, use })),
    },
    slot: explanation.slot === null ? null : slotView(explanation.slot),
    alerts: explanation.alerts.map(alertView),
  };
}

export function definitionProblemView(problem: Problem): Api["DefinitionProblem"] {
  const { severity, code = null, where = null, path = null, message: what, fix = null } = problem;
  return { severity, code, where, path, what, fix };
}

export function replicasView({ spool, replicas }: ReplicasStatus): Api["Replicas"] {
  return { spool: { ...spool, undecided: spool.undecided.map(shortTexts) }, replicas: replicas.map(replicaView) };
}

function replicaView(replica: ReplicaStatus): Api["Replica"] {
  const { name, place, well, reason, faults, facts, lanes, accounts, lagMs, dirtyWindows, shelf } = replica;
  const { verifyReason, verifiedFromMs, repairedMs } = replica;
  return {
    ...{ name, place, well, reason, faults: [...faults], lagMs, dirtyWindows, shelf },
    facts: facts && {
      version: facts.version,
      started: momentOrNull(facts.startedMs),
      clockAheadMs: facts.clockAheadMs,
      databaseExists: facts.databaseExists,
      rights: facts.rights,
      diskBytes: facts.diskBytes,
    },
    lanes: lanes.map(laneView),
    accounts: accounts.map(({ bucket, spooled, acknowledged, pending, shelved, expired, oldestMs }) => ({
      ...{ bucket, spooled, acknowledged, pending, shelved, expired },
      oldest: momentOrNull(oldestMs),
    })),
    lagPoints: accounts.reduce((sum, { pending }) => sum + pending, 0),
    doubt: verifyReason === null ? null : { reason: verifyReason, comparedBackTo: momentOrNull(verifiedFromMs) },
    repaired: momentOrNull(repairedMs),
  };
}

function laneView({ sinceMs, requestSeconds, reason, ...lane }: LaneStatus): Api["Replica"]["lanes"][number] {
  return {
    ...lane,
    reason: reason === null ? null : shortTexts(reason),
    since: momentOrNull(sinceMs),
    requestMs: Math.round(requestSeconds * secondMs),
  };
}

export function shelfEntryView(entry: ShelfEntry): Api["Shelf"]["items"][number] {
  const { id, target, bucket, line, expired, reason, firstMs, lastMs, count } = entry;
  return {
    ...{ id, target, bucket, expired, count },
    line: shortLine(line),
    reason: shortTexts(reason),
    first: moment(firstMs),
    last: moment(lastMs),
  };
}

export function comparisonView(
  window: TimeWindow,
  deep: boolean,
  { windows, differing, repaired, undecided }: ComparisonFound,
): Api["Comparison"] {
  return {
    ...{ from: moment(window.fromMs), to: moment(window.toMs), deep, windows, repaired },
    differingWindows: differing.length,
    differing: differing
      .slice(0, foundShownMax)
      .map(({ measurement, startMs }) => ({ measurement, start: moment(startMs) })),
    undecidedValues: undecided.length,
    undecided: undecided.slice(0, foundShownMax).map(shortTexts),
  };
}

/** Measurement and tags as they are, texts among the values cut short: they may be about people. */
function shortLine(line: string): string {
  const [, series = "", values = line] = /^((?:\\.|[^\\ ])* )(.*)$/s.exec(line) ?? [];
  return series + shortTexts(values);
}

/** A sentence, or values of a line, with what stands between quotation marks cut short. */
function shortTexts(text: string): string {
  return text.replace(/"((?:\\.|[^"\\])*)"/gs, (whole, inner: string) => {
    const letters = [...inner];
    return letters.length <= textShownMax ? whole : `"${letters.slice(0, textShownMax).join("")}\u2026"`;
  });
}

/** What a definition says of its sampler; what is going on is added by the caller. */
export function shadowView({ forecast, ...state }: ShadowState) {
  const { seenMs, perWeek, alerts, incidents, messages, people, parts } = forecast;
  return {
    sampler: state.sampler,
    began: momentOrNull(state.beganMs),
    until: momentOrNull(state.untilMs),
    ended: momentOrNull(state.endedMs),
    endedBy: state.endedBy,
    ...{ seenMs, perWeek, alerts, incidents, messages },
    people: [...people],
    parts: parts.map((part) => ({ ...part, people: [...part.people] })),
  };
}

export function samplerFacts(sampler: Sampler) {
  const { name, title, owner, group, purpose, runbook, place, zone, priority, alerts } = sampler;
  const { graceMs, resample, historyMs } = sampler;
  const { measurement, tags, fields } = sampler.point;
  return {
    ...{ name, title, owner, group, purpose, runbook, place, zone, priority, alerts },
    ...{ graceMs, resample, historyMs, measurement },
    tags: [...tags],
    fields: [...fields],
    judged: Object.keys(sampler.judge),
    source: sampler.source.kind,
    schedule: scheduleText(sampler.schedule),
    active: sampler.active && activeText(sampler.active),
  };
}

function scheduleText(schedule: Schedule): string {
  const delay = schedule.delayMs === 0 ? "" : `, ${formatDuration(schedule.delayMs)} after its end`;
  const step = formatDuration(schedule.stepMs);
  if (schedule.kind === "every") return `every ${step}${delay}`;
  return `cron ${schedule.expression} (${schedule.zone}), the ${step} before${delay}`;
}

const weekdays = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

function activeText({ weekdays: days, fromMinute, toMinute, zone }: ActiveHours): string {
  const names = days.map((day) => weekdays[day - 1]).join(" ");
  return `${names} ${clockText(fromMinute)}-${clockText(toMinute)} (${zone})`;
}

function clockText(minute: number): string {
  return `${String(Math.floor(minute / 60)).padStart(2, "0")}:${String(minute % 60).padStart(2, "0")}`;
}

/**
 * An address that its owner recognises and nobody else can use: `a***@shop.example`, `+44*******567`, and of a URL the
 * host alone, since its path may be a key.
 */
export function maskAddress(address: string): string {
  if (/^https?:/.test(address) && URL.canParse(address)) return `${new URL(address).origin}/***`;
  return address
    .replace(/([^\s<>"@])[^\s<>"@]*@/g, "$1***@")
    .replace(/\+?\d{7,}/g, (number) => `${number.slice(0, 3)}${"*".repeat(number.length - 6)}${number.slice(-3)}`);
}
