/** All series with what they say now, the worst first. */

import { z } from "zod";
import type { Alert, FieldValue } from "../../../core/model.ts";
import { levelOf } from "../../../core/model.ts";
import { overview, type Api as Shapes, shownLevel } from "../api.ts";
import type { Facts } from "../facts.ts";
import { pageQuery, readCursor, writeCursor } from "../paging.ts";
import {
  allSeries,
  type Columns,
  type Judged,
  latestLevels,
  numberOf,
  readColumns,
  type ShownSeries,
} from "../series.ts";
import type { Api } from "../server.ts";
import { moment, seriesView } from "../views.ts";

type ShownLevel = Shapes["ShownLevel"];

/** The worst first; `unknown` is worse than normal, because nobody knows. */
const order: readonly ShownLevel[] = ["critical", "warning", "unknown", "normal", "unjudged"];
const sparkPoints = 60;

const query = z.object({
  q: z.string().max(200).default("").describe("Words, all of which occur in the series, its sampler or its title"),
  level: z
    .string()
    .default("")
    .transform((text) => text.split(",").filter(Boolean))
    .pipe(z.array(shownLevel))
    .describe("Levels, separated by commas; empty = all"),
  sampler: z.string().max(200).optional(),
  ...pageQuery(60, 500),
});

type Row = ShownSeries & { readonly level: ShownLevel; readonly latest: Judged | undefined };

export function overviewRoutes(api: Api, facts: Facts): void {
  api.route({
    method: "GET",
    url: "/overview",
    schema: {
      tags: ["series"],
      summary: "All series, the worst first",
      querystring: query,
      response: { 200: overview },
    },
    handler: async ({ query }) => {
      const { rows: found, stale } = await searched(facts, query.q, query.sampler);
      const counts = Object.fromEntries(order.map((level) => [level, 0])) as Record<ShownLevel, number>;
      for (const { level } of found) counts[level] += 1;
      const wanted = found.filter(({ level }) => query.level.length === 0 || query.level.includes(level));
      const after = readCursor(query.cursor, z.tuple([z.number(), z.string()]));
      const rest = after === null ? wanted : wanted.filter((row) => isAfter(row, after));
      const rows = rest.slice(0, query.limit);
      const last = rows.at(-1);
      const shown = await itemsOf(facts, rows);
      const more = rest.length > rows.length && last !== undefined;
      return {
        items: shown.items,
        next: more ? writeCursor([order.indexOf(last.level), last.text]) : null,
        counts,
        total: wanted.length,
        samplers: [...facts.definitions().definitions.samplers.values()].map(({ name, title }) => ({ name, title })),
        stale: stale || shown.stale,
      };
    },
  });
}

async function searched(
  facts: Facts,
  q: string,
  sampler: string | undefined,
): Promise<{ rows: Row[]; stale: boolean }> {
  const words = q.toLowerCase().split(/\s+/).filter(Boolean);
  const shown = (await allSeries(facts)).filter((series) => {
    if (sampler !== undefined && series.sampler.name !== sampler) return false;
    const text = `${series.text} ${series.sampler.name} ${series.sampler.title}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
  const { found: levels, stale } = await latestLevels(facts, shown);
  const rows = shown.map((series): Row => {
    const latest = levels.get(series.text);
    return { ...series, latest, level: series.judged ? (latest?.level ?? "unknown") : "unjudged" };
  });
  rows.sort((a, b) => order.indexOf(a.level) - order.indexOf(b.level) || (a.text < b.text ? -1 : 1));
  return { rows, stale };
}

function isAfter(row: Row, [rank, text]: readonly [number, string]): boolean {
  const own = order.indexOf(row.level);
  return own > rank || (own === rank && row.text > text);
}

async function itemsOf(
  facts: Facts,
  rows: readonly Row[],
): Promise<{ items: Shapes["OverviewItem"][]; stale: boolean }> {
  const alerts = new Map((await facts.state.alerts.standing()).map((alert) => [alert.series, alert]));
  const columns = new Map<string, Columns>();
  let stale = false;
  // Series of one sampler share their times; those that ended early are read on their own.
  for (const group of Map.groupBy(rows, (row) => `${row.sampler.name} ${atMsOf(row)}`).values()) {
    const [first] = group as [Row];
    const atMs = atMsOf(first);
    const window = { fromMs: atMs - (sparkPoints - 1) * first.spacingMs, toMs: atMs + 1 };
    const fields = ["observed", "expected", "level"];
    const spark = await readColumns(facts, group, window, fields);
    for (const [text, found] of spark.found) columns.set(text, found);
    const latest = await readColumns(facts, group, { fromMs: atMs, toMs: atMs + 1 }, ["lower", "upper", "reason"]);
    for (const [text, found] of latest.found) columns.set(text, new Map([...found, ...(columns.get(text) ?? [])]));
    stale ||= spark.stale || latest.stale;
  }
  const items = rows.map((row) => itemOf(row, columns.get(row.text) ?? new Map(), alerts.get(row.text)));
  return { items, stale };
}

function atMsOf(row: Row): number {
  return row.latest?.atMs ?? row.lastMs;
}

function itemOf(row: Row, columns: Columns, alert: Alert | undefined): Shapes["OverviewItem"] {
  const atMs = atMsOf(row);
  const at = (field: string) => numberOf(columns.get(field)?.get(atMs));
  const times = sparkTimes(row, columns, atMs);
  return {
    ...seriesView(row),
    level: row.level,
    at: moment(atMs),
    observed: at("observed"),
    expected: at("expected"),
    lower: at("lower"),
    upper: at("upper"),
    reason: reasonOf(row, columns.get("reason")?.get(atMs)),
    alert: alert ? { state: alert.state, severity: alert.severity, incident: alert.incidentId } : null,
    spark: {
      observed: times.map((timeMs) => numberOf(columns.get("observed")?.get(timeMs))),
      expected: times.map((timeMs) => numberOf(columns.get("expected")?.get(timeMs))),
      levels: times.map((timeMs) => (row.judged ? levelOf(columns.get("level")?.get(timeMs)) : "unjudged")),
    },
  };
}

/** Every slot where slots are evenly spaced, so that a gap shows as one; else the times there are. */
function sparkTimes(row: Row, columns: Columns, atMs: number): number[] {
  const known = [...(columns.get(row.judged ? "level" : "observed")?.keys() ?? [])];
  if (row.sampler.schedule.kind === "cron") return known.slice(-sparkPoints);
  const firstMs = known[0] ?? atMs;
  const count = Math.min(sparkPoints, Math.round((atMs - firstMs) / row.spacingMs) + 1);
  return Array.from({ length: count }, (_, index) => atMs - (count - 1 - index) * row.spacingMs);
}

function reasonOf(row: Row, stored: FieldValue | undefined): string {
  if (!row.judged) return "Stored only: the definition does not judge this field.";
  if (row.latest === undefined) return "Not judged yet in its latest slots.";
  return typeof stored === "string" ? stored : "";
}
