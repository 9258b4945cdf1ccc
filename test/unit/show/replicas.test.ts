import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { buildConsole } from "../../../src/show/console/server.ts";
import { openShop, quiet, type Shop } from "../../support/console.ts";

/** The API over two copies, one of which lags, was restarted and refuses points. */

let shop: Shop;
let app: Awaited<ReturnType<typeof buildConsole>>;

beforeEach(async () => {
  shop = await openShop(0);
  app = await buildConsole({ facts: shop.facts, log: quiet, webDir: "/nowhere" });
});
afterEach(async () => {
  await app.close();
  await shop[Symbol.asyncDispose]();
});

async function get(url: string) {
  const response = await app.inject(`/api/v1${url}`);
  return { status: response.statusCode, body: response.json() };
}

async function post(url: string, payload: object) {
  const response = await app.inject({ method: "POST", url: `/api/v1${url}`, payload });
  return { status: response.statusCode, body: response.json() };
}

describe("how the copies are", () => {
  test("lag in points and time, dirty windows, shelf, doubt, last repair, disk", async () => {
    const { status, body } = await get("/replicas");
    expect(status).toBe(200);
    const [a, b] = body.replicas;
    expect(a).toMatchObject({ name: "a", well: true, lagPoints: 0, lagMs: 0, dirtyWindows: 0, doubt: null });
    expect(b).toMatchObject({
      name: "b",
      well: false,
      reason: "no answer within 10s",
      // 48,210 raw points and 860 of the hours.
      lagPoints: 49_070,
      // Since 14:21, at 14:30.
      lagMs: 540_000,
      dirtyWindows: 14,
      shelf: 2,
      doubt: { reason: expect.stringContaining("restarted"), comparedBackTo: "2026-11-20T11:00:00Z" },
      repaired: "2026-11-20T14:06:00Z",
      facts: { version: "1.6.7", started: "2026-11-20T13:58:00Z", clockAheadMs: -4_000 },
    });
    expect(b.lanes.map((lane: { bucket: string; state: string }) => [lane.bucket, lane.state])).toEqual([
      ["", "failing"],
      ["bellwether_10m", "idle"],
      ["bellwether_1h", "parked"],
    ]);
    expect(b.lanes[0]).toMatchObject({ since: "2026-11-20T14:21:00Z", requestMs: 2_840_000 });
    for (const { spooled, acknowledged, pending, shelved, expired } of [...a.accounts, ...b.accounts]) {
      expect(acknowledged + pending + shelved + expired).toBe(spooled);
    }
    expect(body.spool).toMatchObject({ bytes: 312_400_000, bytesMax: 4_000_000_000, gaps: 2, unsealedWindows: 41 });
  });

  test("health says that there are copies", async () => {
    expect((await get("/health")).body.replicas).toBe(true);
  });

  test("where there are none, every path says how to get some", async () => {
    const bare = await buildConsole({ facts: { ...shop.facts, replicas: null }, log: quiet, webDir: "/nowhere" });
    const window = { from: "now-1d" };
    const answers = await Promise.all([
      bare.inject("/api/v1/replicas"),
      bare.inject("/api/v1/replicas/shelf"),
      bare.inject({ method: "POST", url: "/api/v1/replicas/compare", payload: window }),
      bare.inject({ method: "POST", url: "/api/v1/replicas/repair", payload: window }),
      bare.inject({ method: "POST", url: "/api/v1/replicas/requeue", payload: {} }),
    ]);
    const health = await bare.inject("/api/v1/health");
    await bare.close();
    for (const answer of answers) {
      expect(answer.statusCode).toBe(404);
      expect(answer.json().fix).toContain("INFLUX_URLS");
    }
    expect(health.json().replicas).toBe(false);
  });
});

