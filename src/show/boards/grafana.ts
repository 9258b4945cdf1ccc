/**
 * Grafana's own words for boards, as types alone: its package is needed to check this code, never to run it. Enums are
 * taken as the texts and numbers that stand in a board's file.
 */
import type {
  DataSourceRef,
  FieldConfigSource,
  Dashboard as GrafanaDashboard,
  Panel as GrafanaPanel,
  RowPanel as GrafanaRow,
  GraphFieldConfig,
  VariableModel,
} from "@grafana/schema";
import type { Options as StatOptions } from "@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen";
import type { Options as TimelineOptions } from "@grafana/schema/dist/esm/raw/composable/statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen";
import type { Options as TableOptions } from "@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen";
import type { Options as GraphOptions } from "@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen";

/** The same shape with every enum as what it is written as. */
type Plain<T> = T extends string
  ? `${T}`
  : T extends number
    ? `${T}` extends `${infer N extends number}`
      ? N
      : T
    : T extends object
      ? { readonly [K in keyof T]: Plain<T[K]> }
      : T;

export type Dashboard = Plain<Omit<GrafanaDashboard, "panels">> & { readonly panels: readonly (Panel | Row)[] };
export type Panel = Plain<Omit<GrafanaPanel, "targets">> & { readonly targets?: readonly Target[] };
export type Row = Plain<GrafanaRow>;
export type Variable = Plain<VariableModel>;
export type FieldConfig = Plain<FieldConfigSource<GraphFieldConfig>>;
export type Override = FieldConfig["overrides"][number];
/** What a line of a graph may be told; a misspelt name is a fault of types. */
export type Drawing = Plain<GraphFieldConfig>;
export type PanelOptions = {
  readonly stat: Plain<StatOptions>;
  readonly timeseries: Plain<GraphOptions>;
  readonly "state-timeline": Plain<TimelineOptions>;
  readonly table: Plain<Partial<TableOptions>>;
};

/** What a panel asks. */
type Target = InfluxTarget | PrometheusTarget;
export type InfluxTarget = {
  readonly refId: string;
  readonly datasource: Plain<DataSourceRef>;
  readonly rawQuery: true;
  readonly query: string;
  readonly resultFormat: "time_series" | "table";
  /** Name of each series; `$tag_country` is the value of its tag. */
  readonly alias?: string;
};
export type PrometheusTarget = {
  readonly refId: string;
  readonly datasource: Plain<DataSourceRef>;
  readonly editorMode: "code";
  readonly expr: string;
  readonly legendFormat: string;
  readonly range: boolean;
  readonly instant: boolean;
};
