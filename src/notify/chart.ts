/** The small chart in a message: drawn as SVG and made a PNG without a browser. */
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { initWasm, Resvg } from "@resvg/resvg-wasm";
import type { Level } from "../core/model.ts";
import { escapeHtml } from "./html.ts";
import { clockText, numberText } from "./words.ts";

/** One slot as it was judged; null where there is no number. */
export type ChartPoint = {
  readonly timeMs: number;
  readonly observed: number | null;
  readonly expected: number | null;
  readonly lower: number | null;
  readonly upper: number | null;
  readonly forecast: number | null;
  readonly level: Level;
};

export type Chart = {
  readonly title: string;
  readonly zone: string;
  readonly stepMs: number;
  /** Ascending in time. */
  readonly points: readonly ChartPoint[];
};

const width = 600;
const height = 230;
const plot = { left: 52, right: width - 14, top: 44, bottom: height - 26 };
/** Pixels of the PNG for one of the drawing: sharp on screens of double density. */
const zoom = 2;

/** The PNG; about 60 kB. Drawing takes about 50 ms. @throws if there is no point with a number */
export async function drawChart(chart: Chart): Promise<Uint8Array> {
  const svg = chartSvg(chart);
  const fontBuffers = await openRenderer();
  const image = new Resvg(svg, {
    fitTo: { mode: "zoom", value: zoom },
    font: { fontBuffers, defaultFontFamily: "DejaVu Sans" },
  });
  try {
    const rendered = image.render();
    try {
      return rendered.asPng();
    } finally {
      rendered.free();
    }
  } finally {
    image.free();
  }
}

/** The renderer is a WebAssembly module that can be started once in a process; its fonts are read then, too. */
let renderer: Promise<Uint8Array[]> | undefined;

function openRenderer(): Promise<Uint8Array[]> {
  renderer ??= startRenderer();
  return renderer;
}

async function startRenderer(): Promise<Uint8Array[]> {
  const { resolve } = createRequire(import.meta.url);
  await initWasm(await readFile(resolve("@resvg/resvg-wasm/index_bg.wasm")));
  const fonts = ["DejaVuSans.ttf", "DejaVuSans-Bold.ttf"];
  return Promise.all(fonts.map((font) => readFile(resolve(`dejavu-fonts-ttf/ttf/${font}`))));
}

/** Actual as a line, band as an area, expectation dashed, forecast dotted, bad points marked. */
export function chartSvg(chart: Chart): string {
  const { points, stepMs, zone } = chart;
  const numbers = points.flatMap(({ observed, expected, lower, upper, forecast }) =>
    [observed, expected, lower, upper, forecast].filter((value) => value !== null),
  );
  const [first, last] = [points[0], points.at(-1)];
  if (first === undefined || last === undefined || numbers.length === 0) throw new Error("nothing to draw");
  const ticks = niceTicks(Math.min(0, ...numbers), Math.max(...numbers));
  const [low, high] = [ticks[0] as number, ticks.at(-1) as number];
  const spanMs = Math.max(last.timeMs - first.timeMs, stepMs);
  const x = (timeMs: number): number => plot.left + ((timeMs - first.timeMs) / spanMs) * (plot.right - plot.left);
  const y = (value: number): number => plot.bottom - ((value - low) / (high - low)) * (plot.bottom - plot.top);
  const at = (timeMs: number, value: number): string => `${x(timeMs).toFixed(1)},${y(value).toFixed(1)}`;
  const line = (key: "observed" | "expected" | "forecast", style: string): string =>
    runs(points, stepMs, (point) => point[key] !== null)
      .map((run) => run.map((point) => at(point.timeMs, point[key] as number)))
      // A line of one point would not be seen: it is drawn to itself, with round ends.
      .map((path) => (path.length === 1 ? [...path, ...path] : path))
      .map((path) => `<polyline points="${path.join(" ")}" fill="none" stroke-linecap="round" ${style}/>`)
      .join("");
  const bands = runs(points, stepMs, ({ lower, upper }) => lower !== null && upper !== null).map((run) => {
    const above = run.map((point) => at(point.timeMs, point.upper as number));
    const below = run.map((point) => at(point.timeMs, point.lower as number)).reverse();
    return `<polygon points="${[...above, ...below].join(" ")}" fill="${palette.band}"/>`;
  });
  const marks = points.flatMap(({ timeMs, observed, level }) =>
    observed === null || (level !== "warning" && level !== "critical")
      ? []
      : [`<circle cx="${x(timeMs).toFixed(1)}" cy="${y(observed).toFixed(1)}" r="3.2" fill="${palette[level]}"/>`],
  );
  const grid = ticks.map(
    (tick) =>
      `<line x1="${plot.left}" x2="${plot.right}" y1="${y(tick).toFixed(1)}" y2="${y(tick).toFixed(1)}" ` +
      `stroke="${palette.grid}"/>${label(plot.left - 8, y(tick) + 3.5, "end", axisText(tick))}`,
  );
  const times = timeTicks(first.timeMs, first.timeMs + spanMs).map(
    (timeMs) =>
      `<line x1="${x(timeMs).toFixed(1)}" x2="${x(timeMs).toFixed(1)}" y1="${plot.bottom}" y2="${plot.bottom + 4}" ` +
      `stroke="${palette.axis}"/>${label(x(timeMs), plot.bottom + 17, "middle", clockText(timeMs, zone))}`,
  );
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" `,
    `font-family="DejaVu Sans" font-size="10.5"><rect width="100%" height="100%" fill="#ffffff"/>`,
    `<text x="12" y="18" font-size="12.5" font-weight="bold" fill="${palette.ink}">`,
    `${escapeHtml(cut(chart.title))}</text>`,
    legend(),
    ...grid,
    ...bands,
    line("expected", `stroke="${palette.expected}" stroke-width="1.4" stroke-dasharray="5 3"`),
    line("forecast", `stroke="${palette.forecast}" stroke-width="1.4" stroke-dasharray="1.5 2.5"`),
    line("observed", `stroke="${palette.actual}" stroke-width="1.8" stroke-linejoin="round"`),
    ...marks,
    ...times,
    `<line x1="${plot.left}" x2="${plot.right}" y1="${plot.bottom}" y2="${plot.bottom}" stroke="${palette.axis}"/>`,
    "</svg>",
  ].join("");
}

