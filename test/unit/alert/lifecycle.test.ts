import { describe, expect, test } from "vitest";
import { advance, alertFingerprint, type Mark, recentMax } from "../../../src/alert/lifecycle.ts";
import type { Lifecycle } from "../../../src/core/definitions.ts";
import type { Alert, Conclusion } from "../../../src/core/model.ts";
import { conclude } from "../../../src/relate/relate.ts";
import { minuteMs, sampler, type VerdictParts, verdict } from "./builders.ts";

const startMs = Date.UTC(2026, 10, 20, 9);
const marks: Record<string, Mark> = { b: "bad", g: "good", u: "unknown" };
const levels = { b: "warning", g: "normal", u: "unknown" } as const;

function conclusion(letter: string, slot: number, parts: Partial<VerdictParts> = {}): Conclusion {
  const level = levels[letter as keyof typeof levels];
  const verdicts = [verdict({ level, timeMs: startMs + slot * minuteMs, ...parts })];
  const [found] = conclude({ sampler: sampler(), verdicts, rules: new Map(), standingRules: new Set() });
  return found as Conclusion;
}

/** Runs slots given as letters, from nothing; a resolved alert is forgotten. The state after each slot, ok = none. */
function life(letters: string, rule: Lifecycle): string[] {
  let alert: Alert | null = null;
  return [...letters].map((letter, slot) => {
    const found = conclusion(letter, slot);
    const step = advance(alert, found, marks[letter] as Mark, rule, found.timeMs + minuteMs, () => `alert-${slot}`);
    expect(step.reason).not.toBe("");
    const state = step.after?.state ?? "ok";
    alert = state === "resolved" ? null : step.after;
    return state;
  });
}

const usual: Lifecycle = { pendingCount: 2, pendingOf: 3, recoverCount: 3 };

// P pending, F firing, R recovering, x resolved, . no alert
const words: Record<string, string> = { P: "pending", F: "firing", R: "recovering", x: "resolved", ".": "ok" };

test.each([
  ["two of three fire", "bb", "PF", usual],
  ["a good one in between still leaves two of three", "bgb", "PPF", usual],
  ["two good ones do not: the pending alert closes, a new one begins", "bggb", "PPxP", usual],
  ["unknown fills a place and does not close", "buub", "PPPP", usual],
  ["...and two bad ones after it fire", "buubb", "PPPPF", usual],
  ["unknown never begins an alert", "uuu", "...", usual],
  ["good never begins an alert", "ggg", "...", usual],
  ["three good ones in a row resolve", "bbggg", "PFRRx", usual],
  ["a relapse returns to firing and starts the count anew", "bbggbggg", "PFRRFRRx", usual],
  ["unknown does not resolve", "bbuuuuu", "PFFFFFF", usual],
  ["unknown between good ones neither counts nor breaks the row", "bbgugug", "PFRRRRx", usual],
  ["unknown while recovering stays recovering", "bbguuu", "PFRRRR", usual],
  ["one of one fires at once, one good resolves", "bg", "Fx", { pendingCount: 1, pendingOf: 1, recoverCount: 1 }],
  ["three in a row", "bbgbbb", "PPPPPF", { pendingCount: 3, pendingOf: 3, recoverCount: 1 }],
  ["after the end a new one begins", "bbgggbb", "PFRRxPF", usual],
])("%s: %s", (_, letters, states, rule) => {
  expect(life(letters, rule)).toEqual([...states].map((letter) => words[letter]));
});

