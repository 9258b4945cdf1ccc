/** What `shadow` of a sampler may be, and what it becomes. */
import { expect, test } from "vitest";
import { parseTimeMs } from "../../../src/core/time.ts";
import { base, load, messages, sampler } from "./support.ts";

const file = "samplers/a.yaml";
const withShadow = (shadow: string, more: Readonly<Record<string, string>> = {}) =>
  load({ ...base, [file]: sampler({ shadow, ...more }) });

test("a day ends it where it begins in the sampler's zone; true leaves that to a person; false is none", async () => {
  const until = async (shadow: string, more = {}) =>
    (await withShadow(shadow, more)).definitions.samplers.get("shop-orders")?.shadow;
  expect(await until("2099-07-15", { zone: "Asia/Shanghai" })).toEqual({
    text: "2099-07-15",
    untilMs: parseTimeMs("2099-07-14T16:00:00Z", 0),
  });
  expect(await until("true")).toEqual({ text: "true", untilMs: null });
  expect(await until("false")).toBeUndefined();
  expect((await load({ ...base, [file]: sampler() })).definitions.samplers.get("shop-orders")?.shadow).toBeUndefined();
});

test.each([
  [
    "soon",
    /^CFG-019 samplers\/a\.yaml:\d+:\d+ shadow - not a day of the calendar \(got "soon"\)\. Fix: write true, or the day/,
  ],
  ["2026-02-30", /^CFG-019 .* shadow - not a day of the calendar/],
  ["7", /^CFG-008 .* shadow - wants true or a day \(got 7\)\. Fix: write true, or the day/],
])("%s is a fault with its place", async (shadow, said) => {
  const { definitions, problems } = await withShadow(shadow);
  expect(messages({ problems })).toEqual([expect.stringMatching(said)]);
  expect(definitions.samplers.size).toBe(0);
});

test("with alerts: false it is one too many", async () => {
  const { problems } = await withShadow("true", { alerts: "false" });
  expect(messages({ problems })).toEqual([expect.stringMatching(/^CFG-019 .* shadow - shadow with alerts: false/)]);
});

test("long after its day it is told that the line may go, and nothing is left out for it", async () => {
  const { definitions, problems } = await withShadow("2020-01-01");
  expect(messages({ problems })).toEqual([
    expect.stringMatching(
      /^CFG-W23 samplers\/a\.yaml:\d+:\d+ shadow - a shadow period that ended \d+ days ago\. Fix: remove/,
    ),
  ]);
  expect(definitions.samplers.size).toBe(1);
});
