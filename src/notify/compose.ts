/** From an item of the outbox to its message: reads the incident as it is now, and draws its chart. */
import type { Definitions } from "../core/definitions.ts";
import { matchersOf, parseSelector, tagsKey } from "../core/labels.ts";
import { type Alert, isOwn, levelOf, type Message, type OutboxItem, type SeriesId } from "../core/model.ts";
import type { Clock, Log, Series, TimeSeriesStore } from "../core/ports.ts";
import { messageOf } from "../core/problem.ts";
import { formatTimeUtc } from "../core/time.ts";
import type { AlertBook } from "../state/alerts.ts";
import { type ChartPoint, drawChart } from "./chart.ts";
import { type NoticeChart, renderNotice, renderTest, worstFirst } from "./render.ts";

export type ComposerOptions = {
  readonly alerts: Pick<AlertBook, "incident">;
  readonly store: Pick<TimeSeriesStore, "read">;
  readonly definitions: () => Definitions;
  /** Where readers reach the console, without a slash at the end. */
  readonly baseUrl: string;
  /** Wall clock where a sampler is no longer defined. */
  readonly zone: string;
  readonly clock: Clock;
  readonly log: Log;
};

/** Slots that a chart shows: at least so many, at most so many. */
const chartSlots = { min: 60, before: 30, max: 360 };
/** Charts kept for the other recipients of the same notice. */
const chartsKeptMax = 16;

export class Composer {
  readonly #options: ComposerOptions;
  readonly #charts = new Map<string, Promise<NoticeChart | undefined>>();

  constructor(options: ComposerOptions) {
    this.#options = options;
  }

  /** The message as things stand now, or why it is not worth sending any more. */
  async compose(item: OutboxItem): Promise<Message | { cancel: string }> {
    const { alerts, definitions, baseUrl, zone, clock } = this.#options;
    const nowMs = clock.nowMs();
    if (item.incidentId === null) return renderTest(item, baseUrl, nowMs);
    const story = await alerts.incident(item.incidentId);
    if (story === null) return { cancel: "its incident is no longer known" };
    const { incident } = story;
    if (item.kind === "still" && incident.acknowledgedMs !== null) {
      return { cancel: `acknowledged by ${incident.acknowledgedBy} at ${formatTimeUtc(incident.acknowledgedMs)}` };
    }
    if (item.kind === "still" && incident.state === "resolved") return { cancel: "resolved before it was sent" };
    const standing = story.alerts.filter((alert) => alert.state !== "resolved");
    const [main] = worstFirst(item.kind === "resolved" || standing.length === 0 ? story.alerts : standing);
    const chart = main === undefined || isOwn(main) ? undefined : await this.#chart(item, main);
    return renderNotice({ item, ...story, definitions: definitions(), baseUrl, zone, nowMs, chart });
  }

  /** One drawing for all recipients of a notice; a message without one goes as text. */
  #chart(item: OutboxItem, alert: Alert): Promise<NoticeChart | undefined> {
    const key = `${item.incidentId} ${item.kind} ${alert.id} ${alert.lastSlotMs}`;
    const known = this.#charts.get(key);
    if (known !== undefined) return known;
    const drawn = this.#draw(alert).catch((thrown: unknown) => {
      this.#options.log.warn({ series: alert.series, error: messageOf(thrown) }, "a chart could not be drawn");
      return undefined;
    });
    this.#charts.set(key, drawn);
    const [oldest] = this.#charts.keys();
    if (this.#charts.size > chartsKeptMax && oldest !== undefined) this.#charts.delete(oldest);
    return drawn;
  }

  async #draw(alert: Alert): Promise<NoticeChart | undefined> {
    const series = seriesOf(alert);
    if (series === null) return undefined;
    const { stepMs } = alert;
    const toMs = alert.lastSlotMs + stepMs;
    const slots = Math.ceil((toMs - alert.sinceMs) / stepMs) + chartSlots.before;
    const fromMs = toMs - Math.min(Math.max(slots, chartSlots.min), chartSlots.max) * stepMs;
    const tags = matchersOf({ ...series.tags, field: series.field });
    const { series: found, stale } = await this.#options.store.read({
      measurement: `${series.measurement}_verdict`,
      fields: ["observed", "expected", "lower", "upper", "forecast", "level"],
      tags,
      windows: [{ fromMs, toMs }],
    });
    const wanted = tagsKey({ ...series.tags, field: series.field });
    const points = chartPoints(found.filter((one) => tagsKey(one.tags) === wanted));
    if (!points.some((point) => point.observed !== null)) return undefined;
    const zone = this.#options.definitions().samplers.get(alert.sampler)?.zone ?? this.#options.zone;
    return { png: await drawChart({ title: alert.series, zone, stepMs, points }), stale };
  }
}

function seriesOf(alert: Alert): SeriesId | null {
  const { measurement, tags, field } = parseSelector(alert.series);
  if (field === null) return null;
  return { measurement, field, tags: Object.fromEntries(tags.map(({ label, value }) => [label, value])) };
}

/** The fields of verdict points, each a series of its own, as one row a slot. */
export function chartPoints(fields: readonly Series[]): ChartPoint[] {
  const rows = new Map<number, Map<string, number>>();
  for (const { field, timesMs, values } of fields) {
    for (const [index, timeMs] of timesMs.entries()) {
      const value = values[index];
      if (typeof value !== "number") continue;
      const row = rows.get(timeMs) ?? new Map<string, number>();
      rows.set(timeMs, row.set(field, value));
    }
  }
  return [...rows]
    .sort(([a], [b]) => a - b)
    .map(([timeMs, row]) => ({
      timeMs,
      observed: row.get("observed") ?? null,
      expected: row.get("expected") ?? null,
      lower: row.get("lower") ?? null,
      upper: row.get("upper") ?? null,
      forecast: row.get("forecast") ?? null,
      level: levelOf(row.get("level")),
    }));
}
