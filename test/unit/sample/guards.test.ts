import { beforeEach, expect, test } from "vitest";
import { z } from "zod";
import type { Connection } from "../../../src/core/definitions.ts";
import type { Source, SourceAnswer } from "../../../src/core/ports.ts";
import { Problem } from "../../../src/core/problem.ts";
import { SamplerRunner } from "../../../src/sample/sample.ts";
import type { SourcePlugin } from "../../../src/sample/sources/index.ts";
import { SimulatedClock } from "../../support/clock.ts";
import { quietLog, sampler } from "./support.ts";

const window = { fromMs: 0, toMs: 60_000 };
const never = new AbortController().signal;

/** What the scripted source does next; it asks as often as it is read. */
let next: (signal: AbortSignal) => Promise<SourceAnswer>;
let reads: number;
const answer = (serverMs = 10): SourceAnswer => ({ rows: [{ n: 1 }], cost: { serverMs, rowsRead: 5 } });
const hang = (signal: AbortSignal): Promise<SourceAnswer> =>
  new Promise((_, reject) => {
    const cut = (): void => reject(new Problem("cut", { code: "SQL-008", retryable: true }));
    signal.addEventListener("abort", cut, { once: true });
  });
const down = (): Promise<SourceAnswer> => Promise.reject(new Problem("refused", { code: "SQL-015", retryable: true }));

const scripted: SourcePlugin = {
  kind: "scripted",
  summary: "",
  example: "",
  options: z.strictObject({ connection: z.string(), batch: z.string().optional() }),
  batch: ({ batch }: { batch?: string }) => batch ?? null,
  create: (): Source => ({
    read: (_, signal) => {
      reads += 1;
      return next(signal);
    },
    inspect: async () => ({ server: "", clockAheadMs: null, tables: [], estimate: null, problems: [] }),
    [Symbol.asyncDispose]: async () => {},
  }),
};

const clock = new SimulatedClock("2026-11-20T09:00:00Z");
const connection: Connection = { name: "shop", kind: "any", options: {}, budgetMs: 60_000, place: "c:1:1" };
const reader = (name: string, options: object = {}) =>
  sampler({ name, timeoutMs: 50, source: { kind: "scripted", options: { connection: "shop", ...options } } });

function open(usedMs: Readonly<Record<string, number>> = {}, samplers: readonly string[] = ["a", "b"]) {
  return new SamplerRunner({
    connections: new Map([["shop", connection]]),
    dataDir: ".",
    secret: () => "",
    production: false,
    log: quietLog,
    clock,
    kinds: { scripted },
    usageMs: async () => new Map(Object.entries(usedMs)),
    samplersOf: () => samplers,
    // Circuits open for a tenth of a second.
    tempo: 100,
  });
}

const codeOf = (work: Promise<unknown>): Promise<string | undefined> =>
  work.then(
    () => "read",
    (thrown: Problem) => thrown.code,
  );

beforeEach(() => {
  reads = 0;
  next = async () => answer();
});

test("a sampler whose read was cut is slowed down, others of its connection are not", async () => {
  await using runner = open();
  next = hang;
  expect(await codeOf(runner.run(reader("a"), window, never))).toBe("SQL-008");
  next = async () => answer();
  expect(await codeOf(runner.run(reader("a"), window, never))).toBe("SRC-001");
  expect(reads).toBe(1);
  expect(await codeOf(runner.run(reader("b"), window, never))).toBe("read");
});

test("the wait of a slowed sampler is told, ends, and doubles when it is cut again; one good read ends it all", async () => {
  await using runner = open();
  const waitMs = () =>
    runner.run(reader("a"), window, never).then(
      () => 0,
      (thrown: Problem) => thrown.retryAfterMs ?? -1,
    );
  next = hang;
  await codeOf(runner.run(reader("a"), window, never));
  expect(await waitMs()).toBe(57_000);
  await clock.advance(57_000);
  await codeOf(runner.run(reader("a"), window, never));
  expect(await waitMs()).toBe(114_000);
  await clock.advance(114_000);
  next = async () => answer();
  expect(await waitMs()).toBe(0);
  expect(await waitMs()).toBe(0);
});

test("who waited in vain for a place is not slowed down, and those who are try one at a time", async () => {
  await using runner = open();
  next = () => Promise.reject(new Problem("waited in vain", { code: "SQL-019", retryable: true }));
  for (let round = 0; round < 6; round += 1) await codeOf(runner.run(reader("c"), window, never));
  next = async () => answer();
  expect(await codeOf(runner.run(reader("c"), window, never))).toBe("read");
  next = hang;
  await Promise.all(["a", "b"].map((name) => codeOf(runner.run(reader(name), window, never))));
  await clock.advance(60_000);
  const tries = ["a", "b"].map((name) => codeOf(runner.run(reader(name), window, never)));
  expect(await Promise.all(tries)).toEqual(["SQL-008", "SRC-001"]);
});

