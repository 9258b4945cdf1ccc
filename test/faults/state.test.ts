/**
 * The database of facts is stopped, killed, cut off at a commit, and fought over: what was decided is there once, in
 * its order, and whoever decided it knows so. On real servers.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Alert } from "../../src/core/model.ts";
import type { Log } from "../../src/core/ports.ts";
import { Problem } from "../../src/core/problem.ts";
import { stopwatch, systemClock } from "../../src/core/time.ts";
import { openState, type State } from "../../src/state/database.ts";
import type { PoolOptions } from "../../src/state/pool.ts";
import { alert, changes, entry, item, slot, transition } from "../contracts/state.ts";
import { type Mariadb, startMariadb, whyNoMariadb } from "../support/servers/mariadb.ts";
import { type Postgres, startPostgres, whyNoPostgres } from "../support/servers/postgres.ts";
import { type CutAt, startProxy, type TcpProxy } from "../support/servers/proxy.ts";

const log: Log = { debug() {}, info() {}, warn() {}, error() {} };
const quick: PoolOptions = { connectTimeoutMs: 500, statementTimeoutMs: 1_250, patienceMs: 1_000 };
type Server = Postgres | Mariadb;

const servers = [
  {
    kind: "PostgreSQL",
    missing: whyNoPostgres({ own: true }),
    begin: (): Promise<Server> => startPostgres({ own: true }),
  },
  { kind: "MariaDB", missing: whyNoMariadb({ own: true }), begin: (): Promise<Server> => startMariadb({ own: true }) },
];

/** One alert after the other, as one sampler's slots decide; a call that fails is made again, from fresh rows. */
class Decider {
  readonly made: string[] = [];
  readonly problems: Problem[] = [];
  longestMs = 0;
  readonly #state: State;
  readonly #name: string;
  #standing: Alert | null = null;

  constructor(state: State, name: string) {
    this.#state = state;
    this.#name = name;
  }

