/** Why, or why not: joins what judging, the ledger, alerts, silences and the outbox know of one series and slot. */
import { mutesAt } from "./alert/mute.ts";
import { contributionText } from "./core/contribution.ts";
import type { Definitions, Sampler } from "./core/definitions.ts";
import { formatSeries, matchersOf, parseSelector } from "./core/labels.ts";
import { maskAddresses } from "./core/mask.ts";
import type { Alert, Explanation, JudgedAs, OutboxItem, SeriesId, Transition, Verdict } from "./core/model.ts";
import { levelOf } from "./core/model.ts";
import type { Clock, TimeSeriesStore } from "./core/ports.ts";
import { dayMs, floorToStep } from "./core/time.ts";
import { formatLocal } from "./core/zone.ts";
import type { Judge } from "./judge/judge.ts";
import { slotHolding } from "./schedule/cron.ts";
import type { State } from "./state/database.ts";
import { stepOf } from "./state/outbox.ts";

export type ExplainDeps = {
  readonly definitions: () => Definitions;
  readonly store: TimeSeriesStore;
  readonly state: State;
  readonly judge: Pick<Judge, "explain">;
  readonly clock: Clock;
};

const silencesMax = 1_000;
/** How far back an earlier point is looked for, piece by piece: where there is one it is mostly in the first. */
const lookBacksMs = [dayMs, 30 * dayMs, Number.POSITIVE_INFINITY];

/** Null for a series that no sampler judges, or that never had a point. `timeMs` may lie anywhere inside the slot. */
export async function explain(deps: ExplainDeps, text: string, timeMs: number): Promise<Explanation | null> {
  const series = seriesOf(text);
  const sampler = series === null ? undefined : samplerOf(deps.definitions(), series);
  if (series === null || sampler === undefined) return null;
  const name = formatSeries(series);
  const known = await deps.store.list({ measurement: series.measurement });
  if (!known.some((one) => formatSeries(one) === name)) return null;
  const holding = slotHolding(sampler, timeMs);
  const startMs = holding?.startMs ?? floorToStep(timeMs, sampler.schedule.stepMs);
  const { verdict, stale } = await deps.judge.explain(sampler, series, startMs);
  const stored = await storedVerdict(deps.store, series, startMs);
  const slot = await deps.state.slots.get(sampler.name, startMs);
  const endMs = startMs + sampler.schedule.stepMs;
  const alerts = (await deps.state.alerts.alertsAt(name, endMs)).filter(({ sinceMs }) => sinceMs < endMs);
  const stood = await stoodOf(deps.state, alerts, startMs);
  const silences = await deps.state.silences.list({ limit: silencesMax });
  const labels = alerts.map((alert) => alert.labels);
  const mutes = [...new Set(labels.flatMap((each) => mutesAt(silences, each, timeMs)))];
  const told = await toldOf(deps.state, alerts, sampler.zone);
  const notes = [
    ...(stale || stored.stale ? ["Its history could only be read from a copy that is behind."] : []),
    ...(holding === null ? [`${sampler.name} has no slot then: it is outside its schedule or active hours.`] : []),
    ...(stored.verdict === null ? [await neverJudged(deps, series, verdict)] : []),
    ...(slot?.error ? [`The slot ${slot.state === "failed" ? "failed" : "had a fault"}: ${slot.error}`] : []),
  ];
  const judged = judgedAs(verdict, sampler);
  const found = { verdict, stored: stored.verdict, judged, slot, alerts, stood, mutes, told, notes };
  const facts = { series: name, sampler: sampler.name, timeMs: startMs, ...found };
  return { ...facts, lines: sentences(facts, sampler) };
}

/** A series named in full: measurement, every tag by `=`, and field; null if the text is not one. */
function seriesOf(text: string): SeriesId | null {
  const { measurement, tags, field } = parseSelector(text);
  if (field === null || tags.some(({ operator }) => operator !== "=")) return null;
  return { measurement, field, tags: Object.fromEntries(tags.map(({ label, value }) => [label, value])) };
}

function samplerOf(definitions: Definitions, series: SeriesId): Sampler | undefined {
  return [...definitions.samplers.values()].find(
    ({ point, judge }) => point.measurement === series.measurement && judge[series.field] !== undefined,
  );
}

