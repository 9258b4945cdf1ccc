/** What explaining says of a verdict, of alerts as they were then, and of who was told; all of it as people read it. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { FieldJudging, Sampler } from "../../src/core/definitions.ts";
import type { Explanation, OutboxItem, Verdict } from "../../src/core/model.ts";
import { hourMs, minuteMs, parseTimeMs } from "../../src/core/time.ts";
import { explain } from "../../src/explain.ts";
import { openShop, type Shop } from "../support/console.ts";

const britain = 'orders{country="United Kingdom"}.orders';
const germany = 'orders{country="Germany"}.orders';
const worldpay = 'payments{provider="worldpay"}.success_rate';

let shop: Shop;

beforeAll(async () => {
  shop = await openShop(2 * hourMs);
});
afterAll(() => shop[Symbol.asyncDispose]());

async function at(series: string, time: string): Promise<Explanation> {
  const found = await shop.facts.explain(series, parseTimeMs(time, 0));
  if (found === null) throw new Error(`nobody judges ${series}`);
  return found;
}

describe("as what it was judged", () => {
  /** The explanation of a slot whose verdict has this, by a sampler that asks for that. */
  async function judged(series: string, given: Partial<Verdict>, judging: Partial<FieldJudging> = {}) {
    const { definitions, store, state, clock, explain: own } = shop.facts;
    const timeMs = Date.parse("2026-11-20T14:00:00Z");
    const before = await own(series, timeMs);
    const { verdict } = before as Explanation;
    const known = definitions().definitions;
    const samplers = new Map(
      [...known.samplers].map(([name, one]): [string, Sampler] => {
        const judge = Object.entries(one.judge).map(([field, its]) => [field, { ...its, ...judging }]);
        return [name, { ...one, judge: Object.fromEntries(judge) }];
      }),
    );
    const judge = { explain: async () => ({ verdict: { ...verdict, ...given }, stale: false }) };
    const deps = { definitions: () => ({ ...known, samplers }), store, state, clock, judge };
    const found = (await explain(deps, series, timeMs)) as Explanation;
    for (const sentence of found.judged?.sentences ?? []) expect(found.lines).toContain(sentence);
    return found;
  }

  test("a count whose days do not agree: kind, range, today, drift", async () => {
    const given: Partial<Verdict> = {
      kind: "count",
      range: { least: 0.20421, most: 0.31034 },
      memory: { level: { observed: 104, expected: 100 } },
      drift: -12.4,
      slotsSummed: 6,
    };
    const { judged: found } = await judged(britain, given, { kind: "auto" });
    expect(found).toEqual({
      kind: "count",
      kindTold: true,
      range: { least: 0.20421, most: 0.31034 },
      today: 1.04,
      drift: -12.4,
      trials: null,
      jumps: null,
      sentences: [
        "Judged as a count, as its values tell; evidence summed over 6 slots.",
        "The days lead one to expect 0.2042 to 0.3103.",
        "Lately 1.04 of plan came in all.",
        "The last seven days had 12 % less than the seven before.",
      ],
    });
  });

  test("days that agree, and a plan of nothing, are not spoken of", async () => {
    const given = { range: { least: 3, most: 3 }, memory: { level: { observed: 0, expected: 0 } }, drift: undefined };
    const { judged: found } = await judged(britain, { kind: "count", ...given }, { kind: "count" });
    expect(found).toMatchObject({ range: null, today: null, drift: null, sentences: ["Judged as a count."] });
  });

  test("a ratio with its denominator: what it was measured on", async () => {
    const given: Partial<Verdict> = { kind: "ratio", trials: { slot: 40, summed: 412 }, range: undefined, memory: {} };
    const { judged: found } = await judged(worldpay, { ...given, drift: 0 }, { kind: "ratio", denominator: "tries" });
    expect(found?.trials).toEqual({ slot: 40, summed: 412, denominator: "tries" });
    expect(found?.sentences).toEqual([
      "Judged as a ratio, measured on 412 tries.",
      "The last seven days had about as many as the seven before.",
    ]);
  });

  test("a gauge: its own jumps", async () => {
    const tails = { points: 1_440, rises: { peaks: 12, sum: 30 }, drops: { peaks: 3.5, sum: 9 } };
    const given: Partial<Verdict> = { kind: "gauge", range: undefined, drift: undefined, memory: { tails } };
    const { judged: found } = await judged(worldpay, given, { kind: "gauge" });
    expect(found?.jumps).toEqual({ slots: 1_440, rises: 12, drops: 3.5 });
    expect(found?.sentences[1]).toBe("Beyond what is usual at this time: 12 rises and 3.5 drops in 1440 slots.");
  });

  test("what could not be judged was judged as nothing", async () => {
    expect((await judged(britain, { level: "unknown" })).judged).toBeNull();
    expect((await judged(britain, { kind: undefined })).judged).toBeNull();
  });
});

