/** The life of an alert about Bellwether itself: (ok) -> firing -> recovering -> resolved. Pure. */
import type { Definitions } from "../core/definitions.ts";
import { fingerprint, formatSeries } from "../core/labels.ts";
import { type Alert, type Condition, ownRule, ownSampler } from "../core/model.ts";
import { formatDuration, secondMs } from "../core/time.ts";
import { recentMax, type Step } from "./lifecycle.ts";

/** How long a condition must have been gone before it is over: what comes and goes is one alert. */
export const overAfterMs = 30 * secondMs;

/** What alerts need of a series where there is none; no series is called so, since no field has a `-` in its name. */
export function seriesOf({ kind, subject }: Pick<Condition, "kind" | "subject">): string {
  return formatSeries({ measurement: ownSampler, tags: { subject }, field: kind });
}

/** The worst of each kind and subject, by {@link seriesOf}. */
export function bySeries(conditions: readonly Condition[]): Map<string, Condition> {
  const worst = new Map<string, Condition>();
  for (const condition of conditions) {
    const series = seriesOf(condition);
    if (worst.get(series)?.severity !== "critical") worst.set(series, condition);
  }
  return worst;
}

/**
 * Who hears of Bellwether itself where neither a route nor anything else names a group: the first one that somebody or
 * something is in; "" where there is none.
 */
export function ownGroup({ groups }: Definitions): string {
  const reachable = [...groups.values()].find(
    ({ members, steps }) => members.length > 0 || steps.some(({ to }) => to !== null),
  );
  return reachable?.id ?? "";
}

/**
 * One look at one condition. What was seen before changes nothing, so it may be told as often as one likes.
 * @param before the standing alert, or null
 * @param condition null: it does not hold
 */
export function advanceCondition(
  before: Alert | null,
  condition: Condition | null,
  nowMs: number,
  newId: () => string,
): Step {
  if (condition === null) return before === null ? nothing("nothing stands") : gone(before, nowMs);
  return before === null ? begin(condition, nowMs, newId()) : hold(before, condition, nowMs);
}

function nothing(reason: string, alert: Alert | null = null): Step {
  return { after: alert, transition: null, reason };
}

/** Who tells of it has waited already. `stepMs` 0: there are no slots, `lastSlotMs` is the latest change. */
function begin(condition: Condition, nowMs: number, id: string): Step {
  const { kind, subject, group, severity, sinceMs, reason } = condition;
  const series = seriesOf(condition);
  const after: Alert = {
    id,
    fingerprint: fingerprint({ rule: ownRule, sampler: ownSampler, series, direction: "" }),
    rule: ownRule,
    sampler: ownSampler,
    series,
    labels: { rule: ownRule, sampler: ownSampler, condition: kind, subject, ...(group && { group }) },
    severity,
    state: "firing",
    recent: "b",
    sinceMs,
    lastSlotMs: nowMs,
    stepMs: 0,
    firedMs: nowMs,
    resolvedMs: null,
    incidentId: null,
    observed: null,
    expected: null,
    worstObserved: null,
    worstExpected: null,
    lossSoFar: null,
    reason,
    version: 1,
  };
  return { after, transition: { from: null, to: "firing" }, reason };
}

function hold(before: Alert, { severity, reason }: Condition, nowMs: number): Step {
  const rose = before.severity === "warning" && severity === "critical";
  const after: Alert = { ...before, reason, severity: rose ? severity : before.severity };
  if (before.state === "recovering") {
    const again = { ...mark(after, "b"), state: "firing", lastSlotMs: nowMs } as const;
    return step(before, again, `it holds again: ${reason}`);
  }
  if (rose) return step(before, { ...after, version: before.version + 1 }, `severity rose to critical: ${reason}`);
  if (reason === before.reason) return nothing("it still holds", before);
  return nothing("it still holds, for another reason", { ...after, version: before.version + 1 });
}

function gone(before: Alert, nowMs: number): Step {
  if (before.state !== "recovering") {
    const after = { ...mark(before, "g"), state: "recovering", lastSlotMs: nowMs } as const;
    return step(before, after, "it no longer holds");
  }
  const goneMs = nowMs - before.lastSlotMs;
  if (goneMs < overAfterMs) return nothing(`it is gone for ${formatDuration(Math.max(goneMs, 0))}`, before);
  // The time of the change stays: it is when the condition ended.
  const after = { ...mark(before, "g"), state: "resolved", resolvedMs: nowMs } as const;
  return step(before, after, `it is gone for ${formatDuration(goneMs)}`);
}

function mark(alert: Alert, letter: "b" | "g"): Alert {
  return { ...alert, recent: (alert.recent + letter).slice(-recentMax), version: alert.version + 1 };
}

function step({ state: from }: Alert, after: Alert, reason: string): Step {
  return { after, transition: { from, to: after.state }, reason };
}
