import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { hourMs, minuteMs } from "../../../core/time.ts";
import type { Api } from "../../console/api.ts";
import { CalendarLegend, momentText } from "../calendar.tsx";
import { Chart, type ChartEvents, type ChartInput, type ChartRow, chartRows } from "../chart.ts";
import { usePolled } from "../client.ts";
import { ExplainPanel } from "../explain.tsx";
import { deviation, none, number, wall } from "../format.ts";
import { useNowMs } from "../health.ts";
import { Answer, Empty, LevelMark, SeriesName, StaleNote } from "../parts.tsx";
import { go, Link } from "../router.tsx";
import { onThemeChange } from "../theme.ts";

const ranges: Readonly<Record<string, number>> = {
  "1h": hourMs,
  "6h": 6 * hourMs,
  "24h": 24 * hourMs,
  "7d": 168 * hourMs,
};
/** Nobody needs to zoom in further. */
const windowMsMin = 5 * minuteMs;

/** One series. The window stands in the address: `range=6h` moves with time, `from` and `to` stand still. */
export function SeriesPage({ query }: { query: URLSearchParams }) {
  const series = query.get("s");
  const from = query.get("from");
  const to = query.get("to");
  const range = query.get("range") ?? "6h";
  const asked = new URLSearchParams({ series: series ?? "", from: from ?? `now-${range}`, to: to ?? "now" });
  const polled = usePolled<Api["Points"]>(
    series === null ? null : `/series/points?${asked}`,
    from === null ? 5_000 : 15_000,
  );
  if (series === null) return <Empty title="No series chosen">The overview shows all of them.</Empty>;
  const show = (window: Record<string, string>) => go(`/series?${new URLSearchParams({ s: series, ...window })}`, true);
  return (
    <>
      <p class="crumbs">
        <Link href="/">Overview</Link>
      </p>
      <Answer polled={polled}>
        {(points) => (
          <>
            <Title points={points} />
            {points.stale && <StaleNote />}
            <Ranges chosen={from === null ? range : null} show={show} />
            <Body points={points} show={show} />
          </>
        )}
      </Answer>
    </>
  );
}

function Title({ points }: { points: Api["Points"] }) {
  return (
    <div class="title-row">
      <h1>
        <SeriesName item={points} />
      </h1>
      <p class="dim">
        {points.title} · <code>{points.series}</code>
      </p>
    </div>
  );
}

function Ranges({ chosen, show }: { chosen: string | null; show: (window: Record<string, string>) => void }) {
  return (
    <fieldset class="toggles ranges">
      <legend class="unseen">Window</legend>
      {Object.keys(ranges).map((range) => (
        <button key={range} type="button" aria-pressed={range === chosen} onClick={() => show({ range })}>
          {range}
        </button>
      ))}
      {chosen === null && (
        <button type="button" class="reset" onClick={() => show({})}>
          Reset zoom
        </button>
      )}
    </fieldset>
  );
}

type BodyProps = { points: Api["Points"]; show: (window: Record<string, string>) => void };

function Body({ points, show }: BodyProps) {
  const rows = useMemo(() => chartRows(points), [points]);
  // A moment, not a position: new points shift positions.
  const [focusMs, setFocusMs] = useState<number | null>(null);
  const [pickedMs, setPickedMs] = useState<number | null>(null);
  const input: ChartInput = useMemo(
    () => ({
      rows,
      marks: points.marks,
      calendar: points.calendar,
      fromMs: Date.parse(points.from),
      toMs: Date.parse(points.to),
      zone: points.zone,
    }),
    [rows, points],
  );
  if (rows.length === 0) return <Empty title="No points in this window">Choose a longer one.</Empty>;
  const last = rows.at(-1) as ChartRow;
  const shown = rows.find(({ atMs }) => atMs === focusMs) ?? rows.find(({ atMs }) => atMs === pickedMs) ?? last;
  const zoom = (fromMs: number, toMs: number) => {
    const middleMs = (fromMs + toMs) / 2;
    const halfMs = Math.max(windowMsMin, toMs - fromMs) / 2;
    const text = (timeMs: number) => new Date(timeMs).toISOString();
    show({ from: text(middleMs - halfMs), to: text(middleMs + halfMs) });
  };
  return (
    <div class="series">
      <section class="card chart-card">
        <PointFacts row={shown} points={points} />
        <ChartView
          input={input}
          picked={pickedMs}
          onFocus={(row) => setFocusMs(row?.atMs ?? null)}
          onPick={(row) => setPickedMs(row.atMs)}
          zoom={zoom}
          reset={() => show({})}
        />
        <Legend points={points} />
        <CalendarLegend calendar={points.calendar} zone={points.zone} />
      </section>
      {points.judged ? (
        <ExplainPanel
          series={points.series}
          zone={points.zone}
          atMs={pickedMs ?? last.atMs}
          latest={pickedMs === null}
        />
      ) : (
        <Empty title="Stored only">The definition does not judge this field.</Empty>
      )}
    </div>
  );
}

