import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Kept, thin } from "../../../src/show/console/downsample.ts";
import { pageByTime } from "../../../src/show/console/paging.ts";
import { maskAddress } from "../../../src/show/console/views.ts";
import { measuresText } from "../../../src/show/metrics.ts";
import { quiet } from "../../support/console.ts";

describe("thinning keeps what a reader would miss", () => {
  test("few points are all kept", () => {
    expect(
      thin(
        [
          { value: 1, rank: 0 },
          { value: null, rank: -1 },
        ],
        4,
      ),
    ).toEqual({ kept: [0, 1], slotsPerPoint: 1 });
  });

  test("of a bucket: the lowest, the highest, the worst, and a gap", () => {
    const values = [5, 1, 7, 9, 4, null, 6, 8, 2, 5, 5, 5];
    const points = values.map((value, index): Kept => ({ value, rank: index === 6 ? 2 : 0 }));
    // 12 points, at most 4 kept: one bucket of 12.
    expect(thin(points, 4)).toEqual({ kept: [1, 3, 5, 6], slotsPerPoint: 12 });
  });

  test("extremes, worst rank and bound hold for any line", () => {
    const point = fc.record({
      value: fc.option(fc.integer({ min: -50, max: 50 })),
      rank: fc.integer({ min: -1, max: 2 }),
    });
    fc.assert(
      fc.property(fc.array(point, { minLength: 1, maxLength: 400 }), fc.integer({ min: 4, max: 60 }), (points, max) => {
        const { kept } = thin(points, max);
        const chosen = kept.map((index) => points[index] as Kept);
        const numbers = (all: readonly Kept[]) => all.flatMap(({ value }) => (value === null ? [] : [value]));
        expect(kept.length).toBeLessThanOrEqual(max);
        expect(kept).toEqual([...new Set(kept)].sort((a, b) => a - b));
        expect(Math.max(...numbers(chosen))).toBe(Math.max(...numbers(points)));
        expect(Math.min(...numbers(chosen))).toBe(Math.min(...numbers(points)));
        expect(Math.max(...chosen.map(({ rank }) => rank))).toBe(Math.max(...points.map(({ rank }) => rank)));
        expect(chosen.some(({ value }) => value === null)).toBe(points.some(({ value }) => value === null));
      }),
    );
  });
});

test("pages by time show each item once, however many share a millisecond", async () => {
  const timesAnyOrder = fc.array(fc.integer({ min: 1, max: 6 }), { maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(timesAnyOrder, fc.integer({ min: 1, max: 5 }), async (times, limit) => {
      const items = times.map((atMs, id) => ({ id, atMs })).sort((a, b) => b.atMs - a.atMs || a.id - b.id);
      const read = async (count: number, beforeMs: number | undefined) =>
        items.filter(({ atMs }) => beforeMs === undefined || atMs < beforeMs).slice(0, count);
      const seen: number[] = [];
      let cursor: string | undefined;
      do {
        const page = await pageByTime({ limit, cursor }, ({ atMs }) => atMs, read);
        seen.push(...page.items.map(({ id }) => id));
        cursor = page.next ?? undefined;
      } while (cursor !== undefined);
      expect(seen).toEqual(items.map(({ id }) => id));
    }),
  );
});

test.each([
  ["ana@shop.example", "a***@shop.example"],
  ["Ana Silva <ana.silva@shop.example>", "Ana Silva <a***@shop.example>"],
  ["+442071234567", "+44*******567"],
  ["https://hooks.example/T0/secret?key=1", "https://hooks.example/***"],
  ["shop-team", "shop-team"],
])("%s is shown as %s", (address, masked) => {
  expect(maskAddress(address)).toBe(masked);
});

describe("measures", () => {
  const one = (name: string, value: number, labels?: Record<string, string>) => ({
    measures: () => [{ name, help: "Help.", kind: "counter" as const, value, labels }],
  });

  test("equal names and labels are added up, different labels stand side by side", async () => {
    const components = [
      one("bellwether_x_total", 2, { lane: "a" }),
      one("bellwether_x_total", 3, { lane: "a" }),
      one("bellwether_x_total", 4, { lane: "b" }),
    ];
    const text = await measuresText(components, quiet);
    expect(text).toContain('bellwether_x_total{lane="a"} 5');
    expect(text).toContain('bellwether_x_total{lane="b"} 4');
    expect(text.match(/# TYPE bellwether_x_total counter/g)).toHaveLength(1);
  });

  test("a component that fails costs its own numbers only, and shows", async () => {
    const failing = { measures: () => Promise.reject(new Error("closed")) };
    const text = await measuresText([failing, one("bellwether_y_total", 1)], quiet);
    expect(text).toContain("bellwether_y_total 1");
    expect(text).toContain("bellwether_unmeasured 1");
  });
});
