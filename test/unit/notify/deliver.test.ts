import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Message, OutboxItem } from "../../../src/core/model.ts";
import type { Log, Notifier } from "../../../src/core/ports.ts";
import { Problem } from "../../../src/core/problem.ts";
import { attemptsMax, Deliverer, type DelivererOptions, retryWaitMs } from "../../../src/notify/deliver.ts";
import { email } from "../../../src/notify/notifiers/email.ts";
import { openState, type State } from "../../../src/state/database.ts";
import { idle, SimulatedClock } from "../../support/clock.ts";

type Sent = Message & { atMs: number };

let clock: SimulatedClock;
let state: State;
let sent: Sent[];
let logged: string[];
let ids = 0;
/** What the far end does with a message; default: takes it. */
let far: (message: Message) => Promise<void>;

const log: Log = {
  debug() {},
  info() {},
  warn: (fields, text) => void logged.push(`warn ${text} ${JSON.stringify(fields)}`),
  error: (fields, text) => void logged.push(`error ${text} ${JSON.stringify(fields)}`),
};

const plain: Notifier = {
  send: async (message) => {
    await far(message);
    sent.push({ ...message, atMs: clock.nowMs() });
    return { id: "r", detail: "250 taken" };
  },
  [Symbol.asyncDispose]: async () => {},
};

function item(id: string, fields: Partial<OutboxItem> = {}): OutboxItem {
  return {
    id,
    noticeKey: `incident-1:1:${id}`,
    incidentId: "incident-1",
    kind: "opened",
    notifier: "plain",
    recipient: "ana@shop.example",
    recipientName: "Ana",
    state: "owed",
    dueMs: clock.nowMs(),
    attempts: 0,
    leaseOwner: null,
    leaseUntilMs: null,
    createdMs: clock.nowMs(),
    sentMs: null,
    receipt: null,
    error: null,
    ...fields,
  };
}

const composed = ({ id, recipient, kind }: OutboxItem): Message => ({
  id,
  to: recipient,
  kind,
  severity: "critical",
  subject: `subject of ${id}`,
  text: `text of ${id}`,
  html: "<p></p>",
  facts: {},
});

function deliverer(fields: Partial<DelivererOptions> = {}): Deliverer {
  return new Deliverer({
    clock,
    state,
    notifiers: new Map([["plain", plain]]),
    log,
    owner: "one",
    compose: async (one) => composed(one),
    newId: () => `audit-${++ids}`,
    ...fields,
  });
}

beforeEach(async () => {
  clock = new SimulatedClock("2026-11-20T09:00:00Z");
  state = await openState({ file: ":memory:", clock, log });
  sent = [];
  logged = [];
  far = async () => {};
});
afterEach(() => state[Symbol.asyncDispose]());

test("what is due is sent once, with its receipt", async () => {
  await state.outbox.add([item("a"), item("b"), item("later", { dueMs: clock.nowMs() + 1 })]);
  const worker = deliverer();
  expect(await worker.deliverDue()).toBe(2);
  expect(await worker.deliverDue()).toBe(0);
  expect(sent.map(({ id }) => id)).toEqual(["a", "b"]);
  expect(await state.outbox.get("a")).toMatchObject({ state: "sent", receipt: "r 250 taken", sentMs: clock.nowMs() });
  await clock.advance(1);
  await worker.deliverDue();
  expect(sent).toHaveLength(3);
});

test("two workers share one outbox without sending anything twice", async () => {
  await state.outbox.add(Array.from({ length: 40 }, (_, index) => item(`m${index}`)));
  const workers = [deliverer({ owner: "one" }), deliverer({ owner: "two" })];
  while ((await Promise.all(workers.map((worker) => worker.deliverDue()))).some((count) => count > 0));
  expect(sent.map(({ id }) => id).sort()).toEqual(Array.from({ length: 40 }, (_, index) => `m${index}`).sort());
});

test("no more at a time than it may", async () => {
  let running = 0;
  let most = 0;
  far = async () => {
    most = Math.max(most, ++running);
    await idle();
    running -= 1;
  };
  await state.outbox.add(Array.from({ length: 20 }, (_, index) => item(`m${index}`)));
  const worker = deliverer({ concurrency: 3 });
  while ((await worker.deliverDue()) > 0);
  expect(most).toBe(3);
  expect(sent).toHaveLength(20);
});