test("a read that the guard refuses as too costly slows down as well", async () => {
  await using runner = open();
  next = () => Promise.reject(new Problem("would read 18,882,607,396 rows", { code: "SQL-009" }));
  expect(await codeOf(runner.run(reader("a"), window, never))).toBe("SQL-009");
  expect(await codeOf(runner.run(reader("a"), window, never))).toBe("SRC-001");
});

test("a connection that fails five times in a row is not asked, until one read has tried it again", async () => {
  await using runner = open();
  next = down;
  const codes: (string | undefined)[] = [];
  for (const name of ["a", "b", "c", "a", "b", "c", "a"])
    codes.push(await codeOf(runner.run(reader(name), window, never)));
  expect(codes).toEqual([...Array(5).fill("SQL-015"), "SRC-002", "SRC-002"]);
  expect(reads).toBe(5);
  next = async () => answer();
  await expect.poll(() => codeOf(runner.run(reader("b"), window, never)), { timeout: 5_000 }).toBe("read");
  expect(await codeOf(runner.run(reader("a"), window, never))).toBe("read");
});

test("while one read tries a connection again, others are told at once; one that is cut has not closed the circuit", async () => {
  await using runner = open();
  next = down;
  for (const name of ["a", "b", "c", "d", "e"]) await codeOf(runner.run(reader(name), window, never));
  const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
  next = (signal) => {
    begin();
    return hang(signal);
  };
  const tried = (async () => {
    for (;;) {
      const code = await codeOf(runner.run(reader("a"), window, never));
      if (code !== "SRC-002") return code;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  })();
  await begun;
  expect(await codeOf(runner.run(reader("b"), window, never))).toBe("SRC-002");
  expect(await tried).toBe("SQL-008");
  next = async () => answer();
  expect(await codeOf(runner.run(reader("b"), window, never))).toBe("SRC-002");
});

test("a shared read that takes too long is a cut of everybody who waited for it", async () => {
  await using runner = open();
  const batch = { batch: "shop/orders" };
  next = (signal) =>
    new Promise((_, reject) => signal.addEventListener("abort", () => setTimeout(() => reject(signal.reason), 100)));
  const codes = await Promise.all(["a", "b"].map((name) => codeOf(runner.run(reader(name, batch), window, never))));
  expect(codes).toEqual(["SRC-004", "SRC-004"]);
  expect(await codeOf(runner.run(reader("a", batch), window, never))).toBe("SRC-001");
});

test("what cut reads cost counts against the budget, although no slot of the ledger tells of it", async () => {
  await using runner = open({ b: 59_960 });
  next = hang;
  expect(await codeOf(runner.run(reader("a"), window, never))).toBe("SQL-008");
  next = async () => answer();
  expect(await codeOf(runner.run(reader("b"), window, never))).toBe("SRC-003");
});

test("cut reads and faulty queries open no circuit", async () => {
  await using runner = open();
  next = () => Promise.reject(new Problem("no such column", { code: "SQL-013" }));
  for (let round = 0; round < 8; round += 1) await codeOf(runner.run(reader("a"), window, never));
  next = hang;
  for (const name of ["c", "d", "e", "f", "g", "h"]) await codeOf(runner.run(reader(name), window, never));
  next = async () => answer();
  expect(await codeOf(runner.run(reader("b"), window, never))).toBe("read");
});

test("who has spent the connection's budget waits, and those with less than an even part do not", async () => {
  await using runner = open({ a: 58_000, b: 2_100 });
  expect(await codeOf(runner.run(reader("a"), window, never))).toBe("SRC-003");
  expect(await codeOf(runner.run(reader("b"), window, never))).toBe("read");
});

test("samplers of one batch share a read of one window; its cost is told once", async () => {
  await using runner = open();
  const batch = { batch: "shop/orders" };
  const [first, second] = await Promise.all([
    runner.run(reader("a", batch), window, never),
    runner.run(reader("b", batch), window, never),
  ]);
  expect(reads).toBe(1);
  expect(second.rows).toBe(first.rows);
  expect([first.cost.serverMs, second.cost.serverMs]).toEqual([10, 0]);
  await runner.run(reader("b", batch), { fromMs: 60_000, toMs: 120_000 }, never);
  await runner.run(reader("b", { batch: "shop/other" }), window, never);
  expect(reads).toBe(3);
  expect(runner.shareKey(reader("a", batch))).toBe(runner.shareKey(reader("b", batch)));
  expect(runner.shareKey(reader("a"))).toBe("a");
});

test("a shared read that failed is made again, and goes on when the one who began it stops waiting", async () => {
  await using runner = open();
  const batch = { batch: "shop/orders" };
  next = down;
  expect(await codeOf(runner.run(reader("a", batch), window, never))).toBe("SQL-015");
  const { promise, resolve } = Promise.withResolvers<SourceAnswer>();
  next = () => promise;
  const stopping = new AbortController();
  const reason = new Error("stopping");
  const began = runner.run(reader("a", batch), window, stopping.signal).catch((thrown: unknown) => thrown);
  const waits = runner.run(reader("b", batch), window, never);
  stopping.abort(reason);
  expect(await began).toBe(reason);
  resolve(answer());
  expect((await waits).rows).toEqual([{ n: 1 }]);
  expect(reads).toBe(2);
});
