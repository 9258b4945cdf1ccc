/** What happens in the demo, what Bellwether must make of it, and whether it did. Data and pure functions. */
import type { Alert, Direction, Incident, OutboxItem } from "../../core/model.ts";
import { formatDuration, minuteMs } from "../../core/time.ts";
import { formatLocal } from "../../core/zone.ts";
import { type ShopEvent, shopZone } from "./drawing.ts";

/** One line of numbers that moves in one direction: `orders{country="United Kingdom"}.orders`, down. */
type Movement = { readonly series: string; readonly direction: Direction };

type Expectation = {
  /** All of these must be alerted... */
  readonly movements: readonly Movement[];
  /** ...and mailed to this group within so long of the phase's start, */
  readonly foundWithinMs: number;
  readonly group: string;
  /** and told as recovered within so long of the phase's end. */
  readonly recoveredWithinMs: number;
};

/** A part of the demo's day, `[fromMs, toMs)`; each begins where the one before it ends. */
export type Phase = {
  readonly name: string;
  /** For the terminal, in a few words. */
  readonly title: string;
  readonly fromMs: number;
  readonly toMs: number;
  /** Told in the terminal when the phase begins. */
  readonly lines: readonly string[];
  readonly event: ShopEvent | null;
  /** Null: nobody may be woken. */
  readonly expect: Expectation | null;
};

/** 10:45 on a Wednesday in London: the day has begun, and fifteen days before it are known. */
export const liveFromMs = Date.parse("2026-06-17T10:45:00+01:00");
export const historyDays = 15;
export const demoSeed = 1;

const ukOrders = 'orders{country="United Kingdom"}.orders';
const cancellations = "cancellations.cancelled";

export const story: readonly Phase[] = inARow(liveFromMs, [
  {
    name: "normal",
    title: "A normal hour",
    minutes: 60,
    lines: [
      "Every minute Bellwether asks the shop's database for its orders and judges them.",
      "Around eleven orders drop by a third, as they did in the real shop. Nobody should hear of what is usual.",
    ],
  },
  {
    name: "uk-payments",
    title: "Payments fail for one country",
    minutes: 25,
    lines: [
      "Customers in the United Kingdom cannot pay: their orders stop. Other countries and cancellations go on.",
      "The on-call group should hear of the United Kingdom, and once more after ten minutes in which nobody answers.",
    ],
    event: (fromMs, toMs) => ({ kind: "no-payments", country: "United Kingdom", fromMs, toMs }),
    expect: {
      movements: [{ series: ukOrders, direction: "down" }],
      foundWithinMs: 12 * minuteMs,
      group: "on-call",
      recoveredWithinMs: 18 * minuteMs,
    },
  },
  {
    name: "uk-recovery",
    title: "Payments work again",
    minutes: 20,
    lines: ["The same people should hear that it is over."],
  },
  {
    name: "shop-down",
    title: "Everything stops",
    minutes: 30,
    lines: [
      "The shop is down: no orders from anywhere, and no cancellations either.",
      "The on-call group should hear of both, orders first: cancellations are few and take longer to be sure of.",
    ],
    event: (fromMs, toMs) => ({ kind: "shop-down", fromMs, toMs }),
    expect: {
      movements: [
        { series: ukOrders, direction: "down" },
        { series: cancellations, direction: "down" },
      ],
      foundWithinMs: 30 * minuteMs,
      group: "on-call",
      recoveredWithinMs: 24 * minuteMs,
    },
  },
  { name: "shop-recovery", title: "The shop is back", minutes: 25, lines: ["Orders and cancellations return."] },
  {
    name: "rush",
    title: "A rush",
    minutes: 20,
    lines: ["Three times as many orders as usual. That is no outage: the shop team hears of it, nobody on call does."],
    event: (fromMs, toMs) => ({ kind: "rush", factor: 3, fromMs, toMs }),
    expect: {
      movements: [{ series: ukOrders, direction: "up" }],
      foundWithinMs: 16 * minuteMs,
      group: "shop-team",
      recoveredWithinMs: 18 * minuteMs,
    },
  },
  { name: "calm", title: "The rush is over", minutes: 20, lines: ["Back to what a Wednesday is like."] },
]);

/** What happens to the shop, for `growShop` and `LiveShop`. */
export const storyEvents: readonly ShopEvent[] = story.flatMap((phase) => phase.event ?? []);

type Draft = Omit<Phase, "fromMs" | "toMs" | "event" | "expect"> & {
  minutes: number;
  event?: (fromMs: number, toMs: number) => ShopEvent;
  expect?: Expectation;
};

function inARow(startMs: number, drafts: readonly Draft[]): Phase[] {
  let fromMs = startMs;
  return drafts.map(({ minutes, event, expect, ...rest }) => {
    const toMs = fromMs + minutes * minuteMs;
    const phase = { ...rest, fromMs, toMs, event: event?.(fromMs, toMs) ?? null, expect: expect ?? null };
    fromMs = toMs;
    return phase;
  });
}

/** An incident with its alerts and what was mailed, as `AlertBook.incident` gives it. */
export type Observed = {
  readonly incident: Incident;
  readonly alerts: readonly Alert[];
  readonly outbox: readonly OutboxItem[];
};

export type Outcome = {
  readonly cameTrue: boolean;
  /** For people: one line per expectation and one per surprise. */
  readonly lines: readonly string[];
  /** For programs. */
  readonly facts: {
    readonly phases: readonly PhaseFacts[];
    /** Alerts that nothing in the story explains. */
    readonly unexpected: readonly string[];
  };
};

