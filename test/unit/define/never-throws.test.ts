import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { stringify } from "yaml";
import { formatProblem, Problem } from "../../../src/core/problem.ts";
import { assemble } from "../../../src/define/assemble.ts";
import { type FileKind, fileKinds } from "../../../src/define/files.ts";
import { contextOf, inOrder } from "../../../src/define/load.ts";
import { readDefinitions } from "../../../src/define/read.ts";
import { optionsFor, sampler } from "./support.ts";

const context = contextOf(optionsFor("/nowhere"))();

/** Reads one file and puts it together with itself; whatever is wrong must come as a Problem with a place. */
function read(kind: FileKind, bytes: Uint8Array): void {
  const result = readDefinitions("f.yaml", kind, bytes, context);
  const { conflicts } = assemble([result, { ...result, file: "g.yaml" }], 0);
  for (const problem of inOrder([...result.problems, ...conflicts.map((each) => each.problem)])) {
    expect(problem).toBeInstanceOf(Problem);
    expect(problem.where).toMatch(/^f\.yaml(:[1-9]\d*:[1-9]\d*)?$/);
    expect(problem.code).toMatch(/^[A-Z]{3}-W?\d{2,3}$/);
    expect(formatProblem(problem)).not.toMatch(/[\n\r]|undefined|\[object|Symbol\(/);
  }
  const errors = result.problems.some(({ severity }) => severity === "error");
  if (!errors) expect(result.entries.every(({ definition }) => definition !== null)).toBe(true);
}

const kind = fc.constantFrom(...fileKinds);
const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

const words = fc.constantFrom(
  ...[
    "name",
    "title",
    "owner",
    "every",
    "cron",
    "window",
    "zone",
    "active",
    "days",
    "hours",
    "timeout",
    "source",
    "sql",
  ],
  ...["connection", "query", "point", "measurement", "tags", "fields", "empty", "judge", "baseline", "trim", "floor"],
  ...[
    "percent",
    "critical_percent",
    "labels",
    "rules",
    "match",
    "needs",
    "route",
    "routes",
    "group",
    "group_by",
    "people",
  ],
  ...["groups", "members", "steps", "notifier", "to", "wait", "email", "phone", "calendars", "holidays", "connections"],
  ...[
    "country",
    "region",
    "GB",
    "campaigns",
    "from",
    "expect",
    "uplift",
    "like",
    "scale",
    "2026-03-29 01:30",
    "calendar",
  ],
  ...["sqlite", "file", "password", "__proto__", "constructor", "2026-12-25", "1m", "7m", "0 5 * * *", "0 0 30 2 *"],
  ...[
    "mon-fri",
    "08:00-17:00",
    "zero",
    "Europe/London",
    "GMT+8",
    "2 of 3",
    'a="1"',
    'a=~"("',
    "env:X",
    "file:../x",
    "no",
  ],
);
const scalar = fc.oneof(words, words, fc.integer(), fc.double(), fc.boolean(), fc.constant(null), fc.string());
const tree = fc.letrec((tie) => ({
  value: fc.oneof({ depthSize: "small" }, scalar, fc.array(tie("value"), { maxLength: 4 }), tie("map")),
  map: fc.dictionary(words, tie("value"), { maxKeys: 8 }),
}));

describe("whatever a file holds, reading it ends in definitions and Problems", () => {
  test("bytes", () => {
    fc.assert(fc.property(kind, fc.uint8Array({ maxLength: 400 }), read), { numRuns: 300 });
  });

  test("text of the characters that YAML gives a meaning", () => {
    const characters = fc.constantFrom(..."abn01 -:,[]{}#&*!|>'\"%@`?~<=.\t\n\n  ");
    const text = fc.array(characters, { maxLength: 120 }).map((each) => bytesOf(each.join("")));
    fc.assert(fc.property(kind, text, read), { numRuns: 1000 });
  });

  test("maps and lists of the language's own words in places where they do not belong", () => {
    fc.assert(
      fc.property(kind, tree.map, (file, value) => read(file, bytesOf(stringify(value)))),
      { numRuns: 600 },
    );
  });

  test("a sound file with one piece cut out or put in", () => {
    const sound = sampler({ judge: "{ orders: { floor: { percent: 30 } } }", active: '{ hours: "08:00-17:00" }' });
    const cut = fc
      .nat(sound.length)
      .chain((from) => fc.tuple(fc.constant(from), fc.nat(20), fc.string({ maxLength: 5 })));
    fc.assert(
      fc.property(cut, ([from, length, piece]) => {
        read("sampler", bytesOf(sound.slice(0, from) + piece + sound.slice(from + length)));
      }),
      { numRuns: 600 },
    );
  });
});