  async run(signal: AbortSignal): Promise<void> {
    for (let turn = 0; !signal.aborted; turn += 1) {
      while (!(await this.#decide(turn))) await sleep(20);
      await sleep(5);
    }
  }

  /** @returns false: to be done again */
  async #decide(turn: number): Promise<boolean> {
    const elapsedMs = stopwatch();
    try {
      const [before = null] = await this.#state.alerts.standing({ sampler: this.#name });
      const id = `${this.#name} ${turn}`;
      // Ours, of a try whose answer was lost: it is there, so it is not decided again.
      if (before?.reason === id) return this.#note(id, before);
      const fields = { sampler: this.#name, fingerprint: this.#name, reason: id };
      const after = alert(this.#name, { ...fields, version: 1 });
      const one = { before, after };
      const told = { transitions: [transition(id, this.#name)], outbox: [item(id, { noticeKey: id })] };
      if (!(await this.#state.alerts.apply(changes({ alerts: [one], ...told })))) return false;
      return this.#note(id, before);
    } catch (thrown) {
      if (!(thrown instanceof Problem && thrown.retryable)) throw thrown;
      this.problems.push(thrown);
      return false;
    } finally {
      this.longestMs = Math.max(this.longestMs, elapsedMs());
    }
  }

  #note(id: string, before: Alert | null): true {
    if (this.#standing !== null) expect(before?.version).toBeGreaterThanOrEqual(this.#standing.version);
    this.#standing = before;
    this.made.push(id);
    return true;
  }

  /** Everything is there once, in the order in which it was decided. */
  async mustBeWhole(): Promise<void> {
    const transitions = await this.#state.alerts.transitions(this.#name);
    expect(transitions.map(({ id }) => id)).toEqual(this.made);
    expect(await this.#state.alerts.standing({ sampler: this.#name })).toMatchObject([{ version: this.made.length }]);
    const owed = await this.#state.outbox.list({ limit: 100_000 });
    const own = owed.filter(({ id }) => id.startsWith(`${this.#name} `)).map(({ id }) => id);
    expect(own.sort()).toEqual([...this.made].sort());
  }
}

describe.each(servers)("facts on $kind", ({ kind, missing, begin }) => {
  let server: Server;
  let url: string;
  beforeAll(async () => {
    if (missing !== null) return;
    server = await begin();
    url = await server.database();
    await (await open({}))[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    if (missing !== null) return;
    // A test that failed may have left it so.
    server.resume();
    if (!server.isRunning) await server.start();
    await server.empty(url);
  });
  afterAll(async () => server?.[Symbol.asyncDispose]());

  const open = (pool: PoolOptions, to = url): Promise<State> => openState({ url: to, clock: systemClock, log, pool });
  const measured = async (state: State, name: string): Promise<number> =>
    (await state.measures()).find((each) => each.name === `bellwether_${name}`)?.value ?? Number.NaN;

  async function decideThrough(state: State, damage: () => Promise<void>): Promise<Decider[]> {
    const deciders = ["a", "b", "c", "d"].map((name) => new Decider(state, name));
    const stop = new AbortController();
    const running = Promise.all(deciders.map((each) => each.run(stop.signal)));
    await sleep(300);
    await Promise.race([damage(), running]);
    const reached = deciders.map(({ made }) => made.length);
    await expect
      .poll(() => deciders.every(({ made }, index) => made.length > (reached[index] ?? 0) + 5), { timeout: 15_000 })
      .toBe(true);
    stop.abort();
    await running;
    for (const each of deciders) await each.mustBeWhole();
    return deciders;
  }

  describe.skipIf(missing !== null)(missing ?? "is there", () => {
    test("X25 killed, and back after a second: calls wait for it, nothing is lost, order is kept", async () => {
      await using state = await open({});
      const deciders = await decideThrough(state, async () => {
        await server.kill();
        await sleep(1_000);
        await server.start();
      });
      expect(deciders.flatMap(({ problems }) => problems.map(({ message }) => message))).toEqual([]);
      expect(await measured(state, "state_lost_total")).toBeGreaterThan(0);
    });

    test("X25 killed, and away for longer than calls wait: they fail in time and say so", async () => {
      await using state = await open(quick);
      const deciders = await decideThrough(state, async () => {
        await server.kill();
        await sleep(3_000);
        await server.start();
      });
      for (const { problems, longestMs } of deciders) {
        expect(longestMs).toBeLessThan(3_000);
        expect(problems.length).toBeGreaterThan(0);
        const where = `${new URL(url).protocol}//${new URL(url).host}${new URL(url).pathname}`;
        for (const problem of problems) expect(problem).toMatchObject({ retryable: true, where });
      }
    });

    test("X25 stopped as it stands: calls fail in time, the pool mends by itself, nothing is lost or doubled", async () => {
      await using state = await open(quick);
      const deciders = await decideThrough(state, async () => {
        server.pause();
        await sleep(6_500);
        server.resume();
      });
      for (const { problems, longestMs } of deciders) {
        expect(longestMs, "limit, grace, patience, and a connection").toBeLessThan(6_500);
        expect(problems.length).toBeGreaterThan(0);
      }
      expect(await measured(state, "state_connections_waiting")).toBe(0);
    });

    describe("X26 the connection is lost", () => {
      let proxy: TcpProxy;
      let state: State;
      beforeEach(async () => {
        proxy = await startProxy(server.port);
        const through = new URL(url);
        through.port = String(proxy.port);
        state = await open({ ...quick, patienceMs: 2_000 }, through.href);
      });
      const closing = async (): Promise<void> => {
        await state[Symbol.asyncDispose]();
        await proxy[Symbol.asyncDispose]();
      };

      const cuts = ["before", "answered", "late"] as const;

      test.each(cuts)("at COMMIT (%s): each decision is there once, and its maker knows", async (when) => {
        const cut = async <T>(work: () => Promise<T>, text = "COMMIT"): Promise<T> => {
          const cutAt: CutAt = { text, when };
          const before = proxy.cuts;
          await proxy.set({ cutAt });
          const result = await work();
          expect(proxy.cuts - before, "it was cut").toBe(1);
          return result;
        };
        const first = alert("a1");
        const opened = { transitions: [transition("t1", "a1")], outbox: [item("o1")], audit: [entry("e1")] };
        expect(
          await cut(() => state.alerts.apply(changes({ alerts: [{ before: null, after: first }], ...opened }))),
        ).toBe(true);
        const next = { ...first, lastSlotMs: first.lastSlotMs + 60_000 };
        const again = { alerts: [{ before: first, after: next }], transitions: [transition("t2", "a1")] };
        expect(await cut(() => state.alerts.apply(changes(again)))).toBe(true);
        expect(await state.alerts.apply(changes(again)), "is done already").toBe(false);
        expect(await state.alerts.standing()).toEqual([{ ...next, version: 2 }]);
        expect((await state.alerts.transitions("a1")).map(({ id }) => id)).toEqual(["t1", "t2"]);
        const atMs = item("o1").dueMs;
        expect(await cut(() => state.outbox.claim("w1", atMs, 30_000, 5))).toMatchObject([{ id: "o1", attempts: 1 }]);
        expect(await cut(() => state.outbox.settle("o1", "w1", { state: "sent", receipt: "r" }, atMs))).toBe(true);
        expect(await state.outbox.get("o1")).toMatchObject({ state: "sent", attempts: 1, receipt: "r" });
        await cut(() => state.audit.add([entry("e2")]));
        expect((await state.audit.list({ limit: 9 })).map(({ id }) => id).sort()).toEqual(["e1", "e2"]);
        expect(await measured(state, "state_unsettled_total")).toBe(5);
        await closing();
      });

      test.each(cuts)("at a lease and at its end (%s): whoever took the slot knows", async (when) => {
        const { startMs, dueMs } = slot(-3);
        await state.slots.add([slot(-3)]);
        await proxy.set({ cutAt: { text: "lease_owner", when } });
        const leased = await state.slots.lease(slot(-3), "w1", dueMs, dueMs + 60_000);
        expect(leased).toMatchObject({ leaseOwner: "w1", attempts: 1 });
        await proxy.set({ cutAt: { text: "lease_owner", when } });
        expect(await state.slots.finish(slot(-3), "w1", { state: "done", rows: 2 }, dueMs + 5)).toBe(true);
        expect(await state.slots.get("orders", startMs)).toMatchObject({ state: "done", rows: 2, attempts: 1 });
        expect(proxy.cuts).toBe(2);
        await closing();
      });

      test("at COMMIT, and the server stays away: that it may have taken effect is said", async () => {
        await proxy.set({ cutAt: { text: "COMMIT", when: "answered" } });
        const begun = { alerts: [{ before: null, after: alert("a1") }], transitions: [transition("t1", "a1")] };
        const applying = state.alerts.apply(changes(begun)).catch((thrown: unknown) => thrown);
        while (proxy.cuts === 0) await sleep(1);
        await proxy.set({ mode: "down" });
        expect(await applying).toMatchObject({ name: "Problem", retryable: true, uncertain: true });
        await proxy.set({});
        expect(await state.alerts.standing()).toHaveLength(1);
        expect(await state.alerts.apply(changes(begun)), "is done already").toBe(false);
        expect(await state.alerts.transitions("a1")).toHaveLength(1);
        await closing();
      });
    });

    test("X27 a deadlock in which we are the one to give way: done again", async () => {
      await using state = await open({});
      await state.alerts.apply(changes({ alerts: ["a1", "a2"].map((id) => ({ before: null, after: alert(id) })) }));
      const [one, two] = await state.alerts.standing();
      const heavy = Array.from({ length: 200 }, (_, n) => `('h${n}', 1, 'a', 'b', 'c', 'd')`).join(", ");
      const other = await session(server, url, [
        // Who has written more is not the one that InnoDB gives up; PostgreSQL gives up who looks first.
        kind === "PostgreSQL" ? "set deadlock_timeout = '30s'" : "select 1",
        "begin",
        `insert into audit (id, at_ms, actor, action, subject, detail) values ${heavy}`,
        "update alerts set reason = 'theirs' where id = 'a2'",
      ]);
      const alerts = [one, two].map((each) => {
        const before = each as Alert;
        return { before, after: { ...before, recent: "g" } };
      });
      const applying = state.alerts.apply(changes({ alerts, transitions: [transition("t1", "a1")] }));
      await sleep(300);
      // We have the first and wait for the second; they have the second and ask for the first.
      await other.query("update alerts set reason = 'theirs' where id = 'a1'");
      await other.query("rollback");
      expect(await applying).toBe(true);
      await other.end();
      expect(await state.alerts.standing()).toMatchObject([{ recent: "g" }, { recent: "g" }]);
      expect(await measured(state, "state_retries_total"), "we gave way").toBe(1);
    });

    test("X27 a lock that another holds for longer than we wait: done again when it is free", async () => {
      await using state = await open(quick);
      await state.alerts.apply(changes({ alerts: [{ before: null, after: alert("a1") }] }));
      const [before] = await state.alerts.standing();
      const other = await session(server, url, ["begin", "update alerts set reason = 'theirs' where id = 'a1'"]);
      const change = { before: before as Alert, after: { ...(before as Alert), recent: "g" } };
      const applying = state.alerts.apply(changes({ alerts: [change], transitions: [transition("t1", "a1")] }));
      await sleep(1_600);
      await other.query("rollback");
      expect(await applying).toBe(true);
      await other.end();
      expect(await measured(state, "state_retries_total")).toBeGreaterThanOrEqual(1);
      expect(await state.alerts.transitions("a1")).toHaveLength(1);
    });

    test.each([
      { failures: 4, ends: "done" },
      { failures: 5, ends: "told" },
    ])("X27 $failures serialization failures: $ends, and nothing is half written", async ({ failures, ends }) => {
      const own = await server.database();
      await using state = await open({}, own);
      await failFirst(server, kind, own, failures);
      const begun = { alerts: [{ before: null, after: alert("a1") }], transitions: [transition("t1", "a1")] };
      const applied = await state.alerts.apply(changes(begun)).catch((thrown: unknown) => thrown);
      if (ends === "done") expect(applied).toBe(true);
      else expect(applied).toMatchObject({ name: "Problem", retryable: true, uncertain: false });
      expect(await state.alerts.standing()).toHaveLength(ends === "done" ? 1 : 0);
      expect(await state.alerts.transitions("a1")).toHaveLength(ends === "done" ? 1 : 0);
    });

    test("X27 two processes change the same alerts in every order, and plan the same slots: lost 0, doubled 0", async () => {
      await using one = await open({});
      await using two = await open({});
      const ids = Array.from({ length: 12 }, (_, n) => `a${n}`);
      await one.alerts.apply(changes({ alerts: ids.map((id) => ({ before: null, after: alert(id) })) }));
      let applied = 0;
      const change = async (state: State, worker: number): Promise<void> => {
        for (let turn = 0; turn < 12; turn += 1) {
          const standing = await state.alerts.standing();
          const some = standing.filter((_, index) => (index * 7 + turn + worker) % 3 === 0);
          if (turn % 2) some.reverse();
          const alerts = some.map((before) => ({ before, after: { ...before, worstObserved: turn } }));
          const id = `t ${worker} ${turn}`;
          const told = { transitions: [transition(id, "a0")], outbox: [item(id, { noticeKey: id })] };
          if (await state.alerts.apply(changes({ alerts, ...told }))) applied += some.length;
        }
      };
      const workers = [one, two, one, two, one, two].map(change);
      const slots = Array.from({ length: 1_500 }, (_, n) => slot(-n - 1, `s${n % 50}`));
      await Promise.all([...workers, one.slots.add(slots), two.slots.add([...slots].reverse())]);
      const versions = (await one.alerts.standing()).reduce((sum, { version }) => sum + version - 1, 0);
      expect(versions).toBe(applied);
      expect(applied).toBeGreaterThan(0);
      expect(await one.slots.counts()).toMatchObject({ due: slots.length });
      const told = await one.alerts.transitions("a0");
      expect((await one.outbox.list({ limit: 1_000 })).length).toBe(told.length);
    });
  });
});

type Session = { query(sql: string): Promise<unknown>; end(): Promise<void> };

/** A session of somebody else's, which keeps its transaction open. */
async function session(server: Server, url: string, statements: readonly string[]): Promise<Session> {
  const opened = await server.session(url);
  for (const each of statements) await opened.query(each);
  return opened;
}

/** The first `failures` inserts into `transitions` fail as a transaction does that could not be put in order. */
async function failFirst(server: Server, kind: string, url: string, failures: number): Promise<void> {
  const statements =
    kind === "PostgreSQL"
      ? [
          "create sequence failed",
          `create function fail() returns trigger language plpgsql as $$ begin
             if nextval('failed') <= ${failures} then raise exception 'fails' using errcode = '40001'; end if;
             return new; end $$`,
          "create trigger fail before insert on transitions for each row execute function fail()",
        ]
      : [
          "create sequence failed",
          `create trigger fail before insert on transitions for each row begin
             if nextval(failed) <= ${failures} then
               signal sqlstate '40001' set mysql_errno = 1213, message_text = 'fails'; end if; end`,
        ];
  for (const each of statements) await server.query(each, url);
}
