/** The board of one sampler: each judged field with its band, forecast, marks and reasons; all fields by series. Pure. */
import type { Sampler } from "../../core/definitions.ts";
import { formatDuration, minuteMs, secondMs } from "../../core/time.ts";
import { board, samplerUid } from "./board.ts";
import type { Dashboard, Variable } from "./grafana.ts";
import * as influxql from "./influxql.ts";
import type { Section } from "./layout.ts";
import { copySource, graph, levelTimeline, plainName, reasonTable, type Unplaced, words } from "./panels.ts";

/** What a board needs to know of a sampler. */
export type Shown = Pick<
  Sampler,
  "name" | "title" | "owner" | "purpose" | "runbook" | "zone" | "schedule" | "point" | "judge"
>;

export function samplerBoard(sampler: Shown): Dashboard {
  const { name, title, purpose, zone, point, schedule } = sampler;
  const judged = judgedFields(sampler);
  const stored = point.fields.filter((field) => !judged.includes(field));
  return board({
    uid: samplerUid(name),
    title,
    description: purpose ?? "",
    zone,
    from: schedule.stepMs <= 5 * minuteMs ? "now-24h" : "now-7d",
    variables: point.tags.map((tag, index) => tagChoice(point.measurement, tag, point.tags.slice(0, index))),
    sections: [
      { title: "", panels: [{ panel: words(aboutText(sampler)), width: 24, height: 3 }] },
      ...judged.map((field) => judgedSection(sampler, field)),
      ...(stored.length === 0
        ? []
        : [{ title: "Stored, not judged", panels: stored.map((field) => valuesPanel(sampler, field, 12)) }]),
    ],
  });
}

/** In the order of the points' fields. */
export function judgedFields({ point, judge }: Pick<Shown, "point" | "judge">): string[] {
  return point.fields.filter((field) => Object.hasOwn(judge, field));
}

function judgedSection(sampler: Shown, field: string): Section {
  const judged = { measurement: sampler.point.measurement, tags: sampler.point.tags, field };
  const step = stepText(sampler);
  const alias = nameOfSeries(sampler, field);
  const of = sampler.point.tags.length === 0 ? field : `${field} of the series that is picked above`;
  const levels = levelTimeline(
    {
      title: "Level of each series",
      description: "The worst level in each piece of time; unknown only where nothing else was said.",
      step,
    },
    [{ query: influxql.levelsOfAll(judged), alias }],
  );
  const evidence = graph(
    {
      title: "Evidence",
      description: `What speaks against ${of} being as expected, in nats; see docs/judging.md for what has to be reached.`,
      step,
    },
    [{ query: influxql.saidOfPicked(judged, "evidence"), alias: "evidence" }],
  );
  const why = reasonTable(
    { title: "Why", description: "The latest verdicts in this time that were warning or critical, of all series." },
    influxql.reasons(judged),
  );
  const total = bandPanel({ ...judged, isTotal: true }, `${field}, total of all series`, step);
  return {
    title: field,
    panels: [
      ...(sampler.point.total?.includes(field) === true ? [{ panel: total, width: 24, height: 9 }] : []),
      { panel: bandPanel(judged, of, step), width: 24, height: 11 },
      { panel: levels, width: 12, height: 7 },
      { panel: evidence, width: 12, height: 7 },
      valuesPanel(sampler, field, 12),
      { panel: why, width: 12, height: 8 },
      { panel: longPanel(judged, of), width: 24, height: 8 },
    ],
  };
}