const palette = {
  ink: "#1f2328",
  text: "#57606a",
  grid: "#eaeef2",
  axis: "#8c959f",
  band: "#dbe9fb",
  expected: "#5b8bd0",
  forecast: "#8250df",
  actual: "#24292f",
  warning: "#d98e04",
  critical: "#cf222e",
};

function label(atX: number, atY: number, anchor: "end" | "middle" | "start", text: string): string {
  const place = `x="${atX.toFixed(1)}" y="${atY.toFixed(1)}" text-anchor="${anchor}"`;
  return `<text ${place} fill="${palette.text}">${escapeHtml(text)}</text>`;
}

/** `20`, `15K`, `1.2M`: what fits beside the axis. */
function axisText(value: number): string {
  return Math.abs(value) < 10_000
    ? numberText(value)
    : new Intl.NumberFormat("en", { notation: "compact" }).format(value);
}

function legend(): string {
  const y = 34;
  const stroke = (x: number, style: string): string =>
    `<line x1="${x}" x2="${x + 18}" y1="${y - 4}" y2="${y - 4}" ${style}/>`;
  return [
    stroke(12, `stroke="${palette.actual}" stroke-width="1.8"`),
    label(35, y, "start", "actual"),
    `<rect x="86" y="${y - 9}" width="18" height="10" fill="${palette.band}"/>`,
    label(109, y, "start", "normal range"),
    stroke(200, `stroke="${palette.expected}" stroke-width="1.4" stroke-dasharray="5 3"`),
    label(223, y, "start", "expected"),
    stroke(290, `stroke="${palette.forecast}" stroke-width="1.4" stroke-dasharray="1.5 2.5"`),
    label(313, y, "start", "forecast"),
    `<circle cx="378" cy="${y - 4}" r="3.2" fill="${palette.warning}"/>`,
    label(386, y, "start", "warning"),
    `<circle cx="446" cy="${y - 4}" r="3.2" fill="${palette.critical}"/>`,
    label(454, y, "start", "critical"),
  ].join("");
}

/** Stretches without a gap of points that have what is drawn. */
function runs(points: readonly ChartPoint[], stepMs: number, has: (point: ChartPoint) => boolean): ChartPoint[][] {
  const found: ChartPoint[][] = [];
  let before: ChartPoint | undefined;
  for (const point of points) {
    if (!has(point)) {
      before = undefined;
      continue;
    }
    if (before === undefined || point.timeMs - before.timeMs > stepMs * 1.5) found.push([]);
    found.at(-1)?.push(point);
    before = point;
  }
  return found;
}

/** Three to six round numbers (1, 2 or 5 times a power of ten apart) from at most `low` to at least `high`. */
export function niceTicks(low: number, high: number): number[] {
  const span = high > low ? high - low : Math.max(Math.abs(high), 1);
  const raw = span / 4;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * ([1, 2, 5, 10].find((factor) => factor * power >= raw) as number);
  const from = Math.floor(low / step);
  const count = Math.ceil((low + span) / step - 1e-9) - from;
  return Array.from({ length: count + 1 }, (_, index) => Number(((from + index) * step).toPrecision(12)));
}

const stepsMs = [1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440].map((minutes) => minutes * 60_000);

/** Round times, at most eight. Aligned in UTC: in zones whole hours away from it they are round there, too. */
function timeTicks(fromMs: number, untilMs: number): number[] {
  const stepMs = stepsMs.find((each) => (untilMs - fromMs) / each <= 7) ?? Math.ceil((untilMs - fromMs) / 7);
  const firstMs = Math.ceil(fromMs / stepMs) * stepMs;
  return Array.from({ length: Math.floor((untilMs - firstMs) / stepMs) + 1 }, (_, index) => firstMs + index * stepMs);
}

function cut(text: string): string {
  const letters = [...text];
  return letters.length <= 75 ? text : `${letters.slice(0, 74).join("")}…`;
}