describe("one slot", () => {
  const firing = (): Alert => {
    const first = advance(null, conclusion("b", 0), "bad", usual, startMs, () => "a").after;
    return advance(first, conclusion("b", 1), "bad", usual, startMs + 2 * minuteMs, () => "").after as Alert;
  };

  test("run again changes nothing", () => {
    const alert = firing();
    const again = advance(alert, conclusion("b", 1), "bad", usual, startMs + 9 * minuteMs, () => "new");
    expect(again.after).toBe(alert);
    expect(again.transition).toBeNull();
    expect(advance(alert, conclusion("g", 0), "good", usual, startMs, () => "new").after).toBe(alert);
  });

  test("inputs are not changed", () => {
    const alert = Object.freeze(firing());
    expect(() => advance(alert, Object.freeze(conclusion("g", 2)), "good", usual, startMs, () => "")).not.toThrow();
  });

  test("a rise of the severity is a transition, once, and severity does not fall while the alert stands", () => {
    const rise = advance(firing(), conclusion("b", 2, { level: "critical" }), "bad", usual, startMs, () => "");
    expect(rise.transition).toEqual({ from: "firing", to: "firing" });
    expect(rise.reason).toMatch(/^severity rose to critical/);
    const next = advance(rise.after, conclusion("b", 3), "bad", usual, startMs, () => "");
    expect(next.transition).toBeNull();
    expect(next.after?.severity).toBe("critical");
  });

  test("keeps the worst value with its expectation, the latest value, and the loss", () => {
    let alert: Alert | null = firing();
    const slots = [
      { observed: 1, expected: 30, lossSoFar: 47 },
      { observed: 5, expected: 20, lossSoFar: 62 },
    ];
    for (const [index, parts] of slots.entries()) {
      alert = advance(alert, conclusion("b", 2 + index, parts), "bad", usual, startMs, () => "").after;
    }
    alert = advance(alert, conclusion("g", 4, { observed: 19, expected: 20 }), "good", usual, startMs, () => "").after;
    expect(alert).toMatchObject({
      observed: 19,
      expected: 20,
      worstObserved: 1,
      worstExpected: 30,
      lossSoFar: 62,
      sinceMs: startMs,
      state: "recovering",
    });
  });

  test("an unknown slot leaves the figures as they were", () => {
    const alert = firing();
    const after = advance(
      alert,
      conclusion("u", 2, { observed: null, expected: null }),
      "unknown",
      usual,
      startMs,
      () => "",
    );
    expect(after.after).toMatchObject({ observed: alert.observed, expected: alert.expected, reason: alert.reason });
    expect(after.after?.lastSlotMs).toBe(startMs + 2 * minuteMs);
  });

  test("since is the onset that judging saw; for a pending alert that begins anew, the new one", () => {
    const onset = conclusion("b", 5, { sinceMs: startMs + 3 * minuteMs });
    let alert = advance(null, onset, "bad", usual, startMs, () => "a").after;
    expect(alert?.sinceMs).toBe(startMs + 3 * minuteMs);
    for (const slot of [6, 7]) alert = advance(alert, conclusion("u", slot), "unknown", usual, startMs, () => "").after;
    alert = advance(alert, conclusion("b", 8), "bad", usual, startMs, () => "").after;
    expect(alert).toMatchObject({ state: "pending", sinceMs: startMs + 8 * minuteMs });
  });

  test("remembers a bounded number of slots", () => {
    let alert: Alert | null = firing();
    for (let slot = 2; slot < 300; slot += 1)
      alert = advance(alert, conclusion("b", slot), "bad", usual, 0, () => "").after;
    expect(alert?.recent).toHaveLength(recentMax);
  });
});

test("identity: rule, sampler, series and direction; not owner or labels", () => {
  const print = (parts: Partial<VerdictParts>) => alertFingerprint(conclusion("b", 0, parts));
  expect(print({ direction: "up" })).not.toBe(print({ direction: "down" }));
  expect(print({ country: "Germany" })).not.toBe(print({}));
  expect(print({ observed: 1 })).toBe(print({}));
  const found = conclusion("b", 0);
  expect(alertFingerprint({ ...found, labels: { ...found.labels, owner: "somebody", extra: "x" } })).toBe(print({}));
  expect(alertFingerprint({ ...found, rule: "other" })).not.toBe(print({}));
});
