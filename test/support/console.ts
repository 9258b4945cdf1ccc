/**
 * A console over real facts: a series store, a state database and a mailbox, filled with the story of one shop. The
 * shop's clock stands at Friday 20 November 2026, 14:30 in London. Payments of the United Kingdom failed from 13:20 to
 * 13:52 (an incident that Ana took on, resolved), and orders from Germany have been missing since 14:12 (open). Two
 * processes do the work; the second has not been heard of since 14:22. Thursday was a day off, a sale runs in the United
 * Kingdom, and cancelled orders have been in their shadow period for nine days.
 */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { checkSilence } from "../../src/alert/mute.ts";
import { acknowledge } from "../../src/alert/plan.ts";
import type { Calendar, Definitions, FieldJudging, Sampler } from "../../src/core/definitions.ts";
import { formatSeries, matchersOf } from "../../src/core/labels.ts";
import type { Alert, Incident, OutboxItem, Point, Silence, Transition, Verdict } from "../../src/core/model.ts";
import type { Log, Measured, TimeSeriesStore } from "../../src/core/ports.ts";
import { Problem } from "../../src/core/problem.ts";
import { dayMs, hourMs, minuteMs } from "../../src/core/time.ts";
import { defaultCollection } from "../../src/define/collection.ts";
import { explain } from "../../src/explain.ts";
import { verdictPoint } from "../../src/judge/stored.ts";
import { Composer } from "../../src/notify/compose.ts";
import { Mailbox } from "../../src/notify/mailbox.ts";
import { notifiers } from "../../src/notify/notifiers/index.ts";
import { dueMs, nextSlot } from "../../src/schedule/cron.ts";
import { Shadows } from "../../src/shadow.ts";
import type { Facts } from "../../src/show/console/facts.ts";
import { openState, type State } from "../../src/state/database.ts";
import type { SlotOutcome } from "../../src/state/slots.ts";
import { stores } from "../../src/store/stores/index.ts";
import { SimulatedClock } from "./clock.ts";
import { SeededReplicas } from "./replicas.ts";
import { plainSampler } from "./sampler.ts";

const shopNowMs = Date.parse("2026-11-20T14:30:00Z");
const zone = "Europe/London";
const germanySinceMs = Date.parse("2026-11-20T14:12:00Z");
const britainSinceMs = Date.parse("2026-11-20T13:20:00Z");
const britainUntilMs = Date.parse("2026-11-20T13:52:00Z");

export const quiet: Log = { debug() {}, info() {}, warn() {}, error() {} };

type Process = ReturnType<Facts["processes"]>[number];

export type Shop = AsyncDisposable & {
  readonly facts: Facts;
  readonly clock: SimulatedClock;
  readonly store: TimeSeriesStore & Measured;
  readonly state: State;
  readonly replicas: SeededReplicas;
  readonly openIncident: string;
  readonly oldIncident: string;
  /** Set to answer `/readyz` and the head of the console with a reason. */
  unready: string | null;
};