/** The facts of one point, as text; spoken when the arrow keys move the cursor. */
function PointFacts({ row, points: { zone, calendar } }: { row: ChartRow; points: Api["Points"] }) {
  const day = momentText(calendar, row.atMs);
  const band = row.lower === null || row.upper === null ? none : `${number(row.lower)} to ${number(row.upper)}`;
  return (
    <dl class="point" aria-live="polite">
      <div class="point-when">
        <dt>{zone}</dt>
        <dd>{wall(row.atMs, zone)}</dd>
      </div>
      <div>
        <dt>Observed</dt>
        <dd>
          {number(row.observed)} <small>{deviation(row.observed, row.expected)}</small>
        </dd>
      </div>
      <div>
        <dt>Expected</dt>
        <dd>{number(row.expected)}</dd>
      </div>
      <div>
        <dt>Band</dt>
        <dd>{band}</dd>
      </div>
      <div>
        <dt>Forecast</dt>
        <dd>{number(row.forecast)}</dd>
      </div>
      <div>
        <dt>Verdict</dt>
        <dd>
          <LevelMark level={row.level} label />
        </dd>
      </div>
      {day !== null && (
        <div class="point-day">
          <dt>Day</dt>
          <dd>{day}</dd>
        </div>
      )}
    </dl>
  );
}

type ChartViewProps = {
  input: ChartInput;
  picked: number | null;
  onFocus: (row: ChartRow | null) => void;
  onPick: (row: ChartRow) => void;
  zoom: (fromMs: number, toMs: number) => void;
  reset: () => void;
};

function ChartView(props: ChartViewProps) {
  const element = useRef<HTMLDivElement>(null);
  const chart = useRef<Chart | null>(null);
  const cursor = useRef<number | null>(null);
  const latest = useRef(props);
  latest.current = props;
  const { rows } = props.input;

  useEffect(() => {
    const row = (index: number | null) => (index === null ? null : (latest.current.input.rows[index] ?? null));
    const events: ChartEvents = {
      onPoint: (index) => {
        cursor.current = index;
        latest.current.onFocus(row(index));
      },
      onPick: (index) => {
        const found = row(index);
        if (found !== null) latest.current.onPick(found);
      },
      onZoom: (fromMs, toMs) => latest.current.zoom(fromMs, toMs),
    };
    const drawn = new Chart(element.current as HTMLElement, latest.current.input, events);
    chart.current = drawn;
    const stop = onThemeChange(() => drawn.repaint());
    return () => {
      stop();
      drawn.destroy();
    };
  }, []);
  useEffect(() => chart.current?.update(props.input), [props.input]);
  useEffect(() => {
    const index = rows.findIndex(({ atMs }) => atMs === props.picked);
    chart.current?.pick(index === -1 ? null : index);
  }, [rows, props.picked]);

  const keys = (event: KeyboardEvent) => {
    const at = cursor.current ?? rows.length - 1;
    const step = event.shiftKey ? 10 : 1;
    const moves: Record<string, () => void> = {
      ArrowLeft: () => moveTo(at - step),
      ArrowRight: () => moveTo(at + step),
      Home: () => moveTo(0),
      End: () => moveTo(rows.length - 1),
      Enter: () => props.onPick(rows[at] as ChartRow),
      "+": () => around(at, 0.5),
      "-": () => around(at, 2),
      "0": props.reset,
      Escape: props.reset,
    };
    const move = event.ctrlKey || event.metaKey || event.altKey ? undefined : moves[event.key];
    if (move === undefined) return;
    event.preventDefault();
    move();
  };
  const moveTo = (index: number) => {
    const bounded = Math.min(rows.length - 1, Math.max(0, index));
    cursor.current = bounded;
    chart.current?.point(bounded);
    props.onFocus(rows[bounded] as ChartRow);
  };
  /** Zooms by a factor, with the cursor in the middle. */
  const around = (index: number, factor: number) => {
    const middleMs = (rows[index] as ChartRow).atMs;
    const halfMs = ((props.input.toMs - props.input.fromMs) * factor) / 2;
    props.zoom(middleMs - halfMs, middleMs + halfMs);
  };
  return (
    <div
      ref={element}
      class="chart"
      role="application"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: the arrow keys move the cursor
      tabIndex={0}
      aria-label="Chart. Arrow keys move the cursor, Enter explains the point, plus and minus zoom, zero resets."
      onKeyDown={keys}
      onMouseLeave={() => props.onFocus(null)}
    />
  );
}

function Legend({ points }: { points: Api["Points"] }) {
  const nowMs = useNowMs();
  return (
    <div class="legend">
      <span class="key key-observed">Observed</span>
      {points.judged && (
        <>
          <span class="key key-expected">Expected</span>
          <span class="key key-band">Band</span>
          <span class="key key-forecast">Forecast</span>
          <LevelMark level="critical" label />
          <LevelMark level="warning" label />
          <span class="key key-unknown">Unknown</span>
        </>
      )}
      {points.marks.map((mark) => (
        <Link
          key={`${mark.incident} ${mark.from}`}
          class={`key key-mark-${mark.severity}`}
          href={`/incidents/${mark.incident}`}
        >
          {mark.title}, {wall(mark.from, points.zone, "time")} to{" "}
          {mark.to === null ? "now" : wall(mark.to, points.zone, "time")}
        </Link>
      ))}
      {points.slotsPerPoint > 1 && (
        <span class="dim">
          Of every {points.slotsPerPoint} slots the lowest, highest and worst are drawn; zoom in for all.
        </span>
      )}
      {nowMs > 0 && <span class="dim hint">Drag to zoom, click a point for why.</span>}
    </div>
  );
}
