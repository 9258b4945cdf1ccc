/** One series: its points with their verdicts, and why a point was judged as it was. */

import { z } from "zod";
import type { TimeWindow } from "../../../core/model.ts";
import { levelOf } from "../../../core/model.ts";
import { hourMs, parseTimeMs } from "../../../core/time.ts";
import { explanation, points, type Api as Shapes } from "../api.ts";
import { calendarView } from "../calendar.ts";
import { type Kept, thin } from "../downsample.ts";
import type { Facts } from "../facts.ts";
import { asked, Refusal } from "../problems.ts";
import { type Columns, numberOf, oneSeries, readColumns, type ShownSeries, slotStartMs } from "../series.ts";
import type { Api } from "../server.ts";
import { explanationView, moment, momentOrNull, seriesView } from "../views.ts";

/** Slots that one request may ask for; a window of more is refused. */
const slotsMax = 50_000;
/** Incidents looked through for marks on one chart. */
const incidentsMax = 100;
const verdictFields = ["observed", "expected", "lower", "upper", "forecast", "level"];

const time = z.string().max(40).describe("ISO 8601 with a zone, `now`, or `now-2h`");
const pointsQuery = z.object({
  series: z.string().max(2_000),
  from: time.default("now-1h"),
  to: time.default("now"),
  points_max: z.coerce.number().int().min(100).max(5_000).default(1_500),
});
const explainQuery = z.object({ series: z.string().max(2_000), at: time });

export function seriesRoutes(api: Api, facts: Facts): void {
  api.route({
    method: "GET",
    url: "/series/points",
    schema: {
      tags: ["series"],
      summary: "Points and verdicts of one series in a window",
      querystring: pointsQuery,
      response: { 200: points },
    },
    handler: async ({ query }) => {
      const window = windowOf(facts, query);
      const series = await oneSeries(facts, query.series);
      const slots = Math.ceil((window.toMs - window.fromMs) / series.sampler.schedule.stepMs);
      if (slots > slotsMax) {
        throw new Refusal(400, `the window holds ${slots} slots, at most ${slotsMax} are read`, {
          path: "from",
          fix: "ask for a shorter window",
        });
      }
      const { found, stale } = await readColumns(facts, [series], window, verdictFields);
      const marks = await marksOf(facts, series.text, window);
      const calendar = calendarView(facts.definitions().definitions, series, window);
      const columns = found.get(series.text) ?? new Map();
      return { ...pointsView(series, window, columns, query.points_max), marks, calendar, stale };
    },
  });

  api.route({
    method: "GET",
    url: "/series/explain",
    schema: {
      tags: ["series"],
      summary: "Why, or why not, for one slot of one series",
      querystring: explainQuery,
      response: { 200: explanation },
    },
    handler: async ({ query }) => {
      const atMs = asked("at", () => parseTimeMs(query.at, facts.clock.nowMs()));
      const { sampler, text } = await oneSeries(facts, query.series);
      const found = await facts.explain(text, slotStartMs(sampler, atMs));
      if (found === null) {
        throw new Refusal(404, "nobody judges this series", { fix: "name its field under judge: in the sampler" });
      }
      return explanationView(found);
    },
  });
}

function windowOf(facts: Facts, query: { from: string; to: string }): TimeWindow {
  const nowMs = facts.clock.nowMs();
  const fromMs = asked("from", () => parseTimeMs(query.from, nowMs));
  const toMs = asked("to", () => parseTimeMs(query.to, nowMs));
  if (fromMs >= toMs) throw new Refusal(400, "the window ends before it begins", { path: "to", fix: "swap the two" });
  return { fromMs, toMs };
}

function pointsView(
  series: ShownSeries,
  window: TimeWindow,
  columns: Columns,
  pointsMax: number,
): Omit<Shapes["Points"], "marks" | "calendar" | "stale"> {
  const timesMs = [...(columns.get(series.judged ? "level" : "observed")?.keys() ?? [])];
  const cell = (field: string, timeMs: number) => numberOf(columns.get(field)?.get(timeMs));
  const worth = timesMs.map(
    (timeMs): Kept => ({
      value: cell("observed", timeMs),
      rank: cell("level", timeMs) ?? 0,
    }),
  );
  const { kept, slotsPerPoint } = thin(worth, pointsMax);
  const shownMs = kept.map((index) => timesMs[index] as number);
  const column = (field: string) => shownMs.map((timeMs) => cell(field, timeMs));
  return {
    ...seriesView(series),
    judged: series.judged,
    from: moment(window.fromMs),
    to: moment(window.toMs),
    slotsPerPoint,
    at: shownMs.map(moment),
    observed: column("observed"),
    expected: column("expected"),
    lower: column("lower"),
    upper: column("upper"),
    forecast: column("forecast"),
    level: shownMs.map((timeMs) => (series.judged ? levelOf(columns.get("level")?.get(timeMs)) : "unjudged")),
  };
}

async function marksOf(facts: Facts, series: string, window: TimeWindow): Promise<Shapes["Mark"][]> {
  const { alerts } = facts.state;
  // An incident opens some slots after its first bad one, so one that opens just behind the window may reach into it.
  const latest = await alerts.incidents({ limit: incidentsMax, beforeMs: window.toMs + hourMs });
  const near = latest.filter(({ resolvedMs }) => resolvedMs === null || resolvedMs >= window.fromMs);
  const stories = await Promise.all(near.map(({ id }) => alerts.incident(id)));
  return stories.flatMap((story) => {
    const own = story?.alerts.filter((alert) => alert.series === series) ?? [];
    return own
      .filter(({ sinceMs }) => sinceMs < window.toMs)
      .map(({ sinceMs, resolvedMs, severity, incidentId }) => ({
        incident: incidentId ?? "",
        title: story?.incident.title ?? "",
        severity,
        state: story?.incident.state ?? "open",
        from: moment(sinceMs),
        to: momentOrNull(resolvedMs),
      }));
  });
}