async function storedVerdict(
  store: TimeSeriesStore,
  series: SeriesId,
  timeMs: number,
): Promise<{ verdict: Explanation["stored"]; stale: boolean }> {
  const tags = matchersOf({ ...series.tags, field: series.field });
  const { series: found, stale } = await store.read({
    measurement: `${series.measurement}_verdict`,
    fields: ["level", "reason"],
    tags,
    windows: [{ fromMs: timeMs, toMs: timeMs + 1 }],
  });
  const level = found.find(({ field }) => field === "level")?.values[0];
  const reason = found.find(({ field }) => field === "reason")?.values[0];
  const verdict = level === undefined ? null : { level: levelOf(level), reason: String(reason ?? "") };
  return { verdict, stale };
}

/** Why there is no stored verdict, as far as the time alone tells it. */
async function neverJudged({ store, clock }: ExplainDeps, series: SeriesId, { timeMs, observed }: Verdict) {
  if (timeMs > clock.nowMs()) return "This time lies in the future; this is what judging says of it now.";
  return observed !== null || (await hasPointBefore(store, series, timeMs))
    ? "This slot was never judged; this is what judging says now."
    : "This time lies before the first point that is kept of the series; this is what judging says now.";
}

async function hasPointBefore(store: TimeSeriesStore, series: SeriesId, timeMs: number): Promise<boolean> {
  const { measurement, field, tags } = series;
  const name = formatSeries(series);
  let toMs = timeMs;
  for (const backMs of lookBacksMs) {
    const fromMs = Math.max(0, timeMs - backMs);
    if (fromMs >= toMs) continue;
    const query = { measurement, fields: [field], tags: matchersOf(tags), windows: [{ fromMs, toMs }] };
    if ((await store.read(query)).series.some((one) => formatSeries(one) === name)) return true;
    toMs = fromMs;
  }
  return false;
}

/** Alerts are stored as they are now; how they stood in a slot is told from their transitions. */
async function stoodOf(state: State, alerts: readonly Alert[], startMs: number): Promise<string[]> {
  if (alerts.length === 0) return [];
  const transitions = await state.alerts.transitions(...alerts.map(({ id }) => id));
  return alerts.flatMap((alert) => [
    alertText(
      alert,
      transitions.filter(({ subjectId }) => subjectId === alert.id),
      startMs,
    ),
    ...(alert.explained == null ? [] : [`What explains it: ${contributionText(alert.explained)}.`]),
  ]);
}

function alertText(alert: Alert, transitions: readonly Transition[], startMs: number): string {
  const { rule, state, recent, reason, lastSlotMs, stepMs } = alert;
  const then = transitions.findLast(({ slotMs, atMs }) => (slotMs ?? atMs - stepMs) <= startMs)?.to;
  if (lastSlotMs <= startMs && then === state) return `Alert ${rule} (${state}, slots ${recent}): ${reason}`;
  const was = then === undefined ? "had yet to begin" : `was ${then}`;
  const is = then === state ? "still is" : `is now ${state}`;
  return `Alert ${rule} ${was} and ${is} (slots ${recent}), last judged: ${reason}`;
}

async function toldOf(state: State, alerts: readonly Alert[], zone: string): Promise<string[]> {
  const items: OutboxItem[] = [];
  for (const id of new Set(alerts.flatMap(({ incidentId }) => incidentId ?? []))) {
    items.push(...(await state.outbox.list({ incidentId: id, limit: 100 })));
  }
  const atMs = ({ sentMs, dueMs }: OutboxItem) => sentMs ?? dueMs;
  return items.sort((a, b) => atMs(a) - atMs(b) || a.createdMs - b.createdMs).map((item) => toldText(item, zone));
}

function toldText(item: OutboxItem, zone: string): string {
  const when = item.sentMs === null ? "" : ` at ${formatLocal(item.sentMs, zone)}`;
  const why = item.error === null ? "" : ` (${maskAddresses(item.error)})`;
  const step = stepOf(item)?.index ?? 0;
  const kind = step === 0 ? item.kind : `${item.kind} (step ${step + 1})`;
  return `${item.recipientName} by ${item.notifier}: ${kind} ${item.state}${when}${why}`;
}