/** @param past how far back the series by the minute reach; default 26 hours */
export async function openShop(past = 26 * hourMs): Promise<Shop> {
  const dir = await mkdtemp(join(tmpdir(), "bellwether-console-"));
  const clock = new SimulatedClock(shopNowMs);
  const store = stores.sqlite.create({ file: join(dir, "series.db") }, { clock, log: quiet });
  const state = await openState({ file: join(dir, "state.db"), clock, log: quiet });
  const definitions = shopDefinitions();
  await fillSeries(store, past);
  await fillLedger(state);
  const ids = await fillAlerts(state);
  await fillSilences(state);
  const mailboxDir = join(dir, "mailbox");
  await fillMailbox({ mailboxDir, state, store, definitions, clock });
  const replicas = new SeededReplicas(clock);
  const shadows = await beginShadow(state, definitions, clock);
  const explaining = { definitions: () => definitions, store, state, clock, judge: shopJudge(store) };
  const shop: Shop = {
    clock,
    store,
    state,
    replicas,
    ...ids,
    unready: null,
    facts: {
      definitions: () => ({ definitions, problems: [shopFault] }),
      store,
      state,
      clock,
      zone,
      version: "0.1.0-test",
      next: (name) => nextOf(definitions.samplers.get(name), clock.nowMs()),
      explain: (series, timeMs) => explain(explaining, series, timeMs),
      mailbox: new Mailbox(mailboxDir),
      replicas,
      ready: async () => ({ ready: shop.unready === null, reasons: shop.unready === null ? [] : [shop.unready] }),
      measured: [store, state],
      shadow: (name) => shadows.of(name),
      usage: () => state.slots.usage(clock.nowMs() - hourMs),
      processes: () => shopProcesses,
      act: actsOn(state, clock, shadows),
      demo: false,
    },
    [Symbol.asyncDispose]: async () => {
      await store[Symbol.asyncDispose]();
      await state[Symbol.asyncDispose]();
      await rm(dir, { recursive: true, force: true });
    },
  };
  return shop;
}

const shopFault = new Problem("the query names no column 'countri'", {
  code: "CFG-006",
  where: "samplers/shop/refunds.yaml:9:12",
  path: "point.tags.0",
  fix: 'name a column of the query (did you mean "country"?)',
});

/** One that lives and one that is gone. What they tell the others is not for people. */
export const shopProcesses: readonly [Process, Process] = [
  {
    id: "shop-1",
    role: "scheduler worker console",
    host: "shop-1.internal",
    pid: 4_711,
    version: "0.1.0-test",
    startedMs: Date.parse("2026-11-18T07:05:00Z"),
    seenMs: shopNowMs - 2_000,
    detail: { conditions: [], lagsMs: { b: 540_000 } },
    alive: true,
  },
  {
    id: "shop-2",
    role: "worker",
    host: "shop-2.internal",
    pid: 812,
    version: "0.1.0-test",
    startedMs: Date.parse("2026-11-20T06:30:00Z"),
    seenMs: Date.parse("2026-11-20T14:22:00Z"),
    detail: { conditions: [], lagsMs: {} },
    alive: false,
  },
];

function nextOf(sampler: Sampler | undefined, nowMs: number) {
  const slot = sampler && nextSlot(sampler, nowMs);
  return sampler && slot ? { startMs: slot.startMs, stepMs: slot.stepMs, dueMs: dueMs(sampler, slot) } : null;
}

// ---- definitions ----------------------------------------------------------------------------------------------

const judging: FieldJudging = {
  kind: "count",
  direction: "both",
  baseline: { days: 7, trim: 1 },
  forecast: { points: 8 },
  floor: { percent: 30, criticalPercent: 50, absolute: 10, volume: 20 },
};

function sampler(name: string, given: Partial<Sampler> & Pick<Sampler, "title" | "point">): Sampler {
  return {
    ...plainSampler,
    name,
    runbook: "docs/runbooks/orders.md",
    schedule: { kind: "every", stepMs: minuteMs, delayMs: 5_000 },
    zone,
    calendar: "shop",
    empty: "zero",
    labels: { team: "shop" },
    place: `samplers/shop/${name}.yaml:1:1`,
    ...given,
  };
}

const shopCalendar: Calendar = {
  name: "shop",
  zone,
  holidays: { "2026-11-18": "Founders' days", "2026-11-19": "Founders' days" },
  workdays: { "2026-11-15": "Stocktaking" },
  knownUntil: "2026-12-31",
  campaigns: [
    {
      title: "Flash sale",
      fromMs: Date.parse("2026-11-20T12:00:00Z"),
      toMs: Date.parse("2026-11-20T18:00:00Z"),
      match: ['country="United Kingdom"', 'field="orders"'],
      expect: { kind: "uplift", min: 1.5, max: 2 },
      place: "rules/calendars/shop.yaml:8:9",
    },
    {
      title: "Advent",
      fromMs: Date.parse("2026-11-20T00:00:00Z"),
      toMs: Date.parse("2026-11-22T00:00:00Z"),
      match: ['country="France"'],
      expect: { kind: "like", day: "2026-10-20", daysBefore: 31, scale: 1.1 },
      place: "rules/calendars/shop.yaml:13:9",
    },
  ],
  place: "rules/calendars/shop.yaml:2:3",
};

