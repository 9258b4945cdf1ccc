/** Panels as boards are made of: each with what it asks; where it stands is for `layout.ts` to say. Pure. */
import type { Drawing, FieldConfig, InfluxTarget, Override, Panel, PanelOptions, PrometheusTarget } from "./grafana.ts";

/** Fixed names of data sources, which `datasources.ts` defines. */
export const sourceUids = { a: "bellwether-a", b: "bellwether-b", prometheus: "bellwether-prometheus" } as const;

/** The variable in which a reader picks the copy that is asked. */
export const copyVariable = "copy";

/** The copy that the reader picks. */
export const copySource = { type: "influxdb", uid: `\${${copyVariable}}` } as const;
const prometheus = { type: "prometheus", uid: sourceUids.prometheus } as const;

/** A panel without its place. Width in columns of 24, height in rows of 30 pixels. */
export type Unplaced = {
  readonly panel: Omit<Panel, "id" | "gridPos">;
  readonly width: number;
  readonly height: number;
};

/** Levels as verdict points store them, worst last; words and colours of the console. */
const levels = [
  { value: -1, text: "unknown", color: "#8e8e8e" },
  { value: 0, text: "normal", color: "green" },
  { value: 1, text: "warning", color: "orange" },
  { value: 2, text: "critical", color: "red" },
] as const;

type Asked = { readonly query: string; readonly alias?: string };

/** @param step least distance of points, as Grafana writes it: `60s` */
type About = { readonly title: string; readonly description: string; readonly step?: string };

export function graph(
  { title, description, step }: About,
  asked: readonly Asked[],
  lines: Readonly<Record<string, Drawing & { readonly color?: string }>> = {},
): Unplaced["panel"] {
  const custom: Drawing = { drawStyle: "line", lineWidth: 1, showPoints: "auto", spanNulls: false };
  return {
    type: "timeseries",
    title,
    description,
    datasource: copySource,
    ...(step === undefined ? {} : { interval: step }),
    targets: influxTargets(asked, "time_series"),
    fieldConfig: { defaults: { custom }, overrides: Object.entries(lines).map(([name, line]) => drawnAs(name, line)) },
    options: graphOptions,
  };
}

/** Levels over time, a row for each series. */
export function levelTimeline({ title, description, step }: About, asked: readonly Asked[]): Unplaced["panel"] {
  return {
    type: "state-timeline",
    title,
    description,
    datasource: copySource,
    ...(step === undefined ? {} : { interval: step }),
    targets: influxTargets(asked, "time_series"),
    fieldConfig: levelConfig,
    options: {
      legend: { displayMode: "list", placement: "bottom", showLegend: true, calcs: [] },
      tooltip: { mode: "single", sort: "none" },
      mergeValues: true,
      rowHeight: 0.9,
      showValue: "never",
    } satisfies PanelOptions["state-timeline"],
  };
}

/** The latest level of each as a coloured tile with its word. */
export function levelTiles({ title, description }: About, asked: readonly Asked[]): Unplaced["panel"] {
  return {
    type: "stat",
    title,
    description,
    datasource: copySource,
    targets: influxTargets(asked, "time_series"),
    fieldConfig: levelConfig,
    options: { ...statOptions, colorMode: "background" },
  };
}

/** A number for each query; `0` where nothing comes back. */
export function counts({ title, description }: About, asked: readonly Asked[]): Unplaced["panel"] {
  return {
    type: "stat",
    title,
    description,
    datasource: copySource,
    targets: influxTargets(asked, "time_series"),
    fieldConfig: { defaults: { noValue: "0", ...goodBelow(1, "orange") }, overrides: [] },
    options: statOptions,
  };
}

/** Rows as the server gives them, the newest first. */
export function reasonTable({ title, description }: About, query: string): Unplaced["panel"] {
  const level: Override = {
    matcher: { id: "byName", options: "level" },
    properties: [
      { id: "mappings", value: levelConfig.defaults.mappings },
      { id: "custom.cellOptions", value: { type: "color-text" } },
      { id: "custom.width", value: 90 },
    ],
  };
  const reason: Override = {
    matcher: { id: "byName", options: "reason" },
    properties: [{ id: "custom.minWidth", value: 400 }],
  };
  return {
    type: "table",
    title,
    description,
    datasource: copySource,
    targets: influxTargets([{ query }], "table"),
    fieldConfig: { defaults: { noValue: "" }, overrides: [level, reason] },
    options: { showHeader: true, cellHeight: "sm" } satisfies PanelOptions["table"],
  };
}

