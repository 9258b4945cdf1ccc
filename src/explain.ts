/** Why, or why not: joins what judging, the ledger, alerts, silences and the outbox know of one series and slot. */
import { mutesAt } from "./alert/mute.ts";
import { contributionText } from "./core/contribution.ts";
import type { Definitions, Sampler } from "./core/definitions.ts";
import { formatSeries, matchersOf, parseSelector } from "./core/labels.ts";
import { maskAddresses } from "./core/mask.ts";
import type { Alert, Explanation, SeriesId, Verdict } from "./core/model.ts";
import { levelOf } from "./core/model.ts";
import type { TimeSeriesStore } from "./core/ports.ts";
import { floorToStep } from "./core/time.ts";
import { formatLocal } from "./core/zone.ts";
import type { Judge } from "./judge/judge.ts";
import { slotHolding } from "./schedule/cron.ts";
import type { State } from "./state/database.ts";

export type ExplainDeps = {
  readonly definitions: () => Definitions;
  readonly store: TimeSeriesStore;
  readonly state: State;
  readonly judge: Judge;
};

const silencesMax = 1_000;

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
  const alerts = await deps.state.alerts.alertsAt(name, startMs + sampler.schedule.stepMs);
  const silences = await deps.state.silences.list({ limit: silencesMax });
  const labels = alerts.map((alert) => alert.labels);
  const mutes = [...new Set(labels.flatMap((each) => mutesAt(silences, each, timeMs)))];
  const told = await toldOf(deps.state, alerts, sampler.zone);
  const notes = [
    ...(stale || stored.stale ? ["Its history could only be read from a copy that is behind."] : []),
    ...(holding === null ? [`${sampler.name} has no slot then: it is outside its schedule or active hours.`] : []),
    ...(stored.verdict === null ? ["This slot was never judged; this is what judging says now."] : []),
    ...(slot?.error ? [`The slot ${slot.state === "failed" ? "failed" : "had a fault"}: ${slot.error}`] : []),
  ];
  const found = { verdict, stored: stored.verdict, slot, alerts, mutes, told, notes };
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

async function toldOf(state: State, alerts: readonly Alert[], zone: string): Promise<string[]> {
  const told: string[] = [];
  for (const id of new Set(alerts.flatMap(({ incidentId }) => incidentId ?? []))) {
    for (const item of await state.outbox.list({ incidentId: id, limit: 100 })) {
      const when = item.sentMs === null ? "" : ` at ${formatLocal(item.sentMs, zone)}`;
      const why = item.error === null ? "" : ` (${maskAddresses(item.error)})`;
      told.push(`${item.recipientName} by ${item.notifier}: ${item.kind} ${item.state}${when}${why}`);
    }
  }
  return told;
}

function sentences(facts: Omit<Explanation, "lines">, sampler: Sampler): string[] {
  const { verdict, stored, slot, alerts, mutes, told, notes } = facts;
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
    ...judgedLines(verdict, sampler),
    ...verdict.gates.map(
      ({ name, passed, measured, needed }) =>
        `Gate ${name}: ${passed ? "passed" : "not passed"} (${round(measured)}, needs ${round(needed)}).`,
    ),
    ...(alerts.length === 0 ? ["No alert of this series stood at that time."] : []),
    ...alerts.flatMap(({ rule, state, recent, reason, explained }) => [
      `Alert ${rule} (${state}, slots ${recent}): ${reason}`,
      ...(explained == null ? [] : [`What explains it: ${contributionText(explained)}.`]),
    ]),
    ...mutes.map((mute) => `Muted: ${mute}.`),
    ...(alerts.length > 0 && told.length === 0 ? ["Nobody was told."] : told.map((line) => `Told: ${line}.`)),
  ];
}

function baselineLines({ baseline }: Verdict, sampler: Sampler): string[] {
  const { centre, spread, daysUsed, daysTrimmed, days } = baseline;
  if (centre === null) return [`Baseline: none, ${daysUsed} usable days are too few.`, ...dayLines(days, sampler)];
  const about = spread === null ? "" : `, give or take ${round(spread)}`;
  return [
    `Baseline: ${round(centre)}${about}, from ${daysUsed} days, ${daysTrimmed} trimmed.`,
    ...dayLines(days, sampler),
  ];
}

/** As what it was judged, and what of the series itself had a part in it. */
function judgedLines(
  { series, kind, range, memory = {}, slotsSummed, level, drift, trials }: Verdict,
  sampler: Sampler,
): string[] {
  if (kind === undefined || level === "unknown") return [];
  const { kind: written, denominator } = sampler.judge[series.field] ?? {};
  const told = written === "auto" ? ", as its values tell" : "";
  const over = slotsSummed === 1 ? "" : `; evidence summed over ${slotsSummed} slots`;
  const of = trials === undefined ? "" : `, measured on ${round(trials.summed)} ${denominator}`;
  const { level: today, tails } = memory;
  return [
    `Judged as a ${kind}${told}${over}${of}.`,
    ...(range === undefined || range.least === range.most
      ? []
      : [`Anything from ${round(range.least)} to ${round(range.most)} would be no news.`]),
    ...(today === undefined || today.expected <= 0 ? [] : [todayText(kind, today.observed / today.expected)]),
    ...(drift === undefined ? [] : [`The last seven days had ${weekText(drift)} the seven before.`]),
    ...(tails === undefined
      ? []
      : [
          `Beyond what is usual at this time: ${round(tails.rises.peaks)} rises and ${round(tails.drops.peaks)} drops in ` +
            `${round(tails.points)} slots.`,
        ]),
  ];
}

function todayText(kind: Verdict["kind"], ratio: number): string {
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
