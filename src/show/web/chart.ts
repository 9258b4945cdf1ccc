/** The chart of one series, drawn by uPlot: band, expectation, forecast, observed, verdicts, incidents, calendar. */
import uPlot from "uplot";
import type { Api } from "../console/api.ts";

export type ChartRow = {
  readonly atMs: number;
  readonly observed: number | null;
  readonly expected: number | null;
  readonly lower: number | null;
  readonly upper: number | null;
  readonly forecast: number | null;
  readonly level: Api["ShownLevel"];
};

export type ChartInput = {
  readonly rows: readonly ChartRow[];
  readonly marks: readonly Api["Mark"][];
  readonly calendar: Api["Calendar"];
  readonly fromMs: number;
  readonly toMs: number;
  readonly zone: string;
};

export type ChartEvents = {
  /** The row under the cursor; null when it has left. */
  readonly onPoint: (index: number | null) => void;
  readonly onPick: (index: number) => void;
  readonly onZoom: (fromMs: number, toMs: number) => void;
};

/**
 * Rows for the chart: where slots are absent for longer than they usually are, a row without values parts the line.
 */
export function chartRows(points: Api["Points"]): ChartRow[] {
  const gapMs = points.spacingMs * (points.slotsPerPoint === 1 ? 1.5 : 2 * points.slotsPerPoint);
  const rows: ChartRow[] = [];
  points.at.forEach((at, index) => {
    const atMs = Date.parse(at);
    const before = rows.at(-1);
    if (before !== undefined && atMs - before.atMs > gapMs) rows.push(gapRow(before.atMs + points.spacingMs));
    const cell = (column: readonly (number | null)[]) => column[index] ?? null;
    rows.push({
      atMs,
      observed: cell(points.observed),
      expected: cell(points.expected),
      lower: cell(points.lower),
      upper: cell(points.upper),
      forecast: cell(points.forecast),
      level: points.level[index] ?? "unknown",
    });
  });
  return rows;
}

function gapRow(atMs: number): ChartRow {
  return { atMs, observed: null, expected: null, lower: null, upper: null, forecast: null, level: "unknown" };
}

/** Position of what was observed among the columns. */
const observedColumn = 5;

export class Chart {
  readonly #element: HTMLElement;
  readonly #events: ChartEvents;
  readonly #resized: ResizeObserver;
  #input: ChartInput;
  #plot: uPlot;
  #picked: number | null = null;
  /** True while the cursor is set by the keyboard, so that uPlot's echo is not taken for the mouse. */
  #quiet = false;

  constructor(element: HTMLElement, input: ChartInput, events: ChartEvents) {
    this.#element = element;
    this.#input = input;
    this.#events = events;
    this.#plot = this.#draw();
    this.#resized = new ResizeObserver(() => this.#plot.setSize(this.#size()));
    this.#resized.observe(element);
  }

  update(input: ChartInput): void {
    const sameZone = input.zone === this.#input.zone;
    this.#input = input;
    if (sameZone) this.#plot.setData(dataOf(input));
    else this.repaint();
  }

  /** Marks the row that is explained. */
  pick(index: number | null): void {
    this.#picked = index;
    this.#plot.redraw(false, false);
  }

  /** Moves the cursor to a row, as the arrow keys do. */
  point(index: number): void {
    const row = this.#input.rows[index];
    if (row === undefined) return;
    const left = this.#plot.valToPos(row.atMs / 1_000, "x");
    const value = row.observed ?? row.expected;
    this.#quiet = true;
    this.#plot.setCursor({ left, top: value === null ? 0 : this.#plot.valToPos(value, "y") });
    this.#quiet = false;
  }

  /** Draws anew, with the colours that now hold. */
  repaint(): void {
    this.#plot.destroy();
    this.#plot = this.#draw();
  }

  destroy(): void {
    this.#resized.disconnect();
    this.#plot.destroy();
  }

  #size(): { width: number; height: number } {
    const width = Math.max(200, this.#element.clientWidth);
    return { width, height: Math.round(Math.min(420, Math.max(240, width * 0.45))) };
  }

