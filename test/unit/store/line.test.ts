import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";
import { describe, expect, test } from "vitest";
import type { FieldValue, Point } from "../../../src/core/model.ts";
import { lineOf, linesOf, parseLines, refusal, seriesKey } from "../../../src/store/line.ts";

const timeMs = Date.UTC(2026, 10, 20, 9, 0);

function point(changes: Partial<Point>): Point {
  return { measurement: "orders", tags: { country: "Germany" }, fields: { n: 1 }, timeMs, ...changes };
}

function encode(each: Point): string {
  return lineOf(seriesKey(each), each);
}

describe("what servers would not give back as it was is refused", () => {
  test.each<[string, Partial<Point>, RegExp]>([
    ["a line break in a tag", { tags: { name: "42\nadmin" } }, /^PNT-001 line break in tag "name"$/],
    ["a line break in a name", { fields: { "a\nb": 1 } }, /^PNT-001 line break in the field name$/],
    ["a backslash at the end of a tag", { tags: { path: "C:\\" } }, /^PNT-002/],
    ["a backslash before a comma in a tag", { tags: { path: "a\\,b" } }, /^PNT-002/],
    ["a backslash before a quote in a field name", { fields: { 'a\\"b': 1 } }, /^PNT-002/],
    ["a backslash before a quote in a measurement", { measurement: 'a\\"b' }, /^PNT-002/],
    ["a control character in a text", { fields: { n: "x\u0007y" } }, /^PNT-011 control character in field "n"$/],
    ["an empty tag", { tags: { channel: "" } }, /^PNT-003 tag "channel" is empty$/],
    ["NaN", { fields: { n: Number.NaN } }, /^PNT-004 field "n" is not a finite number \(got NaN\)$/],
    ["minus infinity", { fields: { n: -Infinity } }, /^PNT-004/],
    ["a null", { fields: { n: null as unknown as FieldValue } }, /^PNT-005/],
    ["a field called time", { fields: { time: 1 } }, /^PNT-007 the field name "time" is reserved$/],
    ["a tag called time", { tags: { time: "x" } }, /^PNT-007/],
    ["a name with a leading _", { fields: { _field: 1 } }, /^PNT-007/],
    ["a time in nanoseconds", { timeMs: timeMs * 1_000_000 }, /^PNT-009/],
    ["half a millisecond", { timeMs: timeMs + 0.5 }, /^PNT-009/],
    ["a measurement that reads as a comment", { measurement: "#orders" }, /^PNT-011/],
    ["a measurement without a name", { measurement: "" }, /^PNT-011/],
    ["a control character", { tags: { a: "x\u0000y" } }, /^PNT-011 control character in tag "a"$/],
    ["a key of more than 64 KB", { tags: { a: "é".repeat(33_000) } }, /^PNT-011 its names and tags take 66\d{3} bytes/],
    ["a text of more than 64 K characters", { fields: { n: "x".repeat(65_536) } }, /^PNT-011/],
    ["half a surrogate pair", { fields: { n: "\ud800" } }, /^PNT-013/],
    ["half a surrogate pair in a tag", { tags: { a: "\udfff" } }, /^PNT-013/],
    ["no field at all", { fields: {} }, /no fields/],
  ])("%s", (_, changes, reason) => {
    expect(refusal(point(changes))).toMatch(reason);
  });
});

test("a line is as the line protocol has it", () => {
  const one = point({
    measurement: "or ders,x",
    tags: { "the shop": "A, B", country: "a=b" },
    fields: { n: 0.1, "is so": true, text: 'say "no" \\ or\nnothing' },
  });
  expect(encode(one)).toBe(
    `or\\ ders\\,x,country=a\\=b,the\\ shop=A\\,\\ B n=0.1,is\\ so=true,text="say \\"no\\" \\\\ or\nnothing" ${timeMs}`,
  );
  expect(parseLines(encode(one))).toEqual([one]);
});

test("lines of a body keep their text, line breaks within values among it", () => {
  const points = [point({ fields: { text: "one\ntwo" } }), point({ fields: { n: 3 } })];
  const texts = points.map(encode);
  expect(linesOf(`${texts.join("\n")}\n`)).toEqual(points.map((each, index) => ({ point: each, text: texts[index] })));
});

test.each(["orders", "orders n=", "orders n=1", "orders n=1 soon", "orders n=abc 5", 'orders n="x 5'])(
  "%j is not what we wrote",
  (body) => {
    expect(() => parseLines(body)).toThrow();
  },
);

/** Names and values from letters that have a meaning somewhere, and some that have none. */
const mild = [..."abcxyz09 ,=\"'.{}\u2028é订😀"];
const letters = [...mild, ..."\\#_\n\r\t\u0000", "\ud800", "time"];
const values = [0, -0, 1, 0.1, -1e-7, 1e21, Number.MAX_VALUE, Number.MIN_VALUE, 2 ** 53, Number.NaN, Infinity];

test("a million random points: what is written is read back as it was, or refused", { timeout: 180_000 }, () => {
  const random = xoroshiro128plus(20_261_126);
  const pick = (count: number): number => (random.next() >>> 0) % count;
  let alphabet = letters;
  const word = (lengthMax: number): string => {
    let text = "";
    for (let left = pick(lengthMax + 1); left > 0; left -= 1) text += alphabet[pick(alphabet.length)];
    return text;
  };
  const name = (): string => `${mild[pick(6)]}${word(2)}`;
  const value = (): FieldValue => {
    const kind = pick(4);
    if (kind === 0) return word(6);
    if (kind === 1) return pick(2) === 0;
    return kind === 2 ? (values[pick(values.length)] as number) : random.next() / (1 + pick(1_000));
  };
  const counts = { kept: 0, refused: 0 };
  for (let round = 0; round < 1_000_000; round += 1) {
    alphabet = round % 2 === 0 ? mild : letters;
    const tags: Record<string, string> = {};
    const fields: Record<string, FieldValue> = {};
    for (let left = pick(3); left > 0; left -= 1) tags[name()] = word(3);
    for (let left = pick(3); left >= 0; left -= 1) fields[name()] = value();
    const one = { measurement: name(), tags, fields, timeMs: timeMs + random.next() };
    const reason = refusal(one);
    counts[reason === null ? "kept" : "refused"] += 1;
    if (reason !== null) continue;
    const [back, ...more] = parseLines(`${encode(one)}\n`);
    if (more.length > 0 || !isSame(one, back)) expect(back).toEqual(one);
  }
  expect(counts.kept).toBeGreaterThan(100_000);
  expect(counts.refused).toBeGreaterThan(100_000);
});

/** As `toEqual`, a hundred times as fast; a negative zero is a zero to every server. */
function isSame(one: Point, other: Point | undefined): boolean {
  const text = ({ measurement, tags, fields, timeMs }: Point): string =>
    JSON.stringify([measurement, Object.entries(tags).sort(), Object.entries(fields).sort(), timeMs]);
  return other !== undefined && text(one) === text(other);
}