function shopDefinitions(): Definitions {
  const samplers = [
    sampler("shop-orders", {
      title: "Orders placed",
      purpose: "Orders by country and minute, as the shop books them.",
      point: { measurement: "orders", tags: ["country"], fields: ["orders", "amount"] },
      judge: { orders: { ...judging, kind: "auto" } },
    }),
    sampler("shop-payments", {
      title: "Payments that succeed",
      graceMs: 2 * minuteMs,
      resample: 3,
      historyMs: 15 * dayMs,
      point: { measurement: "payments", tags: ["provider"], fields: ["success_rate"] },
      judge: { success_rate: { ...judging, kind: "ratio" } },
      empty: "missing",
    }),
    sampler("shop-cancelled", {
      title: "Cancelled orders",
      point: { measurement: "cancelled", tags: [], fields: ["orders"] },
      judge: { orders: judging },
      schedule: { kind: "cron", expression: "0 * * * *", stepMs: hourMs, delayMs: 0, zone },
      active: { zone, weekdays: [1, 2, 3, 4, 5], fromMinute: 480, toMinute: 1_020 },
      shadow: { text: "true", untilMs: null },
    }),
  ];
  const place = "rules/routes.yaml:1:1";
  return {
    samplers: new Map(samplers.map((one) => [one.name, one])),
    rules: new Map(),
    route: {
      group: "shop-team",
      match: [],
      groupBy: ["sampler"],
      groupWaitMs: 10_000,
      groupIntervalMs: 300_000,
      repeatIntervalMs: 4 * hourMs,
      continue: false,
      routes: [],
      place,
    },
    people: new Map([["ana", { id: "ana", name: "Ana Silva", email: "ana@shop.example", phone: null, place }]]),
    groups: new Map([["shop-team", { id: "shop-team", title: "Shop team", members: ["ana"], steps: [], place }]]),
    calendars: new Map([["shop", shopCalendar]]),
    connections: new Map(),
    collection: defaultCollection,
  };
}

// ---- series ---------------------------------------------------------------------------------------------------

/** Numbers in [0, 1) that are the same in every run. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Share of the daily peak at that time of day. */
function dayShape(timeMs: number): number {
  const hour = (timeMs % dayMs) / hourMs;
  return 0.25 + 0.75 * Math.exp(-(((hour - 13.5) / 4.5) ** 2));
}

const countries: readonly [country: string, ordersAtPeak: number][] = [
  ["United Kingdom", 92],
  ["Germany", 31],
  ["France", 24],
  ["EIRE", 18],
  ["Netherlands", 14],
  ["Spain", 11],
];

async function fillSeries(store: TimeSeriesStore, past: number): Promise<void> {
  for (const [index, [country, peak]] of countries.entries()) {
    const random = seeded(index + 1);
    const points: Point[] = [];
    for (let timeMs = shopNowMs - past; timeMs < shopNowMs; timeMs += minuteMs) {
      const expected = peak * dayShape(timeMs);
      const noise = (random() + random() + random() - 1.5) * Math.sqrt(expected) * 1.6;
      const bad = badness(country, timeMs);
      const orders = Math.max(0, Math.round((expected + noise) * bad));
      const tags = { country };
      points.push({ measurement: "orders", tags, fields: { orders, amount: orders * 21.4 }, timeMs });
      // Spain is too new to be judged: seven days are not at hand.
      const series = { measurement: "orders", tags, field: "orders" };
      points.push(
        verdictPoint(verdictAt("shop-orders", series, timeMs, orders, country === "Spain" ? null : expected)),
      );
    }
    await store.write(points);
  }
  await store.write([...paymentPoints(past), ...cancelledPoints()]);
}