  #draw(): uPlot {
    const colour = coloursOf(this.#element);
    const axis = { stroke: colour("--dim"), grid: { stroke: colour("--grid"), width: 1 }, ticks: { show: false } };
    const font = `12px ${getComputedStyle(this.#element).fontFamily}`;
    const line = { points: { show: false }, spanGaps: false };
    const options: uPlot.Options = {
      ...this.#size(),
      padding: [12, 8, 0, 0],
      legend: { show: false },
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1_000), this.#input.zone),
      scales: {
        x: { range: () => [this.#input.fromMs / 1_000, this.#input.toMs / 1_000] },
        y: { range: { min: { pad: 0.1, soft: 0, mode: 3 }, max: { pad: 0.1, soft: 1, mode: 3 } } },
      },
      axes: [
        { ...axis, font, values: timeLabels, space: 70 },
        { ...axis, font, size: 52 },
      ],
      cursor: {
        drag: { x: true, y: false, setScale: false },
        points: {
          size: (_plot, index) => (index === observedColumn ? 9 : 0),
          stroke: colour("--surface"),
          fill: colour("--text"),
        },
        y: false,
      },
      series: [
        {},
        { ...line, stroke: "transparent", width: 0 },
        { ...line, stroke: "transparent", width: 0 },
        { ...line, stroke: colour("--expected"), width: 1.5, dash: [6, 4] },
        { ...line, stroke: colour("--forecast"), width: 1.5, dash: [2, 3] },
        { ...line, stroke: colour("--observed"), width: 1.5 },
      ],
      bands: [{ series: [2, 1], fill: colour("--band") }],
      hooks: {
        drawClear: [
          (plot) => drawCalendar(plot, this.#input.calendar, colour),
          (plot) => drawMarks(plot, this.#input.marks, colour),
        ],
        draw: [(plot) => drawVerdicts(plot, this.#input.rows, this.#picked, colour)],
        setCursor: [(plot) => this.#moved(plot)],
        setSelect: [(plot) => this.#selected(plot)],
        ready: [(plot) => plot.over.addEventListener("click", () => this.#clicked(plot))],
      },
    };
    return new uPlot(options, dataOf(this.#input), this.#element);
  }

  #moved(plot: uPlot): void {
    if (!this.#quiet) this.#events.onPoint(plot.cursor.idx ?? null);
  }

  #clicked(plot: uPlot): void {
    if (plot.cursor.idx != null) this.#events.onPick(plot.cursor.idx);
  }

  #selected(plot: uPlot): void {
    const { left, width } = plot.select;
    if (width < 6) return;
    const fromMs = plot.posToVal(left, "x") * 1_000;
    const toMs = plot.posToVal(left + width, "x") * 1_000;
    plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    this.#events.onZoom(Math.round(fromMs), Math.round(toMs));
  }
}

function dataOf({ rows }: ChartInput): uPlot.AlignedData {
  const column = (name: Exclude<keyof ChartRow, "atMs" | "level">) => rows.map((row) => row[name]);
  return [
    rows.map(({ atMs }) => atMs / 1_000),
    column("lower"),
    column("upper"),
    column("expected"),
    column("forecast"),
    column("observed"),
  ];
}

/** Tick distance, label, and the second line where a day or a year begins. */
const timeLabels: uPlot.Axis.Values = [
  [86_400, "{D} {MMM}", "\n{YYYY}", null, null, null, null, null, 1],
  [60, "{HH}:{mm}", "\n{WWW} {D} {MMM}", null, "\n{WWW} {D} {MMM}", null, null, null, 1],
  [1, "{HH}:{mm}:{ss}", "\n{WWW} {D} {MMM}", null, "\n{WWW} {D} {MMM}", null, null, null, 1],
];

function coloursOf(element: HTMLElement): (name: string) => string {
  const style = getComputedStyle(element);
  return (name) => style.getPropertyValue(name).trim();
}

/** The part of the plot between two moments; `to` null: up to its end. Null: they are not in it. */
function spanOf({ bbox, valToPos }: uPlot, from: string, to: string | null): { left: number; width: number } | null {
  const position = (moment: string) => valToPos(Date.parse(moment) / 1_000, "x", true);
  const left = Math.max(bbox.left, position(from));
  const end = bbox.left + bbox.width;
  const width = (to === null ? end : Math.min(end, position(to))) - left;
  return width > 0 ? { left, width } : null;
}

/**
 * Weekends and holidays as quiet shades. At the foot a bar for what is named: of holidays, of worked weekends (dashed),
 * and above it of campaigns.
 */
function drawCalendar(plot: uPlot, { days, campaigns }: Api["Calendar"], colour: (name: string) => string): void {
  const { ctx, bbox } = plot;
  const unit = uPlot.pxRatio;
  const bar = ({ left, width }: { left: number; width: number }, above: number, name: string, dash: number[]) => {
    const y = bbox.top + bbox.height - (above + 1.5) * unit;
    ctx.strokeStyle = colour(name);
    ctx.setLineDash(dash);
    ctx.beginPath();
    ctx.moveTo(left, y);
    ctx.lineTo(left + width, y);
    ctx.stroke();
  };
  ctx.save();
  ctx.lineWidth = 3 * unit;
  for (const { type, from, to } of days ?? []) {
    const span = spanOf(plot, from, to);
    if (span === null) continue;
    ctx.fillStyle = colour("--raised");
    if (type !== "workday") ctx.fillRect(span.left, bbox.top, span.width, bbox.height);
    if (type !== "weekend") bar(span, 0, "--unjudged", type === "workday" ? [4 * unit, 3 * unit] : []);
  }
  for (const { from, to } of campaigns) {
    const span = spanOf(plot, from, to);
    if (span !== null) bar(span, 4, "--accent", []);
  }
  ctx.restore();
}

/** Incidents as shaded spans with a bar on top. */
function drawMarks(plot: uPlot, marks: readonly Api["Mark"][], colour: (name: string) => string): void {
  const { ctx, bbox } = plot;
  ctx.save();
  for (const mark of marks) {
    const span = spanOf(plot, mark.from, mark.to);
    if (span === null) continue;
    ctx.fillStyle = colour(`--${mark.severity}-wash`);
    ctx.fillRect(span.left, bbox.top, span.width, bbox.height);
    ctx.fillStyle = colour(`--${mark.severity}`);
    ctx.fillRect(span.left, bbox.top, span.width, 3 * uPlot.pxRatio);
  }
  ctx.restore();
}

/** Bad points as shapes (diamond: critical, triangle: warning), unknown ones as ticks at the foot, the picked one ringed. */
function drawVerdicts(plot: uPlot, rows: readonly ChartRow[], picked: number | null, colour: (name: string) => string) {
  const { ctx, bbox } = plot;
  const unit = uPlot.pxRatio;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top - 6 * unit, bbox.width, bbox.height + 12 * unit);
  ctx.clip();
  rows.forEach((row, index) => {
    const isPicked = index === picked;
    if (!isPicked && (row.level === "normal" || row.level === "unjudged")) return;
    const x = plot.valToPos(row.atMs / 1_000, "x", true);
    const value = row.observed ?? row.expected;
    const y = value === null ? bbox.top + bbox.height : plot.valToPos(value, "y", true);
    ctx.fillStyle = colour(`--${row.level}`);
    if (row.level === "unknown") ctx.fillRect(x - unit, bbox.top + bbox.height - 5 * unit, 2 * unit, 5 * unit);
    if (row.level === "critical")
      shape(
        ctx,
        x,
        y,
        [
          [0, -6],
          [6, 0],
          [0, 6],
          [-6, 0],
        ],
        unit,
      );
    if (row.level === "warning")
      shape(
        ctx,
        x,
        y,
        [
          [0, -6],
          [6, 5],
          [-6, 5],
        ],
        unit,
      );
    if (isPicked) ring(ctx, x, y, unit, colour("--text"));
  });
  ctx.restore();
}

function shape(ctx: CanvasRenderingContext2D, x: number, y: number, corners: [number, number][], unit: number): void {
  ctx.beginPath();
  for (const [dx, dy] of corners) ctx.lineTo(x + dx * unit, y + dy * unit);
  ctx.closePath();
  ctx.fill();
}

function ring(ctx: CanvasRenderingContext2D, x: number, y: number, unit: number, stroke: string): void {
  ctx.beginPath();
  ctx.arc(x, y, 9 * unit, 0, 2 * Math.PI);
  ctx.lineWidth = 2 * unit;
  ctx.strokeStyle = stroke;
  ctx.stroke();
}
