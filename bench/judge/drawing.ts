/** Two panels over one axis of time as an SVG: values above, evidence or level below. Light and dark by the reader's wish. */
import { dayMs, hourMs, minuteMs } from "../../src/core/time.ts";
import { niceTicks } from "../../src/notify/chart.ts";

/** What is drawn at one moment; null where there is no number. */
export type Mark = {
  readonly timeMs: number;
  readonly observed: number | null;
  readonly expected: number | null;
  readonly lower: number | null;
  readonly upper: number | null;
  /** The trimmed seven-day baseline. */
  readonly baseline: number | null;
  /** Of the lower panel. */
  readonly below: number | null;
};

type Stretch = { readonly fromMs: number; readonly toMs: number };

export type Drawing = {
  readonly title: string;
  /** Unit of the values, and what the lower panel shows. */
  readonly unit: string;
  readonly belowName: string;
  /** A line across the lower panel, and its name. */
  readonly line: { readonly at: number; readonly name: string };
  /** Lower end of the lower panel's axis, and the least its upper end may be. */
  readonly belowRange: readonly [number, number];
  /** Whether the baseline is drawn. */
  readonly withBaseline: boolean;
  readonly stepMs: number;
  readonly marks: readonly Mark[];
  /** Incidents: from where they began to where they ended, and where they were noticed. */
  readonly incidents: readonly (Stretch & { readonly noticedMs: number })[];
};

const width = 760;
const height = 390;
const left = 56;
const right = width - 12;
const above: Panel = { top: 52, bottom: 252 };
const under: Panel = { top: 286, bottom: height - 26 };

type Panel = { readonly top: number; readonly bottom: number };
type Key = "observed" | "expected" | "lower" | "upper" | "baseline" | "below";

/** One decimal of a pixel is enough, and keeps files small. */
function px(value: number): string {
  return String(Math.round(value * 10) / 10);
}

export function svgOf(drawing: Drawing): string {
  const { marks, stepMs, incidents } = drawing;
  const firstMs = marks[0]?.timeMs ?? 0;
  const spanMs = (marks.at(-1)?.timeMs ?? 0) + stepMs - firstMs;
  const x = (timeMs: number): number => left + ((timeMs - firstMs) / spanMs) * (right - left);
  const keys: Key[] = [
    "observed",
    "expected",
    "lower",
    "upper",
    ...(drawing.withBaseline ? ["baseline" as const] : []),
  ];
  // A band may reach below zero where values cannot: that part of it is cut.
  const lowest = Math.min(0, ...marks.flatMap(({ observed }) => observed ?? []));
  const values = marks.flatMap((mark) => keys.flatMap((key) => mark[key] ?? []));
  const high = scale(above, niceTicks(lowest, Math.max(...values)));
  const [least, most] = drawing.belowRange;
  const low = scale(under, niceTicks(least, Math.max(most, ...marks.map(({ below }) => below ?? most))));
  const line = (key: Key, { y }: Scale, name: string): string =>
    runs(marks, stepMs, key)
      .map((run) => run.map((mark) => `${px(x(mark.timeMs + stepMs / 2))},${px(y(mark[key] as number))}`))
      .map(
        (points) =>
          `<polyline class="${name}" points="${(points.length > 1 ? points : [...points, ...points]).join(" ")}"/>`,
      )
      .join("");
  const band = runs(marks, stepMs, "lower", "upper").map((run) => {
    const edge = (key: "lower" | "upper") =>
      run.map((mark) => `${px(x(mark.timeMs + stepMs / 2))},${px(high.y(Math.max(lowest, mark[key] as number)))}`);
    return `<polygon class="band" points="${[...edge("upper"), ...edge("lower").reverse()].join(" ")}"/>`;
  });
  const shades = incidents.flatMap(({ fromMs, toMs, noticedMs }) => [
    ...[above, under].map(({ top, bottom }) => {
      return `<rect class="shade" x="${px(x(fromMs))}" y="${top}" width="${px(x(toMs) - x(fromMs))}" height="${bottom - top}"/>`;
    }),
    `<line class="noticed" x1="${px(x(noticedMs))}" x2="${px(x(noticedMs))}" y1="${above.top}" y2="${under.bottom}"/>`,
  ]);
  const { at, name } = drawing.line;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${drawing.title}">`,
    `<title>${drawing.title}</title><style>${style}</style><rect class="paper" width="${width}" height="${height}"/>`,
    `<text class="title" x="12" y="18">${drawing.title}</text>`,
    legend(drawing.withBaseline, incidents.length > 0),
    ...shades,
    axis(high),
    ...band,
    drawing.withBaseline ? line("baseline", high, "baseline") : "",
    line("expected", high, "expected"),
    line("observed", high, "observed"),
    text(right, above.bottom + 14, "end", drawing.unit),
    text(12, under.top - 10, "start", drawing.belowName),
    axis(low),
    `<line class="needed" x1="${left}" x2="${right}" y1="${px(low.y(at))}" y2="${px(low.y(at))}"/>`,
    text(right, low.y(at) - 4, "end", name),
    line("below", low, "observed"),
    times(firstMs, firstMs + spanMs, x),
    "</svg>\n",
  ].join("\n");
}

