import { expect, test } from "vitest";
import { base, load, messages, sampler } from "./support.ts";

const file = "samplers/orders.yaml";
const point = (rest: string): string => `{ measurement: orders, ${rest} }`;
const counts = "{ orders: { kind: count } }";

async function said(changes: Readonly<Record<string, string>>): Promise<string[]> {
  return messages(await load({ ...base, [file]: sampler({ judge: counts, ...changes }) }));
}

test("a total of a count is taken", async () => {
  const files = {
    ...base,
    [file]: sampler({ judge: counts, point: point("tags: [country], fields: [orders, amount], total: [orders]") }),
  };
  const loaded = await load(files);
  expect(messages(loaded)).toEqual([]);
  expect(loaded.definitions.samplers.get("shop-orders")?.point.total).toEqual(["orders"]);
});

test.each([
  [
    "a field that is not one",
    "tags: [country], fields: [orders], total: [order]",
    /RUL-003 .* point\.total\[0\] - not among/,
  ],
  [
    "no tags to sum over",
    "tags: [], fields: [orders], total: [orders]",
    /CFG-019 .* point\.total - total without tags/,
  ],
  [
    "named twice",
    "tags: [country], fields: [orders], total: [orders, orders]",
    /CFG-010 .* point\.total\[1\] - named twice/,
  ],
  [
    "stored only",
    "tags: [country], fields: [orders, amount], total: [amount]",
    /CFG-019 .* point\.total\[0\] - a total of "amount", which is not judged as a count/,
  ],
])("%s is refused", async (_, rest, text) => {
  expect(await said({ point: point(rest) })).toEqual([expect.stringMatching(text)]);
});

test.each(["gauge", "auto"])("a field judged as %s is refused by name", async (kind) => {
  const changes = {
    point: point("tags: [country], fields: [orders], total: [orders]"),
    judge: `{ orders: { kind: ${kind} } }`,
  };
  expect(await said(changes)).toEqual([
    expect.stringMatching(
      /a total of "orders", which is not judged as a count.*Fix: write judge: \{ orders: \{ kind: count \} \}/,
    ),
  ]);
});

test("a total of a ratio is taken where it is said on how many it was measured, and else refused by name", async () => {
  const ratio = point("tags: [country], fields: [paid, tried], total: [paid]");
  const judge = (rest: string): string => `{ paid: { kind: ratio${rest} } }`;
  expect(await said({ point: ratio, judge: judge(", denominator: tried") })).toEqual([]);
  expect(await said({ point: ratio, judge: judge("") })).toEqual([
    expect.stringMatching(
      /a total of the ratio "paid", whose denominator is not named.*Fix: write judge: \{ paid: \{ denominator: FIELD \} \}/,
    ),
  ]);
  const both = "{ paid: { kind: ratio, denominator: tried }, tried: { kind: count } }";
  expect(await said({ point: ratio, judge: both })).toEqual([
    expect.stringMatching(
      /a total of the ratio "paid", and none of "tried", which is judged as well.*Fix: add tried to total/,
    ),
  ]);
  expect(await said({ point: ratio.replace("[paid] }", "[paid, tried] }"), judge: both })).toEqual([]);
});
