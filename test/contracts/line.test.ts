import { gzipSync } from "node:zlib";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";
import { describe, expect, test } from "vitest";
import type { FieldValue, Point } from "../../src/core/model.ts";
import { systemClock } from "../../src/core/time.ts";
import { differencesOf } from "../../src/store/compare.ts";
import { kindOf, lineOf, refusal, seriesKey } from "../../src/store/line.ts";
import { replicas } from "../../src/store/stores/index.ts";
import { influxd, whyMissing } from "../support/debian.ts";
import { startInflux } from "../support/servers/influx.ts";
import { silent } from "../unit/store/support.ts";

const missing = whyMissing(influxd);
const count = 4_000;
const letters = [..."abxy09 ,=\"\\'.{}#_\u2028é订😀"];

describe.skipIf(missing !== null)(`lines and a real server${missing === null ? "" : ` (${missing})`}`, () => {
  test(`${count} random points that are not refused come back as they were, and no others`, {
    timeout: 120_000,
  }, async () => {
    await using server = await startInflux({ databases: ["lines"] });
    await using replica = replicas.influx.create(
      { name: "a", url: server.url, database: "lines" },
      { clock: systemClock, log: silent },
    );
    const random = xoroshiro128plus(4_711);
    const pick = (below: number): number => (random.next() >>> 0) % below;
    const word = (least: number, most: number): string => {
      let text = "";
      for (let left = least + pick(most - least + 1); left > 0; left -= 1) text += letters[pick(letters.length)];
      return text;
    };
    // Few names, each with one kind of value, so that their fields do not conflict.
    const names = {
      measurements: Array.from({ length: 12 }, () => word(1, 4)),
      tags: Array.from({ length: 8 }, () => word(1, 3)),
    };
    const fields = Array.from({ length: 9 }, (_, index) => ({ name: word(1, 3), kind: index % 3 }));
    const values: ((kind: number) => FieldValue)[] = [
      () => random.next() / 1_000,
      () => word(0, 8),
      () => pick(2) === 0,
    ];
    const points = new Map<string, Point>();
    for (let index = 0; index < count; index += 1) {
      const tags: Record<string, string> = {};
      for (let left = pick(3); left > 0; left -= 1) tags[names.tags[pick(8)] as string] = word(1, 4);
      const own: Record<string, FieldValue> = {};
      for (let left = 1 + pick(3); left > 0; left -= 1) {
        const { name, kind } = fields[pick(9)] as (typeof fields)[number];
        own[name] = (values[kind] as (kind: number) => FieldValue)(kind);
      }
      const point = {
        measurement: names.measurements[pick(12)] as string,
        tags,
        fields: own,
        timeMs: Date.UTC(2026, 10, 1) + index,
      };
      if (refusal(point) === null) points.set(`${seriesKey(point)} ${point.timeMs}`, point);
    }
    expect(points.size).toBeGreaterThan(count / 3);
    const kinds = new Map<string, string>();
    for (const { fields: own } of points.values())
      for (const [name, value] of Object.entries(own)) kinds.set(name, kindOf(value));
    const kept = [...points.values()].filter(({ fields: own }) =>
      Object.entries(own).every(([name, value]) => kinds.get(name) === kindOf(value)),
    );
    const body = gzipSync(kept.map((point) => `${lineOf(seriesKey(point), point)}\n`).join(""));
    expect(await replica.send("", body, AbortSignal.timeout(20_000))).toEqual({ kind: "stored" });
    const window = { fromMs: Date.UTC(2026, 10, 1), toMs: Date.UTC(2026, 10, 1) + count };
    const stored = new Set((await replica.fields(AbortSignal.timeout(10_000))).map(({ measurement }) => measurement));
    expect([...stored].sort()).toEqual([...new Set(kept.map(({ measurement }) => measurement))].sort());
    for (const measurement of stored) {
      const there = await replica.points(measurement, window, AbortSignal.timeout(20_000));
      expect(differencesOf([kept.filter((point) => point.measurement === measurement), there])).toEqual([]);
    }
  });
});