type PhaseFacts = {
  readonly name: string;
  readonly cameTrue: boolean;
  /** From the phase's start to the first of its alerts; null: at least one of them did not come, or too late. */
  readonly foundAfterMs: number | null;
  /** Who got the mails, by name. */
  readonly told: readonly string[];
  /** From the phase's end to the last resolved incident; null: at least one stood too long. */
  readonly recoveredAfterMs: number | null;
  /** Who heard of the end. */
  readonly toldRecovery: readonly string[];
};

/** Whether the story came true: every expectation is met, and nobody was told of anything else. */
export function judgeStory(phases: readonly Phase[], observed: readonly Observed[]): Outcome {
  const judged = phases.flatMap((phase) => (phase.expect === null ? [] : [judgePhase(phase, phase.expect, observed)]));
  const unexpected = observed.flatMap(({ incident, alerts }) =>
    alerts
      .filter((alert) => alert.firedMs !== null && !phases.some((phase) => explains(phase, alert, incident.group)))
      .map((alert) => `${clock(alert.firedMs as number)} ${alert.series} ${alert.labels.direction}: ${alert.reason}`),
  );
  return {
    cameTrue: judged.every(({ facts }) => facts.cameTrue) && unexpected.length === 0,
    lines: [
      ...judged.map(({ line }) => line),
      ...unexpected.map((text) => `✗ Unexpected: ${text}`),
      ...(unexpected.length === 0 ? ["✓ Nobody was told of anything else"] : []),
    ],
    facts: { phases: judged.map(({ facts }) => facts), unexpected },
  };
}

function judgePhase(
  phase: Phase,
  expect: Expectation,
  observed: readonly Observed[],
): { facts: PhaseFacts; line: string } {
  const found = expect.movements.map((movement) => findAlert(phase, expect, movement, observed));
  const incidents = observed.filter((each) => found.some((alert) => alert !== null && each.alerts.includes(alert)));
  const resolvedMs = Math.max(...incidents.map(({ incident }) => incident.resolvedMs ?? Number.POSITIVE_INFINITY));
  const firedMs = Math.min(...found.map((alert) => alert?.firedMs ?? Number.POSITIVE_INFINITY));
  const foundAfterMs = found.includes(null) ? null : firedMs - phase.fromMs;
  const recoveredMs = resolvedMs - phase.toMs;
  const recoveredAfterMs = recoveredMs >= 0 && recoveredMs <= expect.recoveredWithinMs ? recoveredMs : null;
  const told = mailed(incidents, "opened");
  const toldRecovery = mailed(incidents, "resolved");
  const everybody = incidents.every((each) => {
    const opened = mailed([each], "opened");
    return opened.length > 0 && mailed([each], "resolved").join() === opened.join();
  });
  const cameTrue = foundAfterMs !== null && recoveredAfterMs !== null && everybody;
  const facts = { name: phase.name, cameTrue, foundAfterMs, told, recoveredAfterMs, toldRecovery };
  return { facts, line: `${cameTrue ? "✓" : "✗"} ${phase.title}: ${sentence(facts)}` };
}

function findAlert(phase: Phase, expect: Expectation, movement: Movement, observed: readonly Observed[]): Alert | null {
  const alerts = observed.filter(({ incident }) => incident.group === expect.group).flatMap((each) => each.alerts);
  const inTime = ({ firedMs }: Alert) =>
    firedMs !== null && firedMs >= phase.fromMs && firedMs <= phase.fromMs + expect.foundWithinMs;
  return alerts.find((alert) => moves(alert, movement) && inTime(alert)) ?? null;
}

/** An alert belongs to a phase that moves its series that way, if it fired before that was over and forgotten. */
function explains(phase: Phase, alert: Alert, group: string): boolean {
  if (phase.expect === null) return false;
  const { movements, recoveredWithinMs, group: expected } = phase.expect;
  const during =
    (alert.firedMs as number) >= phase.fromMs && (alert.firedMs as number) < phase.toMs + recoveredWithinMs;
  return during && group === expected && movements.some((movement) => moves(alert, movement));
}

function moves(alert: Alert, movement: Movement): boolean {
  return alert.series === movement.series && alert.labels.direction === movement.direction;
}

function mailed(incidents: readonly Observed[], kind: "opened" | "resolved"): string[] {
  const sent = incidents.flatMap((each) => each.outbox).filter((item) => item.kind === kind && item.state === "sent");
  return [...new Set(sent.filter((item) => item.notifier === "email").map((item) => item.recipientName))].sort();
}

function sentence(facts: Omit<PhaseFacts, "name" | "cameTrue">): string {
  const found = facts.foundAfterMs === null ? "not found in time" : `found after ${formatDuration(facts.foundAfterMs)}`;
  const told = facts.told.length === 0 ? "nobody was mailed" : `${facts.told.join(" and ")} got a mail`;
  const recovered =
    facts.recoveredAfterMs === null
      ? "its end was not seen in time"
      : `its end was seen ${formatDuration(facts.recoveredAfterMs)} after it`;
  const toldRecovery =
    facts.toldRecovery.length === 0 ? "nobody heard of it" : `${facts.toldRecovery.join(" and ")} heard of it`;
  return `${found}, ${told}; ${recovered}, ${toldRecovery}`;
}

function clock(timeMs: number): string {
  return formatLocal(timeMs, shopZone).slice(11, 16);
}
