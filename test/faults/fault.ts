/** The one runner: every fault is data, and each ends with the same question to both servers. */
import { describe, expect, test } from "vitest";
import { influxd, whyMissing } from "../support/debian.ts";
import { Rig, type RigOptions } from "./rig.ts";

/** `BELLWETHER_TEST_FAULTS=long`: outages of minutes and hundreds of kills, as operators meet them. */
export const long = process.env.BELLWETHER_TEST_FAULTS === "long";
/** `BELLWETHER_TEST_KILLS`: how often we are killed at random. */
export const kills = Number(process.env.BELLWETHER_TEST_KILLS ?? (long ? 500 : 15));
/** Of one fault: short ones take seconds, and one that hangs must not hold up the others. */
const timeoutMs = long || kills > 15 ? 3_600_000 : 120_000;

export type Figures = Readonly<Record<string, number | string>>;

export type Fault = {
  readonly id: string;
  readonly title: string;
  readonly options?: RigOptions | (() => RigOptions);
  /** Why it cannot be played here; null: it can. */
  readonly missing?: () => string | null;
  /** Does the damage, and looks at what must be seen meanwhile; what it returns goes into the table. */
  readonly play: (rig: Rig) => Promise<Figures>;
  /** Not everything is on both copies at the end, and that is right. Default: all of it is, and no tick was refused. */
  readonly leaves?: {
    /** Points on a shelf, which one copy lacks. */
    readonly shelved?: true;
    /** Ticks that were refused, each of them in `rig.refusals`. */
    readonly refused?: true;
    /** At most so many points are lost, by what the store itself says. */
    readonly lost?: (rig: Rig) => number;
  };
};

/** What a fault adds to the table that `npm run test:faults` prints. */
export type Row = { readonly id: string; readonly title: string } & Readonly<
  Record<"points" | "lost" | "wrong" | "invented" | "differing", number>
> & { readonly figures: Figures };

declare module "vitest" {
  interface TaskMeta {
    fault?: Row;
  }
}

const noInflux = whyMissing(influxd);

export function playFaults(name: string, faults: readonly Fault[]): void {
  describe(name, () => {
    for (const fault of faults) {
      const { id, title, missing } = fault;
      const why = noInflux ?? missing?.() ?? null;
      const label = `${id} ${title}${why === null ? "" : ` (${why})`}`;
      test.skipIf(why !== null)(label, { timeout: timeoutMs }, async ({ task }) => {
        task.meta.fault = await playOne(fault);
      });
    }
  });
}

async function playOne({ id, title, options, play, leaves = {} }: Fault): Promise<Row> {
  await using rig = await Rig.open(typeof options === "function" ? options() : options);
  try {
    const figures = await play(rig);
    const found = await rig.settle();
    const row: Row = { id, title, ...found, figures };
    const most = leaves.lost?.(rig) ?? 0;
    const { points, lost, differing, ...rest } = found;
    expect({ ...rest, lost: Math.max(0, lost - most), written: points > 0 }, rowText(row)).toEqual({
      lost: 0,
      wrong: 0,
      invented: 0,
      written: true,
    });
    if (leaves.shelved === undefined) expect(differing, rowText(row)).toBe(0);
    expect(rig.broken).toBeNull();
    if (leaves.refused === undefined) expect(rig.refusals.map(({ message }) => message)).toEqual([]);
    return row;
  } catch (thrown) {
    throw new Error(`${thrown instanceof Error ? thrown.stack : thrown}\n${rig.story()}`);
  }
}

function rowText({ id, title, points, lost, wrong, invented, differing, figures }: Row): string {
  const seen = Object.entries({ points, lost, wrong, invented, differing, ...figures });
  return `${id} ${title}: ${seen.map(([name, value]) => `${name} ${value}`).join(", ")}`;
}

/** Two significant digits, for figures that another run will not repeat. */
export function round(value: number): number {
  return Number(value.toPrecision(2));
}

/** Fails with what was seen instead. */
export function must(holds: boolean, what: string, seen: unknown = ""): void {
  if (!holds) throw new Error(`${what}: ${JSON.stringify(seen)}`);
}
