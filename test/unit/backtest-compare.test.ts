import { describe, expect, test } from "vitest";
import { compareAlerts, marksFound, marksOf, readOnce } from "../../src/backtest-compare.ts";
import { weeksOf } from "../../src/backtest-weeks.ts";
import type { Sampler } from "../../src/core/definitions.ts";
import type { Alert } from "../../src/core/model.ts";
import { Problem } from "../../src/core/problem.ts";
import { dayMs } from "../../src/core/time.ts";

/** What is compared of an alert. */
function alert(series: string, sinceMs: number, resolvedMs: number | null, more: Partial<Alert> = {}): Alert {
  const figures = { worstObserved: 1, worstExpected: 9 };
  return { series, sinceMs, resolvedMs, severity: "warning", ...figures, ...more } as Alert;
}

const spans = (alerts: readonly { fromMs: number; toMs: number | null }[]) =>
  alerts.map(({ fromMs, toMs }) => [fromMs, toMs]);

describe("alerts of two backtests", () => {
  test("are the same one by series and overlap; touching is no overlap, another series neither", () => {
    const before = [alert("a", 0, 10), alert("a", 20, 30), alert("b", 0, 10)];
    const after = [alert("a", 10, 20), alert("a", 21, 29), alert("c", 0, 10)];
    const { gained, lost, moved, same } = compareAlerts(before, after, []);
    expect(spans(gained)).toEqual([
      [0, 10],
      [10, 20],
    ]);
    expect(lost.map(({ series, fromMs }) => [series, fromMs])).toEqual([
      ["a", 0],
      ["b", 0],
    ]);
    expect(moved.map((pair) => [spans([pair.before]), spans([pair.after])])).toEqual([[[[20, 30]], [[21, 29]]]]);
    expect(same).toEqual([]);
  });

  test("have one partner at most, the one that shares the most time; the rest are gained or lost", () => {
    const { gained, lost, moved } = compareAlerts([alert("a", 0, 100)], [alert("a", 0, 20), alert("a", 30, 100)], []);
    expect([spans(gained), lost]).toEqual([[[0, 20]], []]);
    expect(spans(moved.map((pair) => pair.after))).toEqual([[30, 100]]);
  });

  test("another level alone is a move; another worst value alone is none", () => {
    const before = [alert("a", 0, null), alert("b", 0, 5)];
    const after = [alert("a", 0, null, { severity: "critical" }), alert("b", 0, 5, { worstObserved: 0 })];
    const { moved, same } = compareAlerts(before, after, []);
    expect(moved.map((pair) => [pair.before.level, pair.after.level])).toEqual([["warning", "critical"]]);
    expect(same.map((pair) => pair.after.series)).toEqual(["b"]);
  });

  test("are confirmed by a mark of their series that overlaps", () => {
    const marks = [
      { series: "a", fromMs: 5, toMs: 8 },
      { series: "a", fromMs: 50, toMs: null },
      { series: "b", fromMs: 0, toMs: 10 },
    ];
    const before = [alert("a", 0, 10), alert("a", 20, 30), alert("b", 10, 20)];
    const { lost } = compareAlerts(before, [], marks);
    expect(lost.map(({ series, confirmed }) => [series, confirmed])).toEqual([
      ["a", true],
      ["b", false],
      ["a", false],
    ]);
    expect(marksFound(before, marks)).toBe(1);
    expect(marksFound([alert("a", 40, null)], marks)).toBe(1);
  });

  test("neither list is changed", () => {
    const before = Object.freeze([alert("a", 20, 30), alert("a", 0, 10)]);
    expect(spans(compareAlerts(before, Object.freeze([]), Object.freeze([])).lost)).toEqual([
      [0, 10],
      [20, 30],
    ]);
  });
});

test("labelled rows are marks: each stretch one, over rows that are not there, to the end of its last slot", () => {
  const timesMs = [0, 10, 20, 50, 60, 70];
  const of = (labels: readonly number[]) => {
    const marks = marksOf("a", { timesMs, labels: labels.map((label) => label === 1), stepMs: 10 });
    return marks.map(({ fromMs, toMs }) => [fromMs, toMs]);
  };
  expect(of([0, 0, 0, 0, 0, 0])).toEqual([]);
  expect(of([0, 1, 1, 1, 0, 1])).toEqual([
    [10, 60],
    [70, 80],
  ]);
  expect(of([1, 1, 1, 1, 1, 1])).toEqual([[0, 80]]);
});

test("a window is asked for once, also one that failed", async () => {
  const asked: number[] = [];
  const runner = readOnce({
    run: (_, { fromMs }) => {
      asked.push(fromMs);
      if (fromMs === 7) return Promise.reject(new Problem("the source is away"));
      return Promise.resolve({ rows: [{ n: fromMs }], cost: { serverMs: 0, rowsRead: null }, elapsedMs: 0 });
    },
  });
  const signal = new AbortController().signal;
  const run = (fromMs: number) => runner.run({} as Sampler, { fromMs, toMs: fromMs + 1 }, signal);
  expect((await run(1)).rows).toEqual([{ n: 1 }]);
  expect(await run(1)).toBe(await run(1));
  await expect(run(7)).rejects.toThrow("the source is away");
  await expect(run(7)).rejects.toThrow("the source is away");
  expect((await run(2)).rows).toEqual([{ n: 2 }]);
  expect(asked).toEqual([1, 7, 2]);
});

describe("weeks of a backtest", () => {
  const message = (atMs: number, recipientName: string, severity: "warning" | "critical", notifier = "email") => {
    return { atMs, recipientName, severity, notifier };
  };

  test("begin at its begin, seven days each, the last one shorter; none is left out", () => {
    const weeks = weeksOf({ incidents: [], messages: [] }, dayMs, 17 * dayMs);
    expect(weeks.map(({ fromMs, toMs }) => [fromMs / dayMs, toMs / dayMs])).toEqual([
      [1, 8],
      [8, 15],
      [15, 17],
    ]);
    expect(weeksOf({ incidents: [], messages: [] }, 0, 14 * dayMs)).toHaveLength(2);
    expect(weeks[0]).toMatchObject({ incidents: { critical: 0, warning: 0 }, messages: 0, people: 0, channels: [] });
  });

  test("count incidents and messages by channel and severity, and people once", () => {
    const messages = [
      message(0, "Ana", "critical"),
      message(1, "Ana", "warning"),
      message(2, "Ben", "critical"),
      message(3, "hook", "critical", "webhook"),
      message(8 * dayMs, "Ana", "warning"),
      message(15 * dayMs, "Ben", "warning"),
    ];
    const incidents = [
      { openedMs: 0, severity: "critical" },
      { openedMs: 7 * dayMs - 1, severity: "warning" },
      { openedMs: 7 * dayMs, severity: "warning" },
    ] as const;
    const [first, second] = weeksOf({ incidents, messages }, 0, 14 * dayMs);
    expect(first).toMatchObject({ incidents: { critical: 1, warning: 1 }, messages: 4, people: 3 });
    expect(first?.channels).toEqual([
      { notifier: "email", severity: "critical", messages: 2, people: 2 },
      { notifier: "email", severity: "warning", messages: 1, people: 1 },
      { notifier: "webhook", severity: "critical", messages: 1, people: 1 },
    ]);
    // A message that waited for company is sent behind the end, and belongs to the last week.
    expect(second).toMatchObject({ incidents: { critical: 0, warning: 1 }, messages: 2, people: 2 });
  });
});
