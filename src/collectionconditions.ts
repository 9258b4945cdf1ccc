/** From what the ledger says of each sampler to what somebody must be told, each in one sentence. Pure. */
import type { CollectionRules, Definitions, Sampler } from "./core/definitions.ts";
import type { Condition } from "./core/model.ts";
import { formatTimeUtc, secondMs } from "./core/time.ts";
import { connectionOf } from "./sample/sample.ts";
import { latestSlot } from "./schedule/cron.ts";
import type { Failing, SlotUsage } from "./state/slots.ts";

/** A late slot is told after so many steps at least, warning and critical. */
const lateSteps = { warning: 2, critical: 10 };
/** Runs that an average must rest on. */
const runsMin = 5;

/** What the ledger knows, by sampler; one that is absent has nothing of the kind. */
export type CollectionFacts = {
  /** Of the last hour. */
  readonly usage: ReadonlyMap<string, SlotUsage>;
  /** Samplers with a slot that was due and has not ended, and since when they wait; null: not at all, they catch up. */
  readonly waitingMs: ReadonlyMap<string, number | null>;
  readonly failing: ReadonlyMap<string, Failing>;
  /** Newest slots in a row without a row, of samplers for which nothing is missing. */
  readonly emptySlots: ReadonlyMap<string, number>;
  /** Start of the newest slot that was planned, of samplers that ran nothing within the last hour. */
  readonly plannedMs: ReadonlyMap<string, number>;
};

type About = Pick<Condition, "kind" | "severity" | "reason" | "sinceMs">;
type Look = {
  readonly sampler: Sampler;
  readonly rules: CollectionRules;
  readonly facts: CollectionFacts;
  readonly nowMs: number;
  /** How many times as long as the rules say is waited. */
  readonly patience: number;
};

/** @param patience how many times as long as the rules say is waited: on a clock that runs fast, work looks slow. >= 1 */
export function collectionConditions(
  { samplers, collection: rules }: Definitions,
  facts: CollectionFacts,
  nowMs: number,
  patience = 1,
): Condition[] {
  const failing = [...samplers.values()].filter(({ name }) => isFailing(facts.failing.get(name), rules));
  const down = sourcesDown([...samplers.values()], failing, facts);
  const found: Condition[] = [];
  for (const [connection, those] of down) found.push(sourceDown(connection, those, facts, nowMs));
  for (const sampler of samplers.values()) {
    const look: Look = { sampler, rules, facts, nowMs, patience };
    const about = { subject: sampler.name, group: sampler.group };
    const isDown = down.has(connectionOf(sampler.source) ?? "");
    for (const told of [late(look), dead(look), isDown ? null : fails(look), empty(look), slow(look)]) {
      if (told !== null) found.push({ ...about, ...told });
    }
  }
  return found;
}

function isFailing(failing: Failing | undefined, { failingSlots }: CollectionRules): boolean {
  return failing !== undefined && failing.slots >= failingSlots;
}

/** Connections of which every sampler that runs fails for want of an answer: one trouble, not one for each sampler. */
function sourcesDown(
  samplers: readonly Sampler[],
  failing: readonly Sampler[],
  facts: CollectionFacts,
): Map<string, Sampler[]> {
  const silent = failing.filter(({ name }) => facts.failing.get(name)?.dataState === "source-down");
  const down = Map.groupBy(silent, ({ source }) => connectionOf(source) ?? "");
  down.delete("");
  for (const [connection, those] of down) {
    const running = samplers.filter(({ name, source }) => connectionOf(source) === connection && facts.usage.has(name));
    if (running.some((sampler) => !those.includes(sampler))) down.delete(connection);
  }
  return down;
}

