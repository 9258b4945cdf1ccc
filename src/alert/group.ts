/** What an incident has to say now, and why. Pure. */
import type { Route } from "../core/definitions.ts";
import type { Alert, Incident, NoticeKind } from "../core/model.ts";
import { formatDuration, formatTimeUtc } from "../core/time.ts";
import type { Muter } from "./mute.ts";
import { routingLabels } from "./route.ts";

/** What is known of totals and their series among an incident's alerts. */
export type Company = {
  /** Of those that were told: whether they speak for another one, too. */
  readonly spokenFor: (told: readonly Alert[]) => (alert: Alert) => boolean;
  /** How long the first notice waits, where that is longer than the group wait: a total may be about to join. */
  readonly waitMs: number;
};

const alone: Company = { spokenFor: () => () => false, waitMs: 0 };

export type NoticeDecision = {
  /** Null: nothing is written now. */
  readonly kind: NoticeKind | null;
  readonly reason: string;
  /** Why a silence holds it; null where none does. */
  readonly mutedReason: string | null;
};

/** Standing severities in order; the higher of two. */
export function higher(a: Alert["severity"], b: Alert["severity"]): Alert["severity"] {
  return a === "critical" || b === "critical" ? "critical" : "warning";
}

/**
 * Whether an incident speaks now. Recovery is told whatever is silenced; all else only for firing alerts that are
 * not. A rise to critical does not wait for the group interval, new company does; repeats stop once acknowledged.
 * @param alerts its alerts that stand, firing or recovering
 * @param times the intervals of the route that the incident took
 * @param company default: there is no total among them
 */
export function decideNotice(
  incident: Incident,
  alerts: readonly Alert[],
  times: Pick<Route, "groupWaitMs" | "groupIntervalMs" | "repeatIntervalMs">,
  muted: Muter,
  nowMs: number,
  company: Company = alone,
): NoticeDecision {
  const say = (kind: NoticeKind | null, reason: string, mutedReason: string | null = null): NoticeDecision => ({
    kind,
    reason,
    mutedReason,
  });
  if (alerts.length === 0) return say("resolved", "all its alerts are resolved");
  const firing = alerts.filter((alert) => alert.state === "firing");
  if (firing.length === 0) return say(null, "all its alerts are recovering");
  const speaking = firing.filter((alert) => muted(routingLabels(alert), nowMs) === null);
  if (speaking.length === 0) {
    const reason = muted(routingLabels(firing[0] as Alert), nowMs) as string;
    return say(null, reason, reason);
  }

  const { lastNoticeMs } = incident;
  if (lastNoticeMs === null) {
    const waitsMs = incident.openedMs + Math.max(times.groupWaitMs, company.waitMs) - nowMs;
    return waitsMs > 0
      ? say(null, `waits ${formatDuration(waitsMs)} more for company`)
      : say("opened", `first notice, ${speaking.length} firing`);
  }
  const severity = speaking.map((alert) => alert.severity).reduce(higher);
  if (severity === "critical" && incident.severity === "warning") return say("update", "severity rose to critical");
  const isNew = (alert: Alert): boolean =>
    (alert.firedMs as number) > lastNoticeMs || muted(routingLabels(alert), lastNoticeMs) !== null;
  const told = alerts.filter((alert) => !isNew(alert) && muted(routingLabels(alert), nowMs) === null);
  const isSpokenFor = company.spokenFor(told);
  const news = speaking.filter((alert) => isNew(alert) && !isSpokenFor(alert));
  if (news.length > 0) {
    const waitsMs = lastNoticeMs + times.groupIntervalMs - nowMs;
    const said = `${news.length} alerts since the last notice`;
    return waitsMs > 0 ? say(null, `${said}; group interval has ${formatDuration(waitsMs)} left`) : say("update", said);
  }
  if (incident.acknowledgedMs !== null) {
    return say(null, `acknowledged by ${incident.acknowledgedBy} at ${formatTimeUtc(incident.acknowledgedMs)}`);
  }
  const waitsMs = lastNoticeMs + times.repeatIntervalMs - nowMs;
  return waitsMs > 0
    ? say(null, `repeat interval has ${formatDuration(waitsMs)} left`)
    : say("still", `stands for ${formatDuration(nowMs - incident.openedMs)} and nobody has acknowledged it`);
}
