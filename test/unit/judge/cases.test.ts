import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Verdict } from "../../../src/core/model.ts";
import { formatTimeUtc, parseDurationMs } from "../../../src/core/time.ts";
import { type JudgingParts, judgeOn, judgingOf, memoryStore, orders, runSlot, samplerOf } from "./support.ts";

/** One folder a case; see test/cases/judge/README.md. */
const folder = join(import.meta.dirname, "../../cases/judge");

type Case = { about: string; every: string; zone?: string; judging?: JudgingParts; judgeFrom: string };
type Expected = { at: string; level: string; since?: string | null; loss?: number | null; reason?: string };

describe.each(readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory()))(
  "$name",
  ({ name }) => {
    const read = (file: string) => readFileSync(join(folder, name, file), "utf8");
    const story = JSON.parse(read("sampler.json")) as Case;
    const expected = JSON.parse(read("expected.json")) as Expected[];

    test(story.about, async () => {
      const rows = read("history.csv")
        .trim()
        .split("\n")
        .slice(1)
        .map((line) => line.split(",") as [string, string]);
      const stepMs = parseDurationMs(story.every) as number;
      const sampler = samplerOf({
        stepMs,
        zone: story.zone ?? "UTC",
        judge: { orders: judgingOf(story.judging) },
      });
      const points = rows.map(([time, value]) => orders(Date.parse(time), Number(value)));
      const fromMs = Date.parse(story.judgeFrom);
      const toMs = Math.max(...expected.map(({ at }) => Date.parse(at)));
      const store = memoryStore();
      const judge = judgeOn(store);
      await store.write(points.filter((point) => point.timeMs < fromMs));
      const verdicts = new Map<string, Verdict>();
      for (let timeMs = fromMs; timeMs <= toMs; timeMs += stepMs) {
        const slot = points.filter((point) => point.timeMs === timeMs);
        for (const verdict of await runSlot(store, judge, sampler, timeMs, slot)) {
          verdicts.set(formatTimeUtc(timeMs), verdict);
        }
      }
      expect(expected.map((wanted) => factsOf(verdicts.get(wanted.at), wanted))).toEqual(expected);
    });
  },
);

/** The facts of a verdict that the case speaks of. */
function factsOf(verdict: Verdict | undefined, wanted: Expected): unknown {
  if (verdict === undefined) return { at: wanted.at, level: "no verdict" };
  const since = verdict.sinceMs === null ? null : formatTimeUtc(verdict.sinceMs);
  const loss = verdict.lossSoFar === null ? null : Math.round(verdict.lossSoFar);
  const all: Expected = { at: wanted.at, level: verdict.level, since, loss, reason: verdict.reason };
  return Object.fromEntries(Object.entries(all).filter(([key]) => key in wanted));
}
