/** What was measured, as a table for people. */
import type { Chaos, Event, Kill } from "./chaos.ts";
import { operator } from "./definitions.ts";
import type { Ended } from "./service.ts";
import type { PointsFound, SlotsFound, Told } from "./truth.ts";
import type { Move } from "./watch.ts";

export type Figures = {
  readonly minutes: number;
  readonly seed: number;
  readonly chaos: Chaos;
  readonly slots: SlotsFound;
  readonly points: PointsFound;
  readonly told: readonly Told[];
  readonly moves: readonly (Move & { readonly kill: Kill })[];
  readonly recoveries: readonly { readonly event: Event; readonly tookMs: number }[];
  readonly ended: ReadonlyMap<string, Ended>;
  /** By how much the shop was ahead of its orders at least. */
  readonly aheadMs: number;
};

export function reportText(figures: Figures): string {
  const { minutes, seed, chaos, slots, points, told, moves, recoveries, ended } = figures;
  const { kills, outages, freezes } = chaos;
  const late = slots.latenessMs;
  const moved = moves.map(({ tookMs }) => tookMs ?? Number.POSITIVE_INFINITY).sort((a, b) => a - b);
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
    ["shares of killed workers moved in", `p50 ${s(at(moved, 0.5))}, max ${s(at(moved, 1))} (${moved.length} kills)`],
    ...recoveries.map(({ event, tookMs }): [string, string] => [
      `after: ${event.kind} (${s(event.toMs - event.fromMs)})`,
      `all samplers go on in ${s(tookMs)}`,
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

function s(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}

function sum(told: readonly Told[]): number {
  return told.reduce((total, { received }) => total + received, 0);
}

function at(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}