function badness(country: string, timeMs: number): number {
  if (country === "United Kingdom" && timeMs >= britainSinceMs && timeMs < britainUntilMs) return 0.06;
  return country === "Germany" && timeMs >= germanySinceMs ? 0 : 1;
}

function paymentPoints(past: number): Point[] {
  const random = seeded(99);
  const points: Point[] = [];
  for (let timeMs = shopNowMs - past; timeMs < shopNowMs; timeMs += minuteMs) {
    for (const provider of ["adyen", "worldpay"]) {
      const failing = provider === "worldpay" && timeMs >= shopNowMs - 6 * minuteMs;
      const rate = (failing ? 0.62 : 0.965) + random() * 0.03;
      // The provider said nothing for a quarter of an hour: no points, and verdicts without a value.
      const silent = provider === "adyen" && timeMs >= shopNowMs - 95 * minuteMs && timeMs < shopNowMs - 80 * minuteMs;
      const series = { measurement: "payments", tags: { provider }, field: "success_rate" };
      if (!silent) points.push({ measurement: "payments", tags: { provider }, fields: { success_rate: rate }, timeMs });
      const verdict = verdictAt("shop-payments", series, timeMs, silent ? null : rate, silent ? null : 0.98);
      points.push(verdictPoint(failing ? { ...verdict, level: "warning" } : verdict));
    }
  }
  return points;
}

function cancelledPoints(): Point[] {
  const random = seeded(7);
  const points: Point[] = [];
  for (let hours = 24 * 6; hours >= 1; hours -= 1) {
    const timeMs = Date.parse("2026-11-20T14:00:00Z") - hours * hourMs;
    const series = { measurement: "cancelled", tags: {}, field: "orders" };
    const expected = 9 * dayShape(timeMs);
    const orders = Math.round(expected + (random() - 0.5) * 4);
    points.push({ measurement: "cancelled", tags: {}, fields: { orders }, timeMs });
    points.push(verdictPoint(verdictAt("shop-cancelled", series, timeMs, orders, expected)));
  }
  return points;
}

function verdictAt(
  name: string,
  series: Verdict["series"],
  timeMs: number,
  observed: number | null,
  expected: number | null,
): Verdict {
  const width = expected === null ? 0 : series.field === "success_rate" ? 0.03 : 3 * Math.sqrt(expected) + 1;
  const low = observed !== null && expected !== null && observed < expected * 0.5;
  const known = observed !== null && expected !== null;
  const days = [...Array(7).keys()].map((day) => ({
    startMs: timeMs - (day + 1) * dayMs,
    value: expected === null ? null : Math.round(expected * (0.9 + ((day * 37) % 20) / 100) * 100) / 100,
    use: expected === null ? "missing" : day === 2 || day === 5 ? "trimmed" : "used",
  }));
  return {
    sampler: name,
    series,
    timeMs,
    stepMs: minuteMs,
    state: observed === null ? "missing" : "value",
    level: !known ? "unknown" : low ? "critical" : "normal",
    observed,
    expected,
    lower: expected === null ? null : Math.max(0, expected - width),
    upper: expected === null ? null : expected + width,
    forecast:
      expected === null
        ? { value: null, abstained: "fewer than eight points" }
        : { value: expected * 1.02, a: -0.01, b: expected, grade: "good" },
    baseline: {
      centre: expected,
      spread: expected === null ? null : width / 3,
      daysUsed: expected === null ? 0 : 5,
      daysTrimmed: expected === null ? 0 : 2,
      days: days as Verdict["baseline"]["days"],
    },
    evidence: low ? 34.2 : 0.7,
    gates: known
      ? [
          { name: "relative", passed: low, measured: (1 - observed / expected) * 100, needed: 30 },
          { name: "absolute", passed: low, measured: expected - observed, needed: 10 },
          { name: "volume", passed: true, measured: expected, needed: 20 },
          { name: "evidence", passed: low, measured: low ? 34.2 : 0.7, needed: 10 },
        ]
      : [],
    direction: low ? "down" : null,
    sinceMs: low ? germanySinceMs : null,
    lossSoFar: low ? expected - observed : null,
    slotsSummed: 1,
    ...(known && {
      kind: series.field === "success_rate" ? "ratio" : "count",
      range: { least: expected * 0.9, most: expected * 1.1 },
      memory: { level: { observed: expected * 60 * 1.04, expected: expected * 60 } },
      drift: -3.2,
    }),
    reason: !known
      ? "Not judged: fewer than four of the last seven days have this slot."
      : low
        ? `${observed} where ${Math.round(expected)} are usual at this time.`
        : `${Math.round(observed * 100) / 100} is within what is usual at this time.`,
  };
}

