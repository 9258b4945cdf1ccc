import { expect, test } from "vitest";
import { checkSilence, muter, mutesAt } from "../../../src/alert/mute.ts";
import type { Silence } from "../../../src/core/model.ts";
import { Problems } from "../../../src/core/problem.ts";

const day = 86_400_000;
const startsMs = Date.parse("2026-11-20T09:00:00Z");

const silence = (fields: Partial<Silence> = {}): Silence => ({
  id: "s",
  matchers: ['country="Germany"'],
  reason: "bank holiday",
  author: "ana",
  createdMs: startsMs,
  startsMs,
  endsMs: startsMs + day,
  ...fields,
});
const germany = { country: "Germany", severity: "warning" };

test("one question, one reason: who, until when, why", () => {
  const muted = muter([silence({ matchers: ['country="France"'] }), silence()]);
  expect(muted(germany, startsMs)).toBe("silenced by ana until 2026-11-21T09:00:00Z: bank holiday");
  expect(muted({ country: "Spain" }, startsMs)).toBeNull();
});

test.each([
  ["before it", -1, false],
  ["at its start", 0, true],
  ["just before its end", day - 1, true],
  ["at its end", day, false],
])("%s", (_, offsetMs, held) => {
  expect(muter([silence()])(germany, startsMs + offsetMs) !== null).toBe(held);
});

test("all matchers must hold", () => {
  const both = muter([silence({ matchers: ['country=~"Ger.*"', 'severity!="critical"'] })]);
  expect(both(germany, startsMs)).not.toBeNull();
  expect(both({ ...germany, severity: "critical" }, startsMs)).toBeNull();
});

test("a silence that cannot be read, or has no matchers, mutes nothing rather than everything", () => {
  for (const matchers of [[], ["country"], ['country=~"(a+)+\\\\1"']]) {
    expect(muter([silence({ matchers })])(germany, startsMs)).toBeNull();
  }
});

test("explaining names every silence that held", () => {
  const all = [silence(), silence({ reason: "tests", author: "bo" }), silence({ matchers: ['country="France"'] })];
  expect(mutesAt(all, germany, startsMs)).toEqual([
    "silenced by ana until 2026-11-21T09:00:00Z: bank holiday",
    "silenced by bo until 2026-11-21T09:00:00Z: tests",
  ]);
});

test("SIL-001: every fault of a silence at once", () => {
  const thrown = (fields: Partial<Silence>): string[] => {
    try {
      checkSilence(silence(fields));
      return [];
    } catch (problems) {
      return (problems as Problems).problems.map(({ code, message }) => `${code} ${message}`);
    }
  };
  expect(thrown({})).toEqual([]);
  expect(thrown({ endsMs: startsMs + 30 * day })).toEqual([]);
  expect(thrown({ endsMs: startsMs + 30 * day + 1 })).toEqual(["SIL-001 a silence of more than 30 days"]);
  expect(thrown({ endsMs: Number.NaN })).toEqual(["SIL-001 a silence that ends before it starts"]);
  expect(thrown({ matchers: [], reason: " ", author: "", endsMs: startsMs })).toEqual([
    "SIL-001 a silence without matchers",
    "SIL-001 a silence without a reason",
    "SIL-001 a silence without an author",
    "SIL-001 a silence that ends before it starts",
  ]);
  expect(thrown({ matchers: ["country is Germany"] })[0]).toContain('not a matcher (got "country is Germany")');
  expect(() => checkSilence(silence({ reason: "" }))).toThrow(Problems);
});