function bandPanel(judged: influxql.Judged, of: string, step: string): Unplaced["panel"] {
  const said = (["observed", "expected", "lower", "upper", "forecast"] as const).map((what) => ({
    query: influxql.saidOfPicked(judged, what),
    alias: what,
  }));
  const marks = [
    { query: influxql.marksOfPicked(judged, 1), alias: "warning" },
    { query: influxql.marksOfPicked(judged, 2), alias: "critical" },
  ];
  return graph(
    {
      title: `Observed and expected: ${of}`,
      description:
        "Band: what is normal now. Dashes: the GM(1,1) forecast. Small dots: warning; large ones: critical. A gap is a slot " +
        "of which nothing is known, never zero. Of a long time each point is the mean of several slots.",
      step,
    },
    [...said, ...marks],
    {
      observed: { lineWidth: 2, fillOpacity: 0, color: "blue" },
      expected: { lineWidth: 1, fillOpacity: 0, color: "green" },
      ...band,
      forecast: { lineWidth: 1, lineStyle: { fill: "dash", dash: [6, 6] }, color: "purple" },
      warning: { drawStyle: "points", pointSize: 7, color: "orange" },
      critical: { drawStyle: "points", pointSize: 12, color: "red" },
    },
  );
}

/** Ninety days from hourly means: points as they were sampled are not kept as long. */
function longPanel(judged: influxql.Judged, of: string): Unplaced["panel"] {
  const said = (["observed", "expected", "lower", "upper"] as const).map((what) => ({
    query: influxql.hourlyOfPicked(judged, what),
    alias: what,
  }));
  const panel = graph(
    {
      title: `The latest ninety days: ${of}`,
      description: "Means of whole hours, from the bucket bellwether_1h; whatever time the board shows.",
      step: "1h",
    },
    said,
    { observed: { lineWidth: 1, color: "blue" }, expected: { lineWidth: 1, color: "green" }, ...band },
  );
  return { ...panel, timeFrom: "90d" };
}

const band = {
  lower: { lineWidth: 0, showPoints: "never", color: "#8ab8ff" },
  upper: { lineWidth: 0, showPoints: "never", fillBelowTo: "lower", fillOpacity: 15, color: "#8ab8ff" },
} as const;

function valuesPanel(sampler: Shown, field: string, width: number): Unplaced {
  const { measurement, tags } = sampler.point;
  const query = influxql.valuesOfAll({ measurement, tags, field });
  const panel = graph(
    {
      title: tags.length === 0 ? field : `${field} by ${tags.join(" and ")}`,
      description: `As it was sampled, per slot of ${formatDuration(sampler.schedule.stepMs)}.`,
      step: stepText(sampler),
    },
    [{ query, alias: nameOfSeries(sampler, field) }],
  );
  return { panel, width, height: 8 };
}

/** One value at a time: a band belongs to one series. */
function tagChoice(measurement: string, tag: string, before: readonly string[]): Variable {
  const query = influxql.tagValues(measurement, tag, before);
  return {
    name: influxql.pickName(tag),
    label: tag,
    type: "query",
    datasource: copySource,
    query,
    refresh: 1,
    sort: 1,
    multi: false,
    includeAll: false,
  };
}

function nameOfSeries({ point }: Shown, field: string): string {
  return point.tags.length === 0 ? plainName(field) : point.tags.map((tag) => `$tag_${tag}`).join(", ");
}

function stepText({ schedule }: Shown): string {
  return `${schedule.stepMs / secondMs}s`;
}

function aboutText({ name, owner, purpose, runbook, schedule, point }: Shown): string {
  const facts = [
    `**${name}**`,
    `slots of ${formatDuration(schedule.stepMs)}`,
    `measurement \`${point.measurement}\``,
    `answered for by ${escaped(owner)}`,
  ];
  const steps =
    runbook === null ? [] : [/^https?:/.test(runbook) ? `[runbook](${runbook})` : `runbook: \`${runbook}\``];
  return [[...facts, ...steps].join(" · "), ...(purpose === null ? [] : [escaped(purpose)])].join("\n\n");
}

/** Text that people wrote, as Markdown shows it unchanged. */
function escaped(text: string): string {
  return text.trim().replace(/[\\`*_[\]<>#|~]/g, "\\$&");
}
