/** What was measured, as a table for people. */
import type { Chaos } from "./chaos.ts";
import { operator } from "./definitions.ts";
import type { Ended } from "./service.ts";
import type { PointsFound, Recovery, SlotsFound, Told } from "./truth.ts";
import type { Move } from "./watch.ts";

/** Shares of a worker that was killed or stood still. */
export type Moved = Move & {
  readonly name: string;
  /** No other worker was lost before they had moved. */
  readonly alone: boolean;
  /** How long it may have taken, ms. */
  readonly mostMs: number;
};

export type Figures = {
  readonly minutes: number;
  readonly seed: number;
  readonly chaos: Chaos;
  readonly slots: SlotsFound;
  readonly points: PointsFound;
  readonly told: readonly Told[];
  readonly moves: readonly Moved[];
  readonly recoveries: readonly Recovery[];
  readonly ended: ReadonlyMap<string, Ended>;
  /** Processes that ended by themselves. */
  readonly deaths: number;
  /** By how much the shop was ahead of its orders at least. */
  readonly aheadMs: number;
};

export function reportText(figures: Figures): string {
  const { minutes, seed, chaos, slots, points, told, moves, recoveries, ended } = figures;
  const { kills, outages, freezes } = chaos;
  const late = slots.latenessMs;
  const killed = [...Map.groupBy(kills, ({ name }) => name)].map(([name, those]) => `${name} ${those.length}`).sort();
  const operators = told.filter(({ to }) => to === operator);
  const rows: [string, string][] = [
    ["time", `${minutes} min, seed ${seed}`],
    ["kill -9", `${kills.length}: ${killed.join(", ")}`],
    [
      "slots",
      `${slots.slots}, faults ${slots.faults.length}; started again ${slots.again}, caught up ${slots.caughtUp}`,
    ],
    ["lateness of slots", `p50 ${s(at(late, 0.5))}, p99 ${s(at(late, 0.99))}, max ${s(at(late, 1))}`],
    ["points on both copies", `${points.points}, faults ${points.faults.length}`],
    ["shares of lost workers moved in", spread(moves)],
    ["those of workers lost alone", spread(moves.filter(({ alone }) => alone))],
    ...recoveries.map(({ event, tookMs, slowest }): [string, string] => [
      `after: ${event.kind} (${s(event.toMs - event.fromMs)})`,
      `samplers go on within ${s(tookMs)} (${slowest})`,
    ]),
    ...freezes.map(({ service, stoppedMs, takenMs, resumedMs }): [string, string] => [
      `SIGSTOP of ${service.name} in a slot`,
      `stood ${s(resumedMs - stoppedMs)}, another had run it after ${takenMs === null ? "never" : s(takenMs - stoppedMs)}`,
    ]),
    ...outages.map(({ channel, fromMs, toMs, openedMs, resolvedMs }): [string, string] => [
      `outage of ${channel}`,
      `told ${openedMs === null ? "never" : `${s(openedMs - fromMs)} after its first slot`}, recovery ${resolvedMs === null ? "never" : `${s(resolvedMs - toMs)} after`}`,
    ]),
    [
      "messages to the shop",
      `${told.length - operators.length}, received ${sum(told.filter(({ to }) => to !== operator))}`,
    ],
    ["messages to the operator", `${operators.length}, received ${sum(operators)}`],
    ["SIGTERM", [...ended].map(([name, { code, tookMs }]) => `${name} ${code} in ${s(tookMs)}`).join(", ")],
  ];
  return `\n${rows.map(([name, value]) => `${name.padEnd(38)} ${value}`).join("\n")}\n`;
}

function spread(moves: readonly Moved[]): string {
  const took = moves.map(({ tookMs }) => tookMs ?? Number.POSITIVE_INFINITY).sort((a, b) => a - b);
  return `p50 ${s(at(took, 0.5))}, max ${s(at(took, 1))} (${took.length} workers)`;
}

function s(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}

function sum(told: readonly Told[]): number {
  return told.reduce((total, { received }) => total + received, 0);
}

function at(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}