describe("failures", () => {
  const refused = new Problem("451 later, ana@shop.example", { retryable: true });

  /** Runs until nothing more happens; minutes after the start at which an attempt was made. */
  async function attempts(worker = deliverer()): Promise<number[]> {
    const startMs = clock.nowMs();
    const made: number[] = [];
    for (let second = 0; second < 1200; second += 10) {
      if ((await worker.deliverDue()) > 0) made.push((clock.nowMs() - startMs) / 1000);
      clock.jump("10s");
    }
    return made;
  }

  test("in passing: five attempts within ten minutes, each wait twice the one before, then the end", async () => {
    far = () => Promise.reject(refused);
    await state.outbox.add([item("a")]);
    expect(await attempts()).toEqual([0, 40, 120, 280, 600]);
    expect([1, 2, 3, 4].map(retryWaitMs)).toEqual([40_000, 80_000, 160_000, 320_000]);
    expect(await state.outbox.get("a")).toMatchObject({ state: "failed", attempts: attemptsMax });
  });

  test("given up is never silent: audit, log and outbox say so, without the address", async () => {
    far = () => Promise.reject(new Problem("550 no such user ana@shop.example", { retryable: false }));
    await state.outbox.add([item("a")]);
    expect(await attempts()).toEqual([0]);
    const [entry] = await state.audit.list({ limit: 9 });
    expect(entry).toMatchObject({ action: "delivery.failed", subject: "incident-1", actor: "system" });
    const texts = [entry?.detail, (await state.outbox.get("a"))?.error, logged.join()];
    for (const text of texts) {
      expect(text).toContain("550 no such user");
      expect(text).not.toContain("ana@shop.example");
    }
    expect(logged.join()).toMatch(/^error a message was not delivered and is given up/);
  });

  test("that pass: the message goes out, unmarked, since it was clearly refused before", async () => {
    far = () => (clock.nowMs() < Date.parse("2026-11-20T09:01:00Z") ? Promise.reject(refused) : Promise.resolve());
    await state.outbox.add([item("a")]);
    expect(await attempts()).toEqual([0, 40, 120]);
    expect(sent.map(({ subject }) => subject)).toEqual(["subject of a"]);
  });

  test("that may have arrived: the next attempt is marked as a repeat", async () => {
    far = () =>
      clock.nowMs() < Date.parse("2026-11-20T09:00:10Z")
        ? Promise.reject(new Problem("lost in mid-send", { retryable: true, uncertain: true }))
        : Promise.resolve();
    await state.outbox.add([item("a")]);
    await attempts();
    expect(sent).toMatchObject([{ subject: "subject of a (repeat)", text: "(repeat) text of a" }]);
  });

  test("that may have arrived, to the end: the state is unknown, not failed", async () => {
    far = () => Promise.reject(new Problem("lost in mid-send", { retryable: true, uncertain: true }));
    await state.outbox.add([item("a")]);
    expect(await attempts()).toHaveLength(attemptsMax);
    expect((await state.outbox.get("a"))?.state).toBe("unknown");
  });

  test("the far end's own wait is kept, if longer than ours", async () => {
    far = () => Promise.reject(new Problem("429", { retryable: true, retryAfterMs: 100_000 }));
    await state.outbox.add([item("a")]);
    expect(await attempts()).toEqual([0, 100, 200, 360, 680]);
  });

  test("a defect in composing loses nothing", async () => {
    let broken = true;
    const worker = deliverer({
      compose: async (one) => {
        if (broken) throw new TypeError("x is undefined");
        return composed(one);
      },
    });
    await state.outbox.add([item("a")]);
    await worker.deliverDue();
    expect((await state.outbox.get("a"))?.state).toBe("owed");
    broken = false;
    clock.jump("1m");
    await worker.deliverDue();
    expect(sent).toHaveLength(1);
  });

  test("a notifier nobody has is a failure for good that names those there are", async () => {
    await state.outbox.add([item("a", { notifier: "pigeon" })]);
    await deliverer().deliverDue();
    expect(await state.outbox.get("a")).toMatchObject({ state: "failed", error: "there is no notifier pigeon" });
  });

  test("a message not worth sending any more is cancelled, with the reason", async () => {
    await state.outbox.add([item("a")]);
    await deliverer({ compose: async () => ({ cancel: "acknowledged by bo" }) }).deliverDue();
    expect(await state.outbox.get("a")).toMatchObject({ state: "cancelled", error: "acknowledged by bo" });
    expect(sent).toEqual([]);
  });
});