type Scale = { readonly y: (value: number) => number; readonly ticks: readonly number[] };

function scale({ top, bottom }: Panel, ticks: readonly number[]): Scale {
  const [low, high] = [ticks[0] as number, ticks.at(-1) as number];
  return { ticks, y: (value) => bottom - ((value - low) / (high - low)) * (bottom - top) };
}

function axis({ y, ticks }: Scale): string {
  return ticks
    .map((tick) => {
      const at = px(y(tick));
      return `<line class="grid" x1="${left}" x2="${right}" y1="${at}" y2="${at}"/>${text(left - 7, y(tick) + 3.5, "end", String(tick))}`;
    })
    .join("");
}

const stepsMs = [15 * minuteMs, 30 * minuteMs, hourMs, 2 * hourMs, 3 * hourMs, 6 * hourMs, 12 * hourMs, dayMs];

/** The hour in UTC, and the day where one begins. */
function times(fromMs: number, toMs: number, x: (timeMs: number) => number): string {
  const stepMs = stepsMs.find((each) => (toMs - fromMs) / each <= 10) ?? dayMs;
  const found: string[] = [];
  for (let timeMs = Math.ceil(fromMs / stepMs) * stepMs; timeMs < toMs; timeMs += stepMs) {
    const iso = new Date(timeMs).toISOString();
    const day = timeMs % dayMs === 0 ? new Date(timeMs).toUTCString().slice(0, 7).replace(",", "") : null;
    const at = px(x(timeMs));
    found.push(`<line class="grid" x1="${at}" x2="${at}" y1="${under.bottom}" y2="${under.bottom + 4}"/>`);
    found.push(text(x(timeMs), under.bottom + 17, "middle", day ?? iso.slice(11, 16)));
  }
  return found.join("");
}

function text(x: number, y: number, anchor: "start" | "middle" | "end", words: string): string {
  return `<text x="${px(x)}" y="${px(y)}" text-anchor="${anchor}">${words}</text>`;
}

function legend(withBaseline: boolean, withIncidents: boolean): string {
  const y = 36;
  const stroke = (x: number, name: string): string =>
    `<line class="${name}" x1="${x}" x2="${x + 18}" y1="${y - 4}" y2="${y - 4}"/>`;
  const box = (x: number, name: string): string =>
    `<rect class="${name}" x="${x}" y="${y - 9}" width="18" height="10"/>`;
  const parts = [stroke(12, "observed"), text(35, y, "start", "observed"), stroke(100, "expected")];
  parts.push(text(123, y, "start", "expected"), box(190, "band"), text(213, y, "start", "normal for one slot"));
  let x = 335;
  if (withIncidents) {
    parts.push(box(x, "shade"), text(x + 23, y, "start", "incident"), stroke(x + 85, "noticed"));
    parts.push(text(x + 108, y, "start", "noticed"));
    x += 170;
  }
  if (withBaseline) parts.push(stroke(x, "baseline"), text(x + 23, y, "start", "seven-day trimmed baseline"));
  return parts.join("");
}

/** Stretches without a gap of marks that have what is drawn. */
function runs(marks: readonly Mark[], stepMs: number, ...keys: readonly Key[]): Mark[][] {
  const found: Mark[][] = [];
  let before: Mark | undefined;
  for (const mark of marks) {
    if (keys.some((key) => mark[key] === null)) {
      before = undefined;
      continue;
    }
    if (before === undefined || mark.timeMs - before.timeMs > stepMs * 1.5) found.push([]);
    found.at(-1)?.push(mark);
    before = mark;
  }
  return found;
}

const style = `
svg{--paper:#fff;--ink:#1f2328;--text:#57606a;--grid:#e4e8ec;--band:#dbe9fb;--expected:#2f6fbf;--baseline:#b26a00;--bad:#cf222e}
@media (prefers-color-scheme:dark){svg{--paper:#0d1117;--ink:#e6edf3;--text:#9ba4ae;--grid:#2a3038;--band:#17304f;--expected:#6cb0ff;--baseline:#e3a23c;--bad:#ff7b72}}
text{font:10.5px system-ui,sans-serif;fill:var(--text)}
.title{font-size:13px;font-weight:600;fill:var(--ink)}
.paper{fill:var(--paper)}
.grid{stroke:var(--grid)}
.band{fill:var(--band)}
.shade{fill:var(--bad);fill-opacity:.16}
.noticed{stroke:var(--bad);stroke-width:1.4}
polyline,line{fill:none}
.observed{stroke:var(--ink);stroke-width:1.3;stroke-linejoin:round}
.expected{stroke:var(--expected);stroke-width:1.5;stroke-dasharray:5 3}
.baseline{stroke:var(--baseline);stroke-width:1.4;stroke-dasharray:2 3}
.needed{stroke:var(--bad);stroke-dasharray:4 3}
`;