describe("alerts are told as they were then, and as they are now", () => {
  test.each([
    ["2026-11-20T13:20:00Z", "had yet to begin and is now resolved"],
    ["2026-11-20T13:21:00Z", "was pending and is now resolved"],
    ["2026-11-20T13:30:00Z", "was firing and is now resolved"],
  ])("at %s it %s", async (time, words) => {
    const { stood, lines } = await at(britain, time);
    expect(stood).toEqual([
      `Alert shop-orders ${words} (slots bbbggg), last judged: Orders of United Kingdom are far below what is usual at this time.`,
    ]);
    expect(lines).toContain(stood[0]);
  });
});

describe("who was told", () => {
  test("by time, and each further step by its number", async () => {
    const sentMs = Date.parse("2026-11-20T13:37:00Z");
    const item = (id: string, given: Partial<OutboxItem>): OutboxItem => ({
      ...{ id, incidentId: "0197-uk", kind: "opened", notifier: "email", recipient: "ben@shop.example" },
      ...{ recipientName: "Ben Ito", state: "sent", dueMs: sentMs, attempts: 1, leaseOwner: null, leaseUntilMs: null },
      ...{ noticeKey: "0197-uk:1:second.1", createdMs: sentMs - 15 * minuteMs, sentMs, receipt: null, error: null },
      ...given,
    });
    const failed = { noticeKey: "0197-uk:1:second.2", state: "failed", sentMs: null, error: "refused" } as const;
    await shop.state.outbox.add([item("b", {}), item("c", { ...failed, dueMs: sentMs + minuteMs })]);
    expect((await at(britain, "2026-11-20T13:30:00Z")).told).toEqual([
      expect.stringMatching(/^Ana Silva by email: opened sent at 2026-11-20 13:2/),
      "Ben Ito by email: opened (step 2) sent at 2026-11-20 13:37",
      "Ben Ito by email: opened (step 3) failed (refused)",
      expect.stringMatching(/^Ana Silva by email: resolved sent at 2026-11-20 13:5/),
    ]);
  });
});

describe("a time that no verdict is stored of", () => {
  const future = "This time lies in the future; this is what judging says of it now.";
  const before = "This time lies before the first point that is kept of the series; this is what judging says now.";

  test.each([
    ["lies in the future", "2030-01-01T00:00:00Z", [future]],
    ["lies before the first point", "2026-11-20T10:00:00Z", [before]],
    ["was judged", "2026-11-20T14:00:00Z", []],
    [
      "lies between points and was never judged",
      "2026-11-20T14:30:00Z",
      ["This slot was never judged; this is what judging says now."],
    ],
  ])("%s", async (_, time, notes) => {
    const found = await at(germany, time);
    expect(found.notes).toEqual(notes);
    for (const note of notes) expect(found.lines).toContain(note);
  });
});

test("one day that is too few is one day", async () => {
  const { definitions, store, state, clock } = shop.facts;
  const baseline = { centre: null, spread: null, daysUsed: 1, daysTrimmed: 0, days: [] };
  const { verdict } = await at(germany, "2026-11-20T14:00:00Z");
  const linesOf = async (daysUsed: number) => {
    const judge = {
      explain: async () => ({ verdict: { ...verdict, baseline: { ...baseline, daysUsed } }, stale: false }),
    };
    const deps = { definitions: () => definitions().definitions, store, state, clock, judge };
    return (await explain(deps, germany, Date.parse("2026-11-20T14:00:00Z")))?.lines;
  };
  expect(await linesOf(1)).toContain("Baseline: none, 1 usable day is too few.");
  expect(await linesOf(0)).toContain("Baseline: none, 0 usable days are too few.");
});