describe("the shelf", () => {
  test("lines and reasons as they are, texts among the values cut short", async () => {
    const { body } = await get("/replicas/shelf");
    expect(body.total).toBe(3);
    expect(body.items.map(({ line }: { line: string }) => line)).toEqual([
      'payments,provider=adyen note="paid twice by customer Maria Oliveira, t\u2026",success_rate=0.97 1795183020000',
      "orders,country=United\\ Kingdom amount=1969.2,orders=92 1792533600000",
      "cancelled orders=7 1795179600000",
    ]);
    expect(body.items[1]).toMatchObject({ target: "b", expired: true, count: 38, first: "2026-11-20T14:02:00Z" });
    const everything = JSON.stringify([body, (await get("/replicas")).body]);
    expect(everything).toContain("Maria");
    expect(everything).not.toContain("told by phone");
  });

  test.each([
    // A quotation mark in a tag begins no text, one behind a backslash ends none.
    ['m,size=5" text="short" 1', 'm,size=5" text="short" 1'],
    [`m,a="${"x".repeat(60)}" v=1 1`, `m,a="${"x".repeat(60)}" v=1 1`],
    [`m,a=x\\ y text="\\"${"x".repeat(60)}",v=1 1`, `m,a=x\\ y text="\\"${"x".repeat(38)}\u2026",v=1 1`],
    [`m text="${"\u{1f600}".repeat(41)}" 1`, `m text="${"\u{1f600}".repeat(40)}\u2026" 1`],
  ])("%s", async (line, shown) => {
    const entry = { ...shop.replicas.shelf({ limit: 1 })[0], line };
    const replicas = { ...methodsOf(shop), shelf: () => [entry as ReturnType<Shop["replicas"]["shelf"]>[number]] };
    const other = await buildConsole({ facts: { ...shop.facts, replicas }, log: quiet, webDir: "/nowhere" });
    const { items } = (await other.inject("/api/v1/replicas/shelf")).json();
    await other.close();
    expect(items[0].line).toBe(shown);
  });

  test("of one copy, and no more than was asked for", async () => {
    const { body } = await get("/replicas/shelf?target=b&limit=1");
    expect(body.items.map(({ id }: { id: number }) => id)).toEqual([12]);
    expect(body.total).toBe(2);
    const wrong = await get("/replicas/shelf?target=c");
    expect(wrong.status).toBe(400);
    expect(wrong.body).toMatchObject({ detail: 'there is no copy "c"', fix: "name one of a, b" });
    expect((await get("/replicas/shelf?limit=1001")).status).toBe(400);
  });

  test("sent once more, of one copy or of all", async () => {
    expect((await post("/replicas/requeue", { target: "c" })).status).toBe(400);
    expect((await post("/replicas/requeue", { target: "b" })).body).toEqual({ taken: 0, left: 1 });
    expect((await post("/replicas/requeue", {})).body).toEqual({ taken: 1, left: 1 });
    expect((await get("/replicas/shelf")).body.total).toBe(2);
  });
});

describe("comparing and repairing", () => {
  test("a comparison tells where copies differ, a repair what it wrote", async () => {
    const window = { from: "2026-11-20T14:00:00Z", to: "now" };
    const compared = await post("/replicas/compare", window);
    expect(compared.status).toBe(200);
    expect(compared.body).toEqual({
      from: "2026-11-20T14:00:00Z",
      to: "2026-11-20T14:30:00Z",
      deep: false,
      // Six measurements, six windows of five minutes each.
      windows: 36,
      differingWindows: 2,
      differing: [
        { measurement: "orders", start: "2026-11-20T14:20:00Z" },
        { measurement: "orders", start: "2026-11-20T14:15:00Z" },
      ],
      repaired: 0,
      undecidedValues: 0,
      undecided: [],
    });
    const repaired = await post("/replicas/repair", { ...window, deep: true });
    expect(repaired.body).toMatchObject({ deep: true, repaired: 274, undecidedValues: 2 });
    expect((await post("/replicas/compare", window)).body.differingWindows).toBe(0);
    expect((await get("/replicas")).body.replicas[1].repaired).toBe("2026-11-20T14:30:00Z");
  });

  test("what is found is counted in full and listed up to a limit", async () => {
    const start = Date.parse("2026-11-01T00:00:00Z");
    const differing = Array.from({ length: 700 }, (_, index) => ({
      measurement: "m",
      startMs: start + index * 300_000,
    }));
    const undecided = Array.from({ length: 600 }, (_, index) => `value ${index}`);
    const found = { windows: 9_000, differing, repaired: 0, undecided };
    const replicas = { ...methodsOf(shop), compare: async () => found };
    const other = await buildConsole({ facts: { ...shop.facts, replicas }, log: quiet, webDir: "/nowhere" });
    const payload = { from: "now-40d" };
    const body = (await other.inject({ method: "POST", url: "/api/v1/replicas/compare", payload })).json();
    await other.close();
    expect(body).toMatchObject({ differingWindows: 700, undecidedValues: 600 });
    expect([body.differing.length, body.undecided.length]).toEqual([500, 500]);
  });

  test.each([
    [{ from: "now-41d" }, "longer than 40 days"],
    [{ from: "now-1h", to: "now-2h" }, "ends before it begins"],
    [{ from: "yesterday" }, "not a time"],
    [{}, "from"],
    [{ from: "now-1h", deep: "yes" }, "deep"],
    [{ from: "now-1h", deeply: true }, "deeply"],
  ])("%j is refused", async (body, detail) => {
    for (const what of ["compare", "repair"]) {
      const answer = await post(`/replicas/${what}`, body);
      expect(answer.status).toBe(400);
      expect(answer.body.detail).toContain(detail);
      expect(answer.body.fix).toEqual(expect.any(String));
    }
  });
});

