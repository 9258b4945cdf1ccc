/**
 * The life of one alert: (ok) -> pending -> firing -> recovering -> resolved. Pure: what was and what a slot says, in;
 * what is now and why, out.
 */
import type { Lifecycle } from "../core/definitions.ts";
import { fingerprint, formatSeries } from "../core/labels.ts";
import type { Alert, AlertState, Conclusion } from "../core/model.ts";

/**
 * How many of the latest slots an alert remembers, as letters. More than any `n of m` needs (100), so that unknown
 * slots in between do not push good ones out.
 */
export const recentMax = 200;

/** What became of an alert in one slot. `from` and `to` differ where the change is a transition to be written down. */
export type Step = {
  /** Null where there is nothing to keep: no alert stood and none began. */
  readonly after: Alert | null;
  /** Null: no transition. A rise of the severity is one from a state to the same state. */
  readonly transition: { readonly from: AlertState | null; readonly to: AlertState } | null;
  readonly reason: string;
};

/** How one slot counts for one alert. */
export type Mark = "bad" | "good" | "unknown";

/**
 * Equal for the same condition: rule, sampler, series and direction. Labels that only describe (owner, group, labels
 * of rules and samplers) are left out, so that editing them does not orphan a standing alert.
 */
export function alertFingerprint(conclusion: Conclusion): string {
  const { verdict } = conclusion;
  return fingerprint({
    rule: conclusion.rule,
    sampler: verdict.sampler,
    series: formatSeries(verdict.series),
    direction: verdict.direction ?? "",
  });
}

/**
 * One slot for one alert. Slots not newer than the alert's latest change nothing, so a slot may be run again.
 * @param before the standing alert, or null
 * @param mark what the slot says of this alert's direction, see {@link Mark}
 */
export function advance(
  before: Alert | null,
  conclusion: Conclusion,
  mark: Mark,
  rule: Lifecycle,
  nowMs: number,
  newId: () => string,
): Step {
  if (before === null) {
    if (mark !== "bad") return { after: null, transition: null, reason: `${mark} slot, no alert stands` };
    return settle(begin(conclusion, newId()), null, rule, nowMs);
  }
  if (conclusion.timeMs <= before.lastSlotMs) {
    return { after: before, transition: null, reason: "slot is not newer than the latest one looked at" };
  }
  return settle(observe(before, conclusion, mark, rule), before, rule, nowMs);
}

function begin(conclusion: Conclusion, id: string): Alert {
  const { verdict } = conclusion;
  return {
    id,
    fingerprint: alertFingerprint(conclusion),
    rule: conclusion.rule,
    sampler: verdict.sampler,
    series: formatSeries(verdict.series),
    labels: conclusion.labels,
    severity: conclusion.severity,
    state: "pending",
    recent: "b",
    sinceMs: verdict.sinceMs ?? conclusion.timeMs,
    lastSlotMs: conclusion.timeMs,
    stepMs: conclusion.stepMs,
    firedMs: null,
    resolvedMs: null,
    incidentId: null,
    observed: verdict.observed,
    expected: verdict.expected,
    worstObserved: verdict.observed,
    worstExpected: verdict.expected,
    lossSoFar: verdict.lossSoFar,
    reason: conclusion.reason,
    explained: conclusion.explained ?? null,
    version: 1,
  };
}

/** The alert with the slot's figures, before its state is decided. Unknown slots leave the figures as they were. */
function observe(before: Alert, conclusion: Conclusion, mark: Mark, rule: Lifecycle): Alert {
  const { verdict } = conclusion;
  const seen: Alert = {
    ...before,
    recent: (before.recent + mark[0]).slice(-recentMax),
    lastSlotMs: conclusion.timeMs,
    version: before.version + 1,
  };
  if (mark === "unknown") return seen;
  const evaluated: Alert = {
    ...seen,
    observed: verdict.observed,
    expected: verdict.expected,
    reason: conclusion.reason,
  };
  if (mark === "good") return evaluated;
  const worse = distance(verdict.observed, verdict.expected) >= distance(before.worstObserved, before.worstExpected);
  // A pending alert whose earlier bad slots have dropped out of sight begins anew.
  const anew = before.state === "pending" && !inNextWindow(before.recent, rule).includes("b");
  return {
    ...evaluated,
    labels: conclusion.labels,
    severity: before.severity === "critical" ? "critical" : conclusion.severity,
    sinceMs: anew ? (verdict.sinceMs ?? conclusion.timeMs) : before.sinceMs,
    worstObserved: worse ? verdict.observed : before.worstObserved,
    worstExpected: worse ? verdict.expected : before.worstExpected,
    lossSoFar: verdict.lossSoFar ?? before.lossSoFar,
    explained: conclusion.explained ?? before.explained,
  };
}

function distance(observed: number | null, expected: number | null): number {
  return observed === null || expected === null ? -1 : Math.abs(observed - expected);
}

/** Decides the state from the letters of the latest slots. */
function settle(seen: Alert, before: Alert | null, rule: Lifecycle, nowMs: number): Step {
  const from = before?.state ?? null;
  const to = (state: AlertState, reason: string): Step => ({
    after: {
      ...seen,
      state,
      firedMs: state === "firing" ? (seen.firedMs ?? nowMs) : seen.firedMs,
      resolvedMs: state === "resolved" ? nowMs : null,
    },
    transition: from === state ? null : { from, to: state },
    reason,
  });
  const latest = seen.recent.at(-1);

  if (seen.state === "pending") {
    const window = seen.recent.slice(-rule.pendingOf);
    const bad = count(window, "b");
    const said = `${bad} of the latest ${rule.pendingOf} slots bad`;
    if (bad >= rule.pendingCount) return to("firing", `${said}, ${rule.pendingCount} fire: ${seen.reason}`);
    // No bad slot will be in the next window: nothing of this one can fire any more.
    const left = inNextWindow(seen.recent, rule);
    if (latest === "g" && !left.includes("b")) return to("resolved", `${said}, it never fired: ${seen.reason}`);
    return to("pending", `${said}, ${rule.pendingCount} are needed`);
  }

  if (latest === "u") return to(seen.state, "unknown slots neither fire nor resolve");
  if (latest === "b") {
    if (seen.state === "recovering") return to("firing", `bad again before it resolved: ${seen.reason}`);
    if (before?.severity === "warning" && seen.severity === "critical") {
      return { ...to("firing", `severity rose to critical: ${seen.reason}`), transition: { from, to: "firing" } };
    }
    return to("firing", "still bad");
  }
  const good = goodInARow(seen.recent);
  const said = `${good} of ${rule.recoverCount} good slots in a row`;
  return good >= rule.recoverCount ? to("resolved", `${said}: ${seen.reason}`) : to("recovering", said);
}

/** Of the slots seen, those that still count beside the next one. */
function inNextWindow(recent: string, rule: Lifecycle): string {
  return rule.pendingOf > 1 ? recent.slice(1 - rule.pendingOf) : "";
}

function count(text: string, letter: string): number {
  return text.split(letter).length - 1;
}

/** Good slots since the latest bad one; unknown ones are passed over. */
function goodInARow(recent: string): number {
  return count(recent.slice(recent.lastIndexOf("b") + 1), "g");
}
