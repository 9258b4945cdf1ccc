import { expect, test } from "vitest";
import { type Brake, brakeAfterCut } from "../../../src/sample/brake.ts";
import { decideBudget } from "../../../src/sample/budget.ts";

const minutes = (count: number): number => count * 60_000;

test("each cut doubles the wait, from the sampler's step to ten minutes", () => {
  const waitsMs: number[] = [];
  let brake: Brake | null = null;
  for (let cut = 0; cut < 6; cut += 1) {
    const nowMs = cut * minutes(100);
    brake = brakeAfterCut(brake, minutes(1), 10_000, nowMs);
    waitsMs.push(brake.untilMs - nowMs);
  }
  expect(waitsMs).toEqual([1, 2, 4, 8, 10, 10].map((wait) => minutes(wait) * 0.95));
  expect(brake?.cuts).toBe(6);
});

test("a short step does not make the wait shorter than the time limit", () => {
  expect(brakeAfterCut(null, 1_000, 10_000, 0).untilMs).toBe(9_500);
});

test.each<[string, Record<string, number>, number, string, number, boolean]>([
  ["nothing was used", {}, 60_000, "a", 3, true],
  ["the budget lasts, although one took nearly all of it", { a: 59_999 }, 60_000, "a", 3, true],
  ["it is spent, by the one who asks", { a: 60_000 }, 60_000, "a", 3, false],
  ["it is spent by another: who took less than an even part still reads", { a: 60_000, b: 500 }, 60_000, "b", 3, true],
  ["it is spent, and the one who asks had an even part", { a: 40_000, b: 20_000 }, 60_000, "b", 3, false],
  ["a sampler alone may take all of it, and no more", { a: 60_001 }, 60_000, "a", 1, false],
])("budget: %s", (_, used, budgetMs, sampler, samplers, read) => {
  expect(decideBudget(new Map(Object.entries(used)), budgetMs, sampler, samplers).read).toBe(read);
});

test("who is refused is told by how much", () => {
  expect(decideBudget(new Map([["a", 61_500]]), 60_000, "a", 4)).toEqual({
    read: false,
    reason:
      "the connection's budget of 60.0 s an hour is spent, 61.5 s of it by this sampler, whose even part is 15.0 s",
  });
});