describe("a long run", () => {
  const order = (signal?: AbortSignal): RequestInit => ({
    method: "POST",
    headers: { "content-type": "application/json" },
    body: '{"from": "now-30d"}',
    ...(signal && { signal }),
  });

  test("goes on while its caller waits, and is broken off when the caller is gone; meanwhile no other is taken", async () => {
    const slow = new SlowRun();
    const replicas = { ...methodsOf(shop), repair: slow.run };
    await using other = await listening({ ...shop.facts, replicas });
    const caller = new AbortController();
    const gone = fetch(`${other.url}/repair`, order(caller.signal)).catch((thrown) => thrown.name);
    const signal = await slow.begun;
    const second = await fetch(`${other.url}/compare`, order());
    expect(second.status).toBe(409);
    expect(await second.json()).toMatchObject({ detail: "a repair is running", fix: expect.any(String) });
    // The request has long been read: that alone must not end the run.
    expect(signal.aborted).toBe(false);
    caller.abort();
    expect(await gone).toBe("AbortError");
    await slow.broken;
    await expect.poll(async () => (await fetch(`${other.url}/compare`, order())).status).toBe(200);
  });

  test("is broken off with an answer when the console closes", async () => {
    const slow = new SlowRun();
    const replicas = { ...methodsOf(shop), repair: slow.run };
    const other = await listening({ ...shop.facts, replicas });
    const answer = fetch(`${other.url}/repair`, order());
    await slow.begun;
    await other[Symbol.asyncDispose]();
    const response = await answer;
    expect(response.status).toBe(503);
    expect((await response.json()).detail).toBe("the repair was broken off");
  });
});

/** Runs until it is broken off. */
class SlowRun {
  readonly #begun = Promise.withResolvers<AbortSignal>();
  readonly #broken = Promise.withResolvers<void>();
  readonly begun = this.#begun.promise;
  readonly broken = this.#broken.promise;

  readonly run = (_window: object, _deep: boolean, signal: AbortSignal): Promise<never> =>
    new Promise((_, reject) => {
      signal.addEventListener("abort", () => {
        this.#broken.resolve();
        reject(signal.reason);
      });
      this.#begun.resolve(signal);
    });
}

async function listening(facts: Shop["facts"]): Promise<AsyncDisposable & { url: string }> {
  const other = await buildConsole({ facts, log: quiet, webDir: "/nowhere" });
  const url = `${await other.listen({ host: "127.0.0.1", port: 0 })}/api/v1/replicas`;
  return { url, [Symbol.asyncDispose]: () => other.close() };
}

function methodsOf({ replicas }: Shop): NonNullable<Shop["facts"]["replicas"]> {
  return {
    status: () => replicas.status(),
    compare: (window) => replicas.compare(window),
    repair: (window) => replicas.repair(window),
    shelf: (filter) => replicas.shelf(filter),
    requeue: (target) => replicas.requeue(target),
  };
}