function sentences(facts: Omit<Explanation, "lines">, sampler: Sampler): string[] {
  const { verdict, stored, judged, slot, alerts, stood, mutes, told, notes } = facts;
  const moved =
    stored !== null && stored.level !== verdict.level
      ? [`It was judged ${stored.level} at the time: ${stored.reason}`]
      : [];
  return [
    `${verdict.level}: ${verdict.reason}`,
    ...notes,
    ...moved,
    `Data: ${verdict.state}${slot === null ? "; the ledger has no such slot" : `; slot ${slot.state}, started ${slot.attempts}x`}.`,
    ...baselineLines(verdict, sampler),
    forecastLine(verdict),
    ...(judged?.sentences ?? []),
    ...verdict.gates.map(
      ({ name, passed, measured, needed }) =>
        `Gate ${name}: ${passed ? "passed" : "not passed"} (${round(measured)}, needs ${round(needed)}).`,
    ),
    ...(alerts.length === 0 ? ["No alert of this series stood at that time."] : stood),
    ...mutes.map((mute) => `Muted: ${mute}.`),
    ...(alerts.length > 0 && told.length === 0 ? ["Nobody was told."] : told.map((line) => `Told: ${line}.`)),
  ];
}

function baselineLines({ baseline }: Verdict, sampler: Sampler): string[] {
  const { centre, spread, daysUsed, daysTrimmed, days } = baseline;
  if (centre === null) {
    const usable = daysUsed === 1 ? "1 usable day is" : `${daysUsed} usable days are`;
    return [`Baseline: none, ${usable} too few.`, ...dayLines(days, sampler)];
  }
  const about = spread === null ? "" : `, give or take ${round(spread)}`;
  return [
    `Baseline: ${round(centre)}${about}, from ${daysUsed} days, ${daysTrimmed} trimmed.`,
    ...dayLines(days, sampler),
  ];
}

function judgedAs({ series, kind, memory = {}, slotsSummed, level, ...verdict }: Verdict, sampler: Sampler) {
  if (kind === undefined || level === "unknown") return null;
  const { kind: written, denominator } = sampler.judge[series.field] ?? {};
  const { range, drift = null, trials } = verdict;
  const { level: today, tails } = memory;
  const facts = {
    kind,
    kindTold: written === "auto",
    range: range === undefined || range.least === range.most ? null : range,
    today: today === undefined || today.expected <= 0 ? null : today.observed / today.expected,
    drift,
    trials: trials === undefined ? null : { ...trials, denominator: denominator ?? "" },
    jumps: tails === undefined ? null : { slots: tails.points, rises: tails.rises.peaks, drops: tails.drops.peaks },
  };
  return { ...facts, sentences: judgedSentences(facts, slotsSummed) } satisfies JudgedAs;
}

function judgedSentences(facts: Omit<JudgedAs, "sentences">, slotsSummed: number): string[] {
  const { kind, kindTold, range, today, drift, trials, jumps } = facts;
  const told = kindTold ? ", as its values tell" : "";
  const over = slotsSummed === 1 ? "" : `; evidence summed over ${slotsSummed} slots`;
  const of = trials === null ? "" : `, measured on ${round(trials.summed)} ${trials.denominator}`;
  return [
    `Judged as a ${kind}${told}${over}${of}.`,
    ...(range === null ? [] : [`The days lead one to expect ${round(range.least)} to ${round(range.most)}.`]),
    ...(today === null ? [] : [todayText(kind, today)]),
    ...(drift === null ? [] : [`The last seven days had ${weekText(drift)} the seven before.`]),
    ...(jumps === null
      ? []
      : [
          `Beyond what is usual at this time: ${round(jumps.rises)} rises and ${round(jumps.drops)} drops in ` +
            `${round(jumps.slots)} slots.`,
        ]),
  ];
}

function todayText(kind: JudgedAs["kind"], ratio: number): string {
  return kind === "ratio"
    ? `Lately its odds were ${round(ratio)} of plan.`
    : `Lately ${round(ratio)} of plan came in all.`;
}

function weekText(drift: number): string {
  const percent = Math.round(Math.abs(drift));
  return percent === 0 ? "about as many as" : `${percent} % ${drift > 0 ? "more" : "less"} than`;
}

function dayLines(days: Verdict["baseline"]["days"], sampler: Sampler): string[] {
  return days.map(({ startMs, value, use }) => {
    return `  ${formatLocal(startMs, sampler.zone)}  ${value === null ? "-" : round(value)}  ${use}`;
  });
}

function forecastLine({ forecast }: Verdict): string {
  if (forecast.value === null) return `Forecast: GM(1,1) abstains: ${forecast.abstained}.`;
  return `Forecast: ${round(forecast.value)} by GM(1,1), a = ${round(forecast.a)}, b = ${round(forecast.b)}, ${forecast.grade}.`;
}

function round(value: number): string {
  return String(Number(value.toPrecision(4)));
}