// ---- explaining -----------------------------------------------------------------------------------------------

/** Judges as the stored verdicts do. */
function shopJudge(store: TimeSeriesStore): Parameters<typeof explain>[0]["judge"] {
  return {
    explain: async (sampler, series, timeMs) => {
      const { series: found, stale } = await store.read({
        measurement: `${series.measurement}_verdict`,
        fields: ["observed", "expected"],
        tags: matchersOf({ ...series.tags, field: series.field }),
        windows: [{ fromMs: timeMs, toMs: timeMs + 1 }],
      });
      const value = (name: string) => {
        const [cell] = found.find(({ field }) => field === name)?.values ?? [];
        return typeof cell === "number" ? cell : null;
      };
      return { verdict: verdictAt(sampler.name, series, timeMs, value("observed"), value("expected")), stale };
    },
  };
}

// ---- ledger, alerts, silences, mailbox --------------------------------------------------------------------------

async function fillLedger(state: State): Promise<void> {
  const ledgers: readonly [name: string, stepMs: number, slots: number][] = [
    ["shop-orders", minuteMs, 120],
    ["shop-payments", minuteMs, 120],
    ["shop-cancelled", hourMs, 30],
  ];
  for (const [name, stepMs, count] of ledgers) {
    const endMs = Math.floor(shopNowMs / stepMs) * stepMs;
    for (let back = count; back >= 1; back -= 1) {
      const startMs = endMs - back * stepMs;
      const slot = { sampler: name, startMs };
      await state.slots.add([{ ...slot, stepMs, dueMs: startMs + stepMs + 5_000, catchUp: back > 110 }]);
      if (name === "shop-payments" && back === 1) continue;
      // One start in ten is 2 s late, the others 0.4 s.
      const startedMs = startMs + stepMs + 5_000 + (back % 10 === 5 ? 2_000 : 400);
      await state.slots.lease(slot, "seed", startedMs, startedMs + 30_000);
      await state.slots.finish(slot, "seed", outcomeOf(name, back), startedMs + 250);
    }
  }
}

/** Of the slot that is so many before the newest one. */
function outcomeOf(name: string, back: number): SlotOutcome {
  // Nothing has come yet; it is asked again.
  if (name === "shop-payments" && back === 2) return { state: "due", rows: 0, points: 0, dataState: "late" };
  if (name === "shop-payments" && back === 7) {
    const error = "the database closed the connection (SRC-003)";
    return { state: "failed", dataState: "source-down", error };
  }
  const state = back > 110 ? "caught-up" : "done";
  return {
    state,
    rows: 6,
    points: 6,
    dataState: "value",
    serverMs: 30.5,
    rowsRead: name === "shop-orders" ? 240 : null,
  };
}

/** Of what is in shadow, looking began nine days ago. */
async function beginShadow(state: State, known: Definitions, clock: SimulatedClock): Promise<Shadows> {
  const definitions = () => known;
  const then = new Shadows({ clock: new SimulatedClock(shopNowMs - 9 * dayMs), state, definitions });
  for (const each of known.samplers.values()) await then.begin(each);
  return new Shadows({ clock, state, definitions });
}

