import { inflateSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { type Chart, type ChartPoint, chartSvg, drawChart, niceTicks } from "../../../src/notify/chart.ts";

const startMs = Date.parse("2026-11-20T09:30:00Z");

function point(slot: number, fields: Partial<ChartPoint> = {}): ChartPoint {
  const timeMs = startMs + slot * 60_000;
  return { timeMs, observed: 20, expected: 21, lower: 12, upper: 30, forecast: null, level: "normal", ...fields };
}

const chart = (points: ChartPoint[], title = "orders"): Chart => ({ title, zone: "UTC", stepMs: 60_000, points });
const count = (svg: string, pattern: RegExp): number => (svg.match(pattern) ?? []).length;

/** Width, height and the colours of a PNG of 8-bit RGBA, each with how many pixels have it. */
function readPng(png: Uint8Array): { width: number; height: number; colours: Map<string, number> } {
  const bytes = Buffer.from(png);
  const [width, height] = [bytes.readUInt32BE(16), bytes.readUInt32BE(20)];
  expect([...bytes.subarray(24, 26)]).toEqual([8, 6]);
  const data: Buffer[] = [];
  for (let at = 8; at < bytes.length; at += 12 + bytes.readUInt32BE(at)) {
    if (bytes.toString("latin1", at + 4, at + 8) === "IDAT")
      data.push(bytes.subarray(at + 8, at + 8 + bytes.readUInt32BE(at)));
  }
  const raw = inflateSync(Buffer.concat(data));
  const stride = width * 4;
  const above = Buffer.alloc(stride);
  const colours = new Map<string, number>();
  for (let row = 0; row < height; row += 1) {
    const filter = raw[row * (stride + 1)] as number;
    const line = raw.subarray(row * (stride + 1) + 1, (row + 1) * (stride + 1));
    for (let x = 0; x < stride; x += 1) {
      const [left, up, corner] = [x < 4 ? 0 : line[x - 4]!, above[x]!, x < 4 ? 0 : above[x - 4]!];
      line[x] = (line[x]! + predict(filter, left, up, corner)) & 255;
    }
    for (let x = 0; x < stride; x += 4) {
      const colour = `#${line.toString("hex", x, x + 3)}`;
      colours.set(colour, (colours.get(colour) ?? 0) + 1);
    }
    line.copy(above);
  }
  return { width, height, colours };
}

/** PNG specification, 9.2. */
function predict(filter: number, left: number, up: number, corner: number): number {
  if (filter === 0) return 0;
  if (filter === 1) return left;
  if (filter === 2) return up;
  if (filter === 3) return (left + up) >> 1;
  const estimate = left + up - corner;
  const [a, b, c] = [Math.abs(estimate - left), Math.abs(estimate - up), Math.abs(estimate - corner)];
  return a <= b && a <= c ? left : b <= c ? up : corner;
}

test("draws a PNG of twice 600 x 230 with actual, band, expectation, forecast and marked points", async () => {
  const points = Array.from({ length: 60 }, (_, slot) =>
    point(slot, slot > 50 ? { observed: 2, level: slot > 53 ? "critical" : "warning", forecast: 8 } : { forecast: 20 }),
  );
  const { width, height, colours } = readPng(await drawChart(chart(points)));
  expect([width, height]).toEqual([1200, 460]);
  const pixels = (colour: string): number => colours.get(colour) ?? 0;
  expect(pixels("#dbe9fb")).toBeGreaterThan(50_000);
  expect(pixels("#24292f")).toBeGreaterThan(1_000);
  expect(pixels("#5b8bd0")).toBeGreaterThan(300);
  expect(pixels("#8250df")).toBeGreaterThan(100);
  expect(pixels("#cf222e")).toBeGreaterThan(6 * 60);
  expect(pixels("#d98e04")).toBeGreaterThan(3 * 60);
  // The letters: without a font there would be none.
  expect(pixels("#57606a")).toBeGreaterThan(500);
});

test("gaps stay gaps: a slot without a value or a missing slot ends the line", () => {
  const whole = chartSvg(chart([0, 1, 2, 3, 4].map((slot) => point(slot))));
  const gap = chartSvg(chart([point(0), point(1), point(2, { observed: null }), point(3), point(4)]));
  const hole = chartSvg(chart([point(0), point(1), point(4), point(5)]));
  const actual = /<polyline points="[^"]*" fill="none" stroke-linecap="round" stroke="#24292f"/g;
  expect([whole, gap, hole].map((svg) => count(svg, actual))).toEqual([1, 2, 2]);
});

test("one point alone is still seen", async () => {
  const { colours } = readPng(await drawChart(chart([point(0, { expected: null, lower: null, upper: null })])));
  const empty = readPng(await drawChart(chart([point(0, { observed: null })])));
  expect(colours.get("#24292f") ?? 0).toBeGreaterThan(empty.colours.get("#24292f") ?? 0);
});

test("what data says is text (S12)", () => {
  const svg = chartSvg(chart([point(0)], '</text><script>alert(1)</script>"'));
  expect(svg).not.toContain("<script");
  expect(svg).toContain("&lt;script&gt;");
});

test("nothing to draw is said, not drawn", async () => {
  await expect(drawChart(chart([]))).rejects.toThrow("nothing to draw");
  const empty = point(0, { observed: null, expected: null, lower: null, upper: null });
  await expect(drawChart(chart([empty]))).rejects.toThrow("nothing to draw");
});

describe("ticks are round and hold all values", () => {
  test.each([
    [0, 33, [0, 10, 20, 30, 40]],
    [0, 1, [0, 0.5, 1]],
    [-12, 30, [-20, 0, 20, 40]],
    [0, 0, [0, 0.5, 1]],
    [0, 123_456, [0, 50_000, 100_000, 150_000]],
    [5, 5, [4, 6, 8, 10]],
  ])("%d to %d", (low, high, ticks) => expect(niceTicks(low, high)).toEqual(ticks));
});