function sourceDown(connection: string, those: readonly Sampler[], facts: CollectionFacts, nowMs: number): Condition {
  const failing = those.flatMap(({ name }) => facts.failing.get(name) ?? []);
  const why = failing[0]?.error ?? "no reason is known";
  const whose = those.length === 1 ? `${those[0]?.title} is` : `${those.length} samplers that read it are`;
  const reason = `Connection ${connection} does not answer: ${whose} unknown until it does, and their slots are read then (${why}).`;
  const sinceMs = Math.min(nowMs, ...failing.map((each) => each.sinceMs));
  return { kind: "source-down", subject: connection, severity: "critical", reason, sinceMs };
}

/** A slot that waits for a worker, or is run and does not end. */
function late({ sampler, rules, facts, nowMs, patience }: Look): About | null {
  const sinceMs = facts.waitingMs.get(sampler.name) ?? null;
  if (sinceMs === null) return null;
  const { stepMs } = sampler.schedule;
  const lateMs = nowMs - sinceMs;
  const limitMs = (ms: number, steps: number): number => Math.max(ms, steps * stepMs) * patience;
  if (lateMs < limitMs(rules.lateMs, lateSteps.warning)) return null;
  const severity = lateMs >= limitMs(rules.veryLateMs, lateSteps.critical) ? "critical" : "warning";
  const reason = `${sampler.title}: slots have waited since ${formatTimeUtc(sinceMs)}. Look whether a worker runs, and what its source takes: bellwether doctor, bellwether try ${sampler.name}.`;
  return { kind: "sampler-late", severity, reason, sinceMs };
}

/** Slots that should have ended long ago are not even planned. */
function dead({ sampler, rules, facts, nowMs, patience }: Look): About | null {
  const plannedMs = facts.plannedMs.get(sampler.name);
  if (plannedMs === undefined || facts.waitingMs.has(sampler.name)) return null;
  const waitMs = Math.max(rules.veryLateMs, lateSteps.critical * sampler.schedule.stepMs) * patience;
  const expected = latestSlot(sampler, nowMs - waitMs);
  if (expected === null || expected.startMs <= plannedMs) return null;
  const reason = `${sampler.title}: no slot was planned since the one of ${formatTimeUtc(plannedMs)}. Look whether a scheduler runs: bellwether doctor.`;
  return { kind: "sampler-dead", severity: "critical", reason, sinceMs: expected.startMs };
}

function fails({ sampler, rules, facts }: Look): About | null {
  const failing = facts.failing.get(sampler.name);
  if (failing === undefined || !isFailing(failing, rules)) return null;
  const reason = `${sampler.title}: ${failing.slots} slots in a row have failed (${failing.error ?? "no reason is known"}).`;
  return { kind: "sampler-failing", severity: "critical", reason, sinceMs: failing.sinceMs };
}

function empty({ sampler, rules, facts, nowMs }: Look): About | null {
  const slots = facts.emptySlots.get(sampler.name) ?? 0;
  if (rules.missingSlots === null || slots < rules.missingSlots) return null;
  const reason = `${sampler.title}: ${slots} slots in a row had no rows.`;
  return { kind: "sampler-empty", severity: "warning", reason, sinceMs: nowMs - slots * sampler.schedule.stepMs };
}

function slow({ sampler, rules, facts, nowMs, patience }: Look): About | null {
  const { runs = 0, durationMsAvg = null } = facts.usage.get(sampler.name) ?? {};
  if (runs < runsMin || durationMsAvg === null) return null;
  // Earlier slots are read again within the time of the newest.
  const limitMs = sampler.timeoutMs * (1 + sampler.resample);
  if (durationMsAvg < rules.slowShare * limitMs * patience) return null;
  const percent = Math.round((durationMsAvg / limitMs) * 100);
  const reason = `${sampler.title}: a slot takes ${(durationMsAvg / secondMs).toFixed(1)} s on average, ${percent} % of its time limit. See what its read costs: bellwether try ${sampler.name}.`;
  return { kind: "sampler-slow", severity: "warning", reason, sinceMs: nowMs };
}