async function fillAlerts(state: State): Promise<{ openIncident: string; oldIncident: string }> {
  const old = storyOf("0197-uk", "United Kingdom", britainSinceMs, britainUntilMs + 3 * minuteMs);
  const open = storyOf("0198-de", "Germany", germanySinceMs, null);
  for (const { alert, incident, transitions, outbox } of [old, open]) {
    await state.alerts.apply({
      alerts: [{ before: null, after: alert }],
      incidents: [{ before: null, after: incident }],
      transitions,
      outbox,
      cancel: [],
      audit: [],
    });
  }
  return { openIncident: open.incident.id, oldIncident: old.incident.id };
}

function storyOf(id: string, country: string, sinceMs: number, resolvedMs: number | null) {
  const firedMs = sinceMs + 2 * minuteMs;
  const tags = { country };
  const alert: Alert = {
    id: `${id}-alert`,
    fingerprint: `${id}-fingerprint`,
    rule: "shop-orders",
    sampler: "shop-orders",
    series: formatSeries({ measurement: "orders", tags, field: "orders" }),
    labels: { sampler: "shop-orders", measurement: "orders", field: "orders", direction: "down", ...tags },
    severity: "critical",
    state: resolvedMs === null ? "firing" : "resolved",
    recent: resolvedMs === null ? "gbbb" : "bbbggg",
    sinceMs,
    lastSlotMs: shopNowMs - minuteMs,
    stepMs: minuteMs,
    firedMs,
    resolvedMs,
    incidentId: id,
    observed: resolvedMs === null ? 0 : 90,
    expected: resolvedMs === null ? 30.4 : 91,
    worstObserved: resolvedMs === null ? 0 : 3,
    worstExpected: resolvedMs === null ? 30.4 : 91,
    lossSoFar: resolvedMs === null ? 541 : 2_733,
    reason: `Orders of ${country} are far below what is usual at this time.`,
    version: 1,
  };
  const incident: Incident = {
    id,
    groupKey: `0/${country}`,
    groupLabels: { sampler: "shop-orders", country },
    route: "0",
    group: "shop-team",
    title: `Orders placed: ${country} far below expected`,
    severity: "critical",
    state: resolvedMs === null ? "open" : "resolved",
    openedMs: firedMs,
    resolvedMs,
    acknowledgedBy: resolvedMs === null ? null : "Ana Silva",
    acknowledgedMs: resolvedMs === null ? null : firedMs + 4 * minuteMs,
    notices: resolvedMs === null ? 1 : 2,
    lastNoticeMs: firedMs,
    mutedReason: null,
    version: 1,
  };
  const change = (subject: "alert" | "incident", from: string | null, to: string, atMs: number, reason: string) =>
    ({
      id: `${id}-${subject}-${to}`,
      subject,
      subjectId: subject === "alert" ? alert.id : id,
      from,
      to,
      atMs,
      slotMs: atMs,
      reason,
    }) satisfies Transition;
  const transitions = [
    change("alert", null, "pending", sinceMs + minuteMs, "1 of 3 slots is bad"),
    change("alert", "pending", "firing", firedMs, "2 of 3 slots are bad"),
    change("incident", null, "open", firedMs, "first alert of its group"),
  ];
  if (resolvedMs !== null) {
    transitions.push(change("incident", "open", "acknowledged", firedMs + 4 * minuteMs, "acknowledged by Ana Silva"));
    transitions.push(change("alert", "firing", "resolved", resolvedMs, "3 good slots in a row"));
    transitions.push(change("incident", "acknowledged", "resolved", resolvedMs, "all of its alerts are resolved"));
  }
  const item = (number: number, kind: OutboxItem["kind"], atMs: number): OutboxItem => ({
    id: `${id}-mail-${number}`,
    noticeKey: `${id}:${number}:0`,
    incidentId: id,
    kind,
    notifier: "email",
    recipient: "ana@shop.example",
    recipientName: "Ana Silva",
    state: "sent",
    dueMs: atMs,
    attempts: 1,
    leaseOwner: null,
    leaseUntilMs: null,
    createdMs: atMs,
    sentMs: atMs + 800,
    receipt: "written",
    error: null,
  });
  const outbox = [item(1, "opened", firedMs + 10_000)];
  if (resolvedMs !== null) outbox.push(item(2, "resolved", resolvedMs + 1_000));
  return { alert, incident, transitions, outbox };
}