describe("a crash between sending and writing it down", () => {
  /** A worker that dies there: its claim stays until its lease runs out. */
  const crash = (notifiers: ReadonlyMap<string, Notifier>) => {
    const claim: State["outbox"]["claim"] = (...args) => state.outbox.claim(...args);
    const dead = { audit: state.audit, outbox: { claim, settle: () => new Promise<boolean>(() => {}) } };
    void deliverer({ owner: "dead", state: dead, notifiers }).deliverDue();
    return idle();
  };

  test("is sent again by the next one, marked as a repeat, after the lease; nothing is lost", async () => {
    await state.outbox.add([item("a")]);
    await crash(new Map([["plain", plain]]));
    expect((await state.outbox.get("a"))?.state).toBe("sending");
    const next = deliverer();
    clock.jump("4m");
    expect(await next.deliverDue()).toBe(0);
    clock.jump("1m");
    expect(await next.deliverDue()).toBe(1);
    expect(sent.map(({ subject }) => subject)).toEqual(["subject of a", "subject of a (repeat)"]);
    expect((await state.outbox.get("a"))?.state).toBe("sent");
  });

  test("before sending is not marked either, where the notifier tells repeats itself", async () => {
    await state.outbox.add([item("a")]);
    await state.outbox.claim("dead", clock.nowMs(), 60_000, 9);
    clock.jump("1m");
    await deliverer({ notifiers: new Map([["plain", { ...plain, idempotent: true }]]) }).deliverDue();
    expect(sent.map(({ subject }) => subject)).toEqual(["subject of a"]);
  });

  test("to the mailbox gives one file, unmarked", async () => {
    const dir = await mkdtemp(join(tmpdir(), "bellwether-deliver-"));
    try {
      const mailbox = email.create({ mailboxDir: dir, from: "b@shop.example" }, { clock, log });
      const notifiers = new Map([["email", mailbox]]);
      await state.outbox.add([item("a", { notifier: "email" })]);
      await crash(notifiers);
      for (let turn = 0; turn < 50 && (await readdir(dir)).length < 2; turn += 1) await idle();
      clock.jump("6m");
      await deliverer({ notifiers }).deliverDue();
      expect((await readdir(dir)).filter((name) => name.endsWith(".eml"))).toEqual(["20261120T090000Z-a.eml"]);
      expect((await state.outbox.get("a"))?.receipt).toContain("20261120T090000Z-a.eml");
    } finally {
      await rm(dir, { recursive: true });
    }
  });

  test("again and again ends: after five attempts that never ended it is given up, and said", async () => {
    await state.outbox.add([item("a")]);
    for (let times = 0; times < attemptsMax; times += 1) {
      await crash(new Map([["plain", plain]]));
      clock.jump("6m");
    }
    await deliverer().deliverDue();
    expect(sent).toHaveLength(attemptsMax);
    expect((await state.outbox.get("a"))?.state).toBe("failed");
    expect((await state.audit.list({ limit: 9 }))[0]?.action).toBe("delivery.failed");
  });

  test("a send that hangs past its lease is not sent a second time by the same process", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    far = () => promise;
    await state.outbox.add([item("a")]);
    const worker = deliverer();
    const first = worker.deliverDue();
    await idle();
    clock.jump("6m");
    await worker.deliverDue();
    resolve();
    await first;
    expect(sent).toHaveLength(1);
    expect((await state.outbox.get("a"))?.state).toBe("sent");
  });
});

test("an address that is a reference is resolved only for the notifier", async () => {
  await state.outbox.add([item("a", { recipient: "env:HOOK_URL" })]);
  await deliverer({ secret: (reference) => `http://hooks.example/${reference}` }).deliverDue();
  expect(sent[0]?.to).toBe("http://hooks.example/env:HOOK_URL");
  expect((await state.outbox.get("a"))?.recipient).toBe("env:HOOK_URL");
});

test("runs until it is stopped, and brings what is in hand to its end", async () => {
  const stop = new AbortController();
  const { promise, resolve } = Promise.withResolvers<void>();
  far = () => promise;
  const running = deliverer().run(stop.signal);
  await state.outbox.add([item("a")]);
  await clock.advance("1s");
  stop.abort();
  await idle();
  resolve();
  await running;
  expect((await state.outbox.get("a"))?.state).toBe("sent");
});

test("a stop does not wait for a send that hangs: the message stays owed, as one that may have arrived", async () => {
  far = () => new Promise(() => {});
  await state.outbox.add([item("a")]);
  const stopping = new AbortController();
  const running = deliverer().run(stopping.signal);
  await idle();
  const startedMs = performance.now();
  stopping.abort();
  await running;
  expect(performance.now() - startedMs).toBeLessThan(8_000);
  expect(await state.outbox.get("a")).toMatchObject({
    state: "owed",
    error: expect.stringMatching(/^may have arrived/),
  });
});

test("a database that fails for a moment does not end it", async () => {
  const stop = new AbortController();
  let fails = 1;
  const claim: State["outbox"]["claim"] = (...args) =>
    fails-- > 0 ? Promise.reject(new Error("disk I/O error")) : state.outbox.claim(...args);
  const settle: State["outbox"]["settle"] = (...args) => state.outbox.settle(...args);
  const flaky = { audit: state.audit, outbox: { claim, settle } };
  const running = deliverer({ state: flaky }).run(stop.signal);
  await state.outbox.add([item("a")]);
  await clock.advance("2s");
  stop.abort();
  await running;
  expect(sent).toHaveLength(1);
  expect(logged.join()).toContain("the outbox could not be read, it is tried again");
});

test("measures what became of attempts, and its bound", async () => {
  await state.outbox.add([item("a"), item("b", { notifier: "pigeon" })]);
  const worker = deliverer({ concurrency: 5 });
  await worker.deliverDue();
  const values = worker.measures().map(({ name, labels, value }) => `${name} ${labels?.outcome ?? ""} ${value}`);
  expect(values).toContain("bellwether_deliveries_total sent 1");
  expect(values).toContain("bellwether_deliveries_total failed 1");
  expect(values).toContain("bellwether_deliveries_running_max  5");
});
