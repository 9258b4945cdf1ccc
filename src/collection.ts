/** From what the ledger says of each sampler to what somebody must be told, each in one sentence. Pure. */
import type { CollectionRules, Definitions, Sampler } from "./core/definitions.ts";
import type { Condition } from "./core/model.ts";
import { formatDuration, formatTimeUtc, hourMs, secondMs } from "./core/time.ts";
import { connectionOf } from "./sample/sample.ts";
import { latestSlot } from "./schedule/cron.ts";
import type { SamplerSummary } from "./state/slots.ts";

/** What the ledger is looked back over. */
export const collectionSpanMs = hourMs;
/** A late slot is told after so many steps at least, warning and critical. */
const lateSteps = { warning: 2, critical: 10 };
/** Runs that an average must rest on. */
const runsMin = 5;

/**
 * @param summaries of the last hour, by sampler; one that is not in it has no slots
 * @param patience how many times as long as the rules say is waited: on a clock that runs fast, work looks slow
 */
export function collectionConditions(
  { samplers, collection }: Definitions,
  summaries: ReadonlyMap<string, SamplerSummary>,
  nowMs: number,
  patience = 1,
): Condition[] {
  const looked = [...samplers.values()].flatMap((sampler) => {
    const summary = summaries.get(sampler.name);
    return summary === undefined ? [] : [{ sampler, summary }];
  });
  const failing = looked.filter(({ summary }) => summary.failedInRow >= collection.failingSlots);
  const down = sourcesDown(looked, failing);
  const found: Condition[] = [];
  for (const [connection, samplersOfIt] of down) {
    const [first] = samplersOfIt as [Looked, ...Looked[]];
    const reason = `Connection ${connection} does not answer (${first.summary.lastError ?? "no reason is known"}): ${samplersOfIt.length} samplers that read it are unknown. Their slots are read when it answers again.`;
    const sinceMs = Math.min(...samplersOfIt.map(({ summary }) => summary.failingSinceMs ?? nowMs));
    found.push({ kind: "source-down", subject: connection, severity: "critical", reason, sinceMs });
  }
  for (const one of looked) {
    const isDown = down.get(connectionOf(one.sampler.source) ?? "")?.includes(one) ?? false;
    found.push(...conditionsOf(one, collection, nowMs, patience, isDown));
  }
  return found;
}

type Looked = { readonly sampler: Sampler; readonly summary: SamplerSummary };

/** Connections of which every sampler fails for want of an answer: one trouble, not one for each sampler. */
function sourcesDown(looked: readonly Looked[], failing: readonly Looked[]): Map<string, Looked[]> {
  const down = new Map<string, Looked[]>();
  for (const one of failing) {
    const connection = connectionOf(one.sampler.source);
    if (connection === null || one.summary.lastState !== "source-down") continue;
    down.set(connection, [...(down.get(connection) ?? []), one]);
  }
  for (const [connection, those] of down) {
    const all = looked.filter(
      ({ sampler, summary }) => connectionOf(sampler.source) === connection && summary.runs > 0,
    );
    if (those.length < all.length) down.delete(connection);
  }
  return down;
}

function conditionsOf(
  { sampler, summary }: Looked,
  rules: CollectionRules,
  nowMs: number,
  patience: number,
  isDown: boolean,
): Condition[] {
  const about = { subject: sampler.name, group: sampler.group } as const;
  const found: Condition[] = [];
  const late = lateness({ sampler, summary }, rules, nowMs, patience);
  if (late !== null) found.push({ ...about, ...late });
  const dead = death({ sampler, summary }, rules, nowMs, patience);
  if (dead !== null) found.push({ ...about, ...dead });
  if (!isDown && summary.failedInRow >= rules.failingSlots) {
    const reason = `${sampler.title}: ${summary.failedInRow} slots in a row have failed (${summary.lastError ?? "no reason is known"}).`;
    const sinceMs = summary.failingSinceMs ?? nowMs;
    found.push({ ...about, kind: "sampler-failing", severity: "critical", reason, sinceMs });
  }
  if (rules.missingSlots !== null && sampler.empty === "missing" && summary.emptyInRow >= rules.missingSlots) {
    const reason = `${sampler.title}: ${summary.emptyInRow} slots in a row had no rows.`;
    found.push({ ...about, kind: "sampler-empty", severity: "warning", reason, sinceMs: nowMs });
  }
  const share = (summary.durationMsAvg ?? 0) / (sampler.timeoutMs * patience);
  if (summary.runs >= runsMin && share >= rules.slowShare) {
    const percent = Math.round(share * 100);
    const reason = `${sampler.title}: a slot takes ${((summary.durationMsAvg ?? 0) / secondMs).toFixed(1)} s on average, ${percent} % of its time limit. See bellwether try ${sampler.name} for what its read costs.`;
    found.push({ ...about, kind: "sampler-slow", severity: "warning", reason, sinceMs: nowMs });
  }
  return found;
}

/** A slot that waits for a worker, or is run and does not end. */
function lateness(
  { sampler, summary }: Looked,
  rules: CollectionRules,
  nowMs: number,
  patience: number,
): Omit<Condition, "subject" | "group"> | null {
  const dueMs = summary.oldestUnfinishedDueMs;
  const lateMs = dueMs === null ? 0 : nowMs - dueMs;
  const { stepMs } = sampler.schedule;
  const limit = (ms: number, steps: number): number => Math.max(ms, steps * stepMs) * patience;
  if (dueMs === null || lateMs < limit(rules.lateMs, lateSteps.warning)) return null;
  const severity = lateMs >= limit(rules.veryLateMs, lateSteps.critical) ? "critical" : "warning";
  const last =
    summary.latestDoneMs === null
      ? "none was finished lately"
      : `the last one that was finished began at ${formatTimeUtc(summary.latestDoneMs)}`;
  const reason = `${sampler.title}: a slot waits for ${formatDuration(lateMs)} to be run; ${last}. Look whether a worker runs (bellwether doctor).`;
  return { kind: "sampler-late", severity, reason, sinceMs: dueMs };
}

/** Slots that should have ended long ago are not even planned. */
function death(
  { sampler, summary }: Looked,
  rules: CollectionRules,
  nowMs: number,
  patience: number,
): Omit<Condition, "subject" | "group"> | null {
  if (summary.oldestUnfinishedDueMs !== null || summary.latestStartMs === null) return null;
  const waitMs = Math.max(rules.veryLateMs, lateSteps.critical * sampler.schedule.stepMs) * patience;
  const expected = latestSlot(sampler, nowMs - waitMs);
  if (expected === null || expected.startMs <= summary.latestStartMs) return null;
  const reason = `${sampler.title}: nothing was planned since ${formatTimeUtc(summary.latestStartMs)}. Look whether a scheduler runs (bellwether doctor).`;
  return { kind: "sampler-dead", severity: "critical", reason, sinceMs: expected.startMs };
}