async function fillSilences(state: State): Promise<void> {
  const silence = (id: string, given: Partial<Silence>): Silence => ({
    id,
    matchers: ['provider="worldpay"'],
    reason: "Worldpay moves its data centre, told on Monday",
    author: "Ben Ito",
    createdMs: shopNowMs - 2 * hourMs,
    startsMs: shopNowMs - 2 * hourMs,
    endsMs: shopNowMs + 4 * hourMs,
    ...given,
  });
  const past = { createdMs: shopNowMs - 3 * dayMs, startsMs: shopNowMs - 3 * dayMs, endsMs: shopNowMs - 2 * dayMs };
  for (const one of [
    silence("s-active", {}),
    silence("s-ended", {
      ...past,
      matchers: ['sampler="shop-orders"', 'country=~"Spain|France"'],
      reason: "Bank holiday",
    }),
  ]) {
    await state.silences.add(one, entry(one.id, one.createdMs, one.author, "silence.add", one.id, one.reason));
  }
}

type MailboxInput = {
  definitions: Definitions;
  store: TimeSeriesStore;
  state: State;
  mailboxDir: string;
  clock: SimulatedClock;
};

async function fillMailbox({ mailboxDir, state, store, definitions, clock }: MailboxInput): Promise<void> {
  const composer = new Composer({
    alerts: state.alerts,
    store,
    definitions: () => definitions,
    baseUrl: "http://127.0.0.1:8080",
    zone,
    clock,
    log: quiet,
  });
  const options = { mailboxDir, from: "Bellwether <bellwether@shop.example>" };
  await using notifier = notifiers.email.create(options, { clock, log: quiet });
  for (const item of await state.outbox.list({ limit: 10 })) {
    const message = await composer.compose(item);
    if (!("cancel" in message)) await notifier.send(message, new AbortController().signal);
  }
}

// ---- acts -----------------------------------------------------------------------------------------------------

function entry(id: string, atMs: number, actor: string, action: string, subject: string, detail: string) {
  return { id: `audit-${id}`, atMs, actor, action, subject, detail };
}

function actsOn(state: State, clock: SimulatedClock, shadows: Shadows): Facts["act"] {
  let last = 0;
  const newId = () => `made-${++last}`;
  return {
    acknowledge: async (id, by, expectedVersion) => {
      const incident = (await state.alerts.incident(id))?.incident ?? null;
      if (incident === null || incident.state !== "open") return { done: false, incident };
      if (expectedVersion !== undefined && expectedVersion !== incident.version) return { done: false, incident };
      const done = await state.alerts.apply(acknowledge(incident, by, clock.nowMs(), newId));
      const now = (await state.alerts.incident(id))?.incident ?? incident;
      return { done, incident: now };
    },
    addSilence: async (draft) => {
      const silence: Silence = { ...draft, id: newId(), createdMs: clock.nowMs() };
      checkSilence(silence);
      await state.silences.add(
        silence,
        entry(newId(), clock.nowMs(), draft.author, "silence.add", silence.id, draft.reason),
      );
      return silence;
    },
    endSilence: (id, by) =>
      state.silences.end(id, clock.nowMs(), entry(newId(), clock.nowMs(), by, "silence.end", id, "")),
    endShadow: (name, by) => shadows.end(name, by),
  };
}