type Measured = { readonly expr: string; readonly legend: string };

/** Numbers of Bellwether itself over time. */
export function measureGraph(
  about: About & { readonly unit: string },
  measured: readonly Measured[],
): Unplaced["panel"] {
  return {
    type: "timeseries",
    title: about.title,
    description: about.description,
    datasource: prometheus,
    targets: prometheusTargets(measured, false),
    fieldConfig: {
      defaults: { unit: about.unit, min: 0, custom: { drawStyle: "line" } satisfies Drawing },
      overrides: [],
    },
    options: graphOptions,
  };
}

/** Numbers of Bellwether itself now. @param badFrom orange from here on; absent: never */
export function measureTiles(
  about: About & { readonly unit: string; readonly badFrom?: number },
  measured: readonly Measured[],
): Unplaced["panel"] {
  const colours = about.badFrom === undefined ? {} : goodBelow(about.badFrom, "orange");
  return {
    type: "stat",
    title: about.title,
    description: about.description,
    datasource: prometheus,
    targets: prometheusTargets(measured, true),
    fieldConfig: { defaults: { unit: about.unit, ...colours }, overrides: [] },
    options: statOptions,
  };
}

export function words(content: string): Unplaced["panel"] {
  return { type: "text", title: "", transparent: true, options: { mode: "markdown", content } };
}

/** `A` to `Z`, `AA`, `AB`, ... */
export function refId(index: number): string {
  const last = String.fromCharCode(65 + (index % 26));
  return index < 26 ? last : `${refId(Math.floor(index / 26) - 1)}${last}`;
}

/** A text as the name of a series: `$` would begin a pattern, and so would `[[`. */
export function plainName(text: string): string {
  const plain = text.replaceAll("$", "").replace(/\[{2,}/g, "[");
  return plain.trim() || "value";
}

function influxTargets(asked: readonly Asked[], resultFormat: InfluxTarget["resultFormat"]): InfluxTarget[] {
  return asked.map((one, index) => ({
    refId: refId(index),
    datasource: copySource,
    rawQuery: true,
    resultFormat,
    ...one,
  }));
}

function prometheusTargets(measured: readonly Measured[], now: boolean): PrometheusTarget[] {
  return measured.map(({ expr, legend }, index) => ({
    refId: refId(index),
    datasource: prometheus,
    editorMode: "code",
    expr,
    legendFormat: legend,
    range: !now,
    instant: now,
  }));
}

function drawnAs(name: string, { color, ...drawing }: Drawing & { readonly color?: string }): Override {
  const fixed = color === undefined ? [] : [{ id: "color", value: { mode: "fixed", fixedColor: color } }];
  const custom = Object.entries(drawing).map(([key, value]) => ({ id: `custom.${key}`, value }));
  return { matcher: { id: "byName", options: name }, properties: [...fixed, ...custom] };
}

function goodBelow(value: number, color: string): Pick<FieldConfig["defaults"], "color" | "thresholds"> {
  return {
    color: { mode: "thresholds" },
    thresholds: {
      mode: "absolute",
      steps: [
        { color: "green", value: null }, // where nothing is less: Grafana writes null
        { color, value },
      ],
    },
  };
}

const levelConfig: FieldConfig = {
  defaults: {
    min: -1,
    max: 2,
    color: { mode: "thresholds" },
    thresholds: {
      mode: "absolute",
      steps: levels.map(({ value, color }, index) => ({
        color,
        value: index === 0 ? null : value,
      })),
    },
    mappings: [
      {
        type: "value",
        options: Object.fromEntries(levels.map(({ value, text, color }, index) => [value, { text, color, index }])),
      },
    ],
  },
  overrides: [],
};

const graphOptions = {
  legend: { displayMode: "list", placement: "bottom", showLegend: true, calcs: [] },
  tooltip: { mode: "multi", sort: "none" },
} satisfies PanelOptions["timeseries"];

const statOptions = {
  reduceOptions: { calcs: ["lastNotNull"], fields: "", values: false },
  orientation: "auto",
  textMode: "value_and_name",
  colorMode: "value",
  graphMode: "none",
  justifyMode: "auto",
  percentChangeColorMode: "standard",
  showPercentChange: false,
  wideLayout: true,
} satisfies PanelOptions["stat"];
