/** What the generators of the faults write, and the store that they write to: in this process or in one of its own. */
import type { Point } from "../../src/core/model.ts";
import type { Clock, Log } from "../../src/core/ports.ts";
import type { Problem } from "../../src/core/problem.ts";
import { dayMs, systemClock } from "../../src/core/time.ts";
import type { Pace } from "../../src/store/lane.ts";
import { Mirror } from "../../src/store/mirror.ts";
import { replicas } from "../../src/store/stores/index.ts";

export const database = "faults";
export const measurement = "load";

/** So fast that a fault of seconds shows what one of minutes would. */
const fastPace: Partial<Pace> = {
  writeTimeoutMs: 2_000,
  backOffMsMin: 50,
  backOffMsMax: 1_000,
  parkedMs: 500,
  pulseMs: 1_000,
};

/** Survives `JSON.stringify`. */
export type Load = {
  /** Path of the spool. */
  readonly file: string;
  readonly urls: { readonly a: string; readonly b: string };
  /** Series, each with a point a tick. */
  readonly series: number;
  readonly tickMs: number;
  readonly keepRawMs: number | null;
  readonly spoolBytesMax: number;
  readonly pace: Partial<Pace>;
  readonly userOfB: { readonly user: string; readonly password: string } | null;
};

/** The one value that a point has, whoever writes it and however often. */
export function valueAt({ tickMs }: Load, series: number, timeMs: number): number {
  return ((series * 7_919 + timeMs / tickMs) % 1_009) + series / 1_024;
}

export function pointsAt(load: Load, timeMs: number): Point[] {
  return Array.from({ length: load.series }, (_, series) => ({
    measurement,
    tags: { s: `s${series}` },
    fields: { n: valueAt(load, series, timeMs) },
    timeMs,
  }));
}

export function openMirror(
  load: Load,
  { clock, log, onBroken }: { clock: Clock; log: Log; onBroken: (problem: Problem) => void },
): Promise<Mirror> {
  const replica = (name: "a" | "b", user: Load["userOfB"]) =>
    replicas.influx.create({ name, url: load.urls[name], database, ...user }, { clock: systemClock, log });
  return Mirror.open(
    {
      file: load.file,
      replicas: [replica("a", null), replica("b", load.userOfB)],
      keepRawMs: load.keepRawMs,
      keepMs: 400 * dayMs,
      spoolBytesMax: load.spoolBytesMax,
      repairPointsPerSecond: 100_000,
      pace: { ...fastPace, ...load.pace },
    },
    { clock, timer: systemClock, log, onBroken },
  );
}
