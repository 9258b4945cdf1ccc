import { expect, test } from "vitest";
import { onceAnswered } from "../../../src/cli/later.ts";
import { Problem } from "../../../src/core/problem.ts";
import { SimulatedClock } from "../../support/clock.ts";

const away = new Problem("does not answer", { where: "REDIS_URL", retryable: true });
const unsafe = new Problem("forgets jobs", { where: "REDIS_URL", code: "RDS-002" });

function rig(atStart: readonly Problem[], answers: readonly (readonly Problem[])[]) {
  const clock = new SimulatedClock("2026-11-20T09:00:00Z");
  const stop = new AbortController();
  const seen = { asked: 0, judged: [] as (readonly Problem[])[], refused: null as readonly Problem[] | null };
  const ask = async () => answers[Math.min(seen.asked++, answers.length - 1)] ?? [];
  const refusedOf = (found: readonly Problem[]) => {
    seen.judged.push(found);
    return found.filter(({ retryable }) => !retryable);
  };
  void onceAnswered(atStart, ask, refusedOf, clock, stop.signal).then((refused) => {
    seen.refused = refused;
  });
  return { clock, seen, stop };
}

test("what did not answer is asked every 30 s until it does, and refused then if it is unsafe", async () => {
  const { clock, seen } = rig([away], [[away], [away], [unsafe]]);
  await clock.advance("29s");
  expect(seen.asked).toBe(0);
  await clock.advance("61s");
  expect(seen).toEqual({ asked: 3, judged: [[unsafe]], refused: [unsafe] });
  await clock.advance("5m");
  expect(seen.asked).toBe(3);
});

test("what answers and is sound is not asked again; nor is anything after a stop, or where all answered", async () => {
  const sound = rig([away], [[]]);
  await sound.clock.advance("5m");
  expect(sound.seen).toEqual({ asked: 1, judged: [[]], refused: null });

  const stopped = rig([away], [[unsafe]]);
  stopped.stop.abort();
  await stopped.clock.advance("5m");
  expect(stopped.seen).toEqual({ asked: 0, judged: [], refused: null });

  const known = rig([unsafe], [[unsafe]]);
  await known.clock.advance("5m");
  expect(known.seen).toEqual({ asked: 0, judged: [], refused: null });
});
