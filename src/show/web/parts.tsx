/** Small pieces that several pages show. */
import type { ComponentChildren } from "preact";
import type { Api } from "../console/api.ts";
import type { ApiError, Polled } from "./client.ts";

type Level = Api["ShownLevel"];

export const levels: readonly Level[] = ["critical", "warning", "unknown", "normal", "unjudged"];
export const levelNames: Readonly<Record<Level, string>> = {
  critical: "Critical",
  warning: "Warning",
  unknown: "Unknown",
  normal: "Normal",
  unjudged: "Not judged",
};

/** Each level has its own shape, so that nobody needs its colour. */
const shapes: Readonly<Record<Level, string>> = {
  critical: "M8 1 15 8 8 15 1 8Z",
  warning: "M8 1.5 15 14H1Z",
  unknown: "M8 1.500a6.5 6.5 0 1 0 0 13a6.5 6.5 0 1 0 0-13Z",
  normal: "M3 8.5 6.7 12 13 4.5",
  unjudged: "M3 8H13",
};

export function LevelMark({ level, label = false }: { level: Level; label?: boolean }) {
  return (
    <span class={`level level-${level}`}>
      <svg viewBox="0 0 16 16" width="14" height="14" aria-hidden="true">
        <path d={shapes[level]} />
      </svg>
      <span class={label ? "" : "unseen"}>{levelNames[level]}</span>
    </span>
  );
}

export function Chip({ tone, children }: { tone: string; children: ComponentChildren }) {
  return <span class={`chip chip-${tone}`}>{children}</span>;
}

type DataState = Api["Explanation"]["state"];

export const dataWords: Readonly<Record<DataState, string>> = {
  value: "there",
  zero: "zero",
  missing: "missing",
  late: "late",
  "source-down": "source down",
};
const dataMeanings: Readonly<Record<DataState, string>> = {
  value: "a value",
  zero: "zero, which is known",
  missing: "there is no value, which is not zero",
  late: "it may still come",
  "source-down": "nobody could ask",
};

/** What is known of a slot's data; `told` says what the word means as well. */
export function DataWord({ state, told = false }: { state: DataState; told?: boolean }) {
  const known = state === "value" || state === "zero";
  if (known) return <span>{told ? dataMeanings[state] : dataWords[state]}</span>;
  return (
    <>
      <Chip tone={state === "source-down" ? "critical" : "warning"}>{dataWords[state]}</Chip>
      {told && <span class="dim"> {dataMeanings[state]}</span>}
    </>
  );
}

export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {children && <p class="dim">{children}</p>}
    </div>
  );
}

/** What is shown may not be the newest there is; nobody may take it for that. */
export function StaleNote() {
  return (
    <div class="banner banner-bad" role="status">
      One copy is behind: what you see may lack the newest points.
    </div>
  );
}

/** Grey lines in the shape of what is coming. */
function Loading({ rows = 5 }: { rows?: number }) {
  return (
    <div class="loading" role="status">
      <span class="unseen">Loading</span>
      {Array.from({ length: rows }, (_, row) => (
        <div key={row} class="loading-row" />
      ))}
    </div>
  );
}

/** What went wrong and what the reader can do about it. */
export function Fault({ error, retry }: { error: ApiError; retry?: () => void }) {
  return (
    <div class="fault" role="alert">
      <p class="fault-title">{error.message}</p>
      {error.status === 0 ? (
        <p class="dim">Is the process running? The page asks again by itself.</p>
      ) : (
        error.details?.fix && <p class="dim">Fix: {error.details.fix}.</p>
      )}
      {retry && (
        <button type="button" onClick={retry}>
          Try again
        </button>
      )}
    </div>
  );
}

/** A page's answer in each of its states; once there is data it stays, even while the server is gone. */
export function Answer<Data>({
  polled,
  children,
}: {
  polled: Polled<Data>;
  children: (data: Data) => ComponentChildren;
}) {
  if (polled.data !== null) {
    const refused = polled.error !== null && polled.error.status >= 400;
    return (
      <>
        {refused && polled.error && <Fault error={polled.error} retry={polled.reload} />}
        {children(polled.data)}
      </>
    );
  }
  if (polled.error !== null) return <Fault error={polled.error} retry={polled.reload} />;
  return <Loading />;
}

export function Field({ label, children }: { label: string; children: ComponentChildren }) {
  return (
    <div class="fact">
      <dt>{label}</dt>
      <dd>{children}</dd>
    </div>
  );
}

type SparkProps = { spark: Api["OverviewItem"]["spark"] };
const sparkWidth = 160;
const sparkHeight = 36;

/** The latest points: what was expected (dashed), what was observed (line), and where it was bad (shaded). */
export function Spark({ spark }: SparkProps) {
  const { observed, expected, levels } = spark;
  const all = [...observed, ...expected].filter((value) => value !== null);
  if (all.length === 0) return <svg class="spark" viewBox={`0 0 ${sparkWidth} ${sparkHeight}`} aria-hidden="true" />;
  const low = Math.min(0, ...all);
  const high = Math.max(low + 1e-9, ...all);
  const step = sparkWidth / Math.max(1, observed.length - 1);
  const x = (index: number) => (index * step).toFixed(1);
  const y = (value: number) => (sparkHeight - 3 - ((value - low) / (high - low)) * (sparkHeight - 6)).toFixed(1);
  const bad = levels.flatMap((level, index) =>
    level === "warning" || level === "critical"
      ? [`M${(index * step - step / 2).toFixed(1)} 0h${step.toFixed(1)}v${sparkHeight}h-${step.toFixed(1)}z`]
      : [],
  );
  return (
    <svg class="spark" viewBox={`0 0 ${sparkWidth} ${sparkHeight}`} preserveAspectRatio="none" aria-hidden="true">
      <path class="spark-bad" d={bad.join("")} />
      <path class="spark-expected" d={linePath(expected, x, y)} />
      <path class="spark-observed" d={linePath(observed, x, y)} />
    </svg>
  );
}

function linePath(values: readonly (number | null)[], x: (index: number) => string, y: (value: number) => string) {
  let pen = "M";
  let path = "";
  values.forEach((value, index) => {
    if (value === null) {
      pen = "M";
      return;
    }
    path += `${pen}${x(index)} ${y(value)}`;
    pen = "L";
  });
  return path;
}

/** The tags of a series, or the word for a series without any. */
export function SeriesName({ item }: { item: Pick<Api["OverviewItem"], "tags" | "field" | "measurement"> }) {
  const tags = Object.entries(item.tags);
  return (
    <span class="series-name">
      {tags.length === 0 && <span>all</span>}
      {tags.map(([key, value]) => (
        <span key={key} title={key}>
          {value || `no ${key}`}
        </span>
      ))}
      <span class="series-field">{item.field}</span>
    </span>
  );
}
