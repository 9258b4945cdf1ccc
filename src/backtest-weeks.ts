/** What a backtest comes to a week: incidents, messages and people, by channel and severity. */
import type { Incident } from "./core/model.ts";
import { dayMs } from "./core/time.ts";

type Severity = Incident["severity"];

/** What was said over some time. */
export type Said = {
  readonly incidents: readonly Pick<Incident, "openedMs" | "severity">[];
  readonly messages: readonly {
    readonly atMs: number;
    readonly notifier: string;
    readonly recipientName: string;
    readonly severity: Severity;
  }[];
};

export type Week = {
  readonly fromMs: number;
  /** Seven days after `fromMs`; of the last week, the end of the time. */
  readonly toMs: number;
  readonly incidents: Readonly<Record<Severity, number>>;
  readonly messages: number;
  /** Recipients who were sent anything. */
  readonly people: number;
  /** Sorted by notifier, critical before warning; only what there was. */
  readonly channels: readonly {
    readonly notifier: string;
    readonly severity: Severity;
    readonly messages: number;
    readonly people: number;
  }[];
};

export const weekMs = 7 * dayMs;

/**
 * Weeks are counted from `fromMs`. What falls behind `toMs`, as a message does that waited for company, belongs to the
 * last one.
 */
export function weeksOf({ incidents, messages }: Said, fromMs: number, toMs: number): Week[] {
  const count = Math.max(1, Math.ceil((toMs - fromMs) / weekMs));
  const weekOf = (timeMs: number) => Math.min(count - 1, Math.max(0, Math.floor((timeMs - fromMs) / weekMs)));
  const opened = Map.groupBy(incidents, ({ openedMs }) => weekOf(openedMs));
  const sent = Map.groupBy(messages, ({ atMs }) => weekOf(atMs));
  return Array.from({ length: count }, (_, week) => {
    const startMs = fromMs + week * weekMs;
    const ends = { fromMs: startMs, toMs: Math.min(toMs, startMs + weekMs) };
    return { ...ends, ...weekOfThese(opened.get(week) ?? [], sent.get(week) ?? []) };
  });
}

function weekOfThese(incidents: Said["incidents"], messages: Said["messages"]): Omit<Week, "fromMs" | "toMs"> {
  const of = (wanted: Severity) => incidents.filter(({ severity }) => severity === wanted).length;
  const byChannel = Map.groupBy(messages, ({ notifier, severity }) => `${notifier} ${severity}`);
  const channels = [...byChannel].sort().flatMap(([, list]) => {
    const [first] = list;
    if (first === undefined) return [];
    const { notifier, severity } = first;
    return [{ notifier, severity, messages: list.length, people: peopleOf(list) }];
  });
  return {
    incidents: { critical: of("critical"), warning: of("warning") },
    messages: messages.length,
    people: peopleOf(messages),
    channels,
  };
}

function peopleOf(messages: Said["messages"]): number {
  return new Set(messages.map(({ recipientName }) => recipientName)).size;
}
