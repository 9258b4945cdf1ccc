/** The board of all: how each sampler is now, and whether Bellwether itself is well. Pure. */
import { board, overviewUid } from "./board.ts";
import type { Dashboard } from "./grafana.ts";
import * as influxql from "./influxql.ts";
import type { Section } from "./layout.ts";
import { counts, levelTiles, levelTimeline, measureGraph, measureTiles, plainName } from "./panels.ts";
import { judgedFields, type Shown } from "./sampler.ts";

export function overviewBoard(samplers: readonly Shown[]): Dashboard {
  return board({
    uid: overviewUid,
    title: "Bellwether: overview",
    description: "How each sampler is now, and whether Bellwether itself is well.",
    zone: "browser",
    from: "now-24h",
    variables: [],
    sections: [...levelSections(samplers), incidents, sampling, keeping],
  });
}

function levelSections(samplers: readonly Shown[]): Section[] {
  const judged = samplers.flatMap((sampler) => {
    const fields = judgedFields(sampler);
    return fields.map((field) => ({
      judged: { measurement: sampler.point.measurement, tags: sampler.point.tags, field },
      alias: plainName(fields.length === 1 ? sampler.title : `${sampler.title}: ${field}`),
    }));
  });
  if (judged.length === 0) return [];
  const each = (query: (judged: influxql.Judged) => string) =>
    judged.map((one) => ({ query: query(one.judged), alias: one.alias }));
  const now = levelTiles(
    { title: "Level now", description: "The worst of the latest levels of all series of each sampler." },
    each(influxql.worstNow),
  );
  const unknown = counts(
    {
      title: "Series not judged now",
      description: "Series whose latest level is unknown: too little history, or no data.",
    },
    each(influxql.unknownNow),
  );
  const history = levelTimeline(
    {
      title: "Level",
      description: "The worst level of all series in each piece of time; unknown only where nothing else was said.",
      step: "1m",
    },
    each(influxql.worstLevels),
  );
  const rows = Math.min(14, 4 + Math.ceil(judged.length / 2));
  return [
    {
      title: "Samplers",
      panels: [
        { panel: now, width: 16, height: rows },
        { panel: unknown, width: 8, height: rows },
        { panel: history, width: 24, height: rows },
      ],
    },
  ];
}

// Every process tells of the same facts in SQL, so of those the largest is taken and not the sum.
const incidents: Section = {
  title: "Alerts",
  panels: [
    {
      panel: measureTiles(
        { title: "Incidents standing", description: "Incidents that are not resolved.", unit: "none", badFrom: 1 },
        [{ expr: "max(bellwether_incidents_standing)", legend: "incidents" }],
      ),
      width: 4,
      height: 5,
    },
    {
      panel: measureTiles(
        { title: "Alerts standing", description: "Alerts that are not resolved.", unit: "none", badFrom: 1 },
        [{ expr: "max(bellwether_alerts_standing)", legend: "alerts" }],
      ),
      width: 4,
      height: 5,
    },
    {
      panel: measureTiles(
        {
          title: "Wrong with Bellwether itself",
          description: "What somebody must mend, told like any alert.",
          unit: "none",
          badFrom: 1,
        },
        [{ expr: "max by (severity) (bellwether_conditions)", legend: "{{severity}}" }],
      ),
      width: 8,
      height: 5,
    },
    {
      panel: measureTiles(
        { title: "Messages", description: "Of the outbox, by state: owed, being sent, sent, failed.", unit: "none" },
        [{ expr: "max by (state) (bellwether_outbox_items)", legend: "{{state}}" }],
      ),
      width: 8,
      height: 5,
    },
  ],
};

const perSecond = (name: string): string => `sum by (sampler) (rate(${name}[$__rate_interval]))`;

const sampling: Section = {
  title: "Collecting",
  panels: [
    {
      panel: measureGraph(
        { title: "Start after the due time", description: "Mean of each sampler's live slots.", unit: "s" },
        [
          {
            expr: `${perSecond("bellwether_slot_lateness_seconds_total")} / ${perSecond("bellwether_slot_starts_total")}`,
            legend: "{{sampler}}",
          },
        ],
      ),
      width: 8,
      height: 8,
    },
    {
      panel: measureGraph(
        {
          title: "Slots that failed, a second",
          description: "Of each sampler; the slot ledger has their errors.",
          unit: "none",
        },
        [
          {
            expr: 'sum by (sampler) (rate(bellwether_slots_run_total{state="failed"}[$__rate_interval]))',
            legend: "{{sampler}}",
          },
        ],
      ),
      width: 8,
      height: 8,
    },
    {
      panel: measureGraph(
        { title: "Time that a slot takes", description: "Mean of each sampler: read, judged and stored.", unit: "s" },
        [
          {
            expr: `${perSecond("bellwether_slot_duration_seconds_total")} / ${perSecond("bellwether_slots_run_total")}`,
            legend: "{{sampler}}",
          },
        ],
      ),
      width: 8,
      height: 8,
    },
  ],
};

const keeping: Section = {
  title: "Bellwether itself",
  panels: [
    {
      panel: measureTiles({ title: "Processes that answer", description: "1: /metrics was read.", unit: "none" }, [
        { expr: 'up{job="bellwether"}', legend: "{{instance}}" },
      ]),
      width: 8,
      height: 7,
    },
    {
      panel: measureGraph(
        {
          title: "Behind by",
          description: "Age of the oldest batch that a copy lacks, by process and copy.",
          unit: "s",
        },
        [{ expr: "bellwether_replica_lag_seconds", legend: "{{instance}} to {{target}}" }],
      ),
      width: 8,
      height: 7,
    },
    {
      panel: measureGraph(
        {
          title: "Spool in use",
          description: "Share of the room that waiting points may take, by process.",
          unit: "percentunit",
        },
        [{ expr: "bellwether_spool_bytes / bellwether_spool_bytes_limit", legend: "{{instance}}" }],
      ),
      width: 8,
      height: 7,
    },
  ],
};
