import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Calendar, Campaign } from "../../../src/core/definitions.ts";
import { buildConsole } from "../../../src/show/console/server.ts";
import { openShop, quiet, type Shop, shopProcesses } from "../../support/console.ts";
import { ShakyStore } from "../../support/shaky.ts";

/** The API over a real series store, a real state database and a real mailbox folder. */

let shop: Shop;
let app: Awaited<ReturnType<typeof buildConsole>>;

beforeAll(async () => {
  shop = await openShop();
  app = await buildConsole({ facts: shop.facts, log: quiet, webDir: "/nowhere" });
});
afterAll(async () => {
  await app.close();
  await shop[Symbol.asyncDispose]();
});

async function get(url: string, headers: Record<string, string> = {}) {
  const response = await app.inject({ method: "GET", url: `/api/v1${url}`, headers });
  return {
    status: response.statusCode,
    headers: response.headers,
    body: response.body === "" ? null : response.json(),
  };
}

async function post(url: string, payload: unknown, headers: Record<string, string> = {}) {
  const options = {
    method: "POST" as const,
    url: `/api/v1${url}`,
    headers: { "content-type": "application/json", ...headers },
  };
  const response = await app.inject({ ...options, payload: JSON.stringify(payload) });
  return {
    status: response.statusCode,
    headers: response.headers,
    body: response.body === "" ? null : response.json(),
  };
}

const germany = 'orders{country="Germany"}.orders';
const encoded = encodeURIComponent(germany);

describe("overview", () => {
  test("the worst series come first, each with its latest verdict and an hour of points", async () => {
    const { status, body } = await get("/overview");
    expect(status).toBe(200);
    const levels: string[] = body.items.map((item: { level: string }) => item.level);
    const order = ["critical", "warning", "unknown", "normal", "unjudged"];
    expect(levels).toEqual([...levels].sort((a, b) => order.indexOf(a) - order.indexOf(b)));
    const [worst] = body.items;
    expect(worst).toMatchObject({
      series: germany,
      level: "critical",
      observed: 0,
      at: "2026-11-20T14:29:00Z",
      zone: "Europe/London",
      alert: { state: "firing", severity: "critical", incident: shop.openIncident },
    });
    expect(worst.expected).toBeGreaterThan(20);
    expect(worst.spark.observed).toHaveLength(60);
    expect(worst.spark.levels.filter((level: string) => level === "critical")).toHaveLength(18);
    // Six countries judged, their amounts stored only, two providers, one hourly series.
    expect(body.counts).toEqual({ critical: 1, warning: 1, unknown: 1, normal: 6, unjudged: 6 });
  });

  test("a quiet quarter of an hour is a gap in the spark line, never zero", async () => {
    const { body } = await get("/overview?q=adyen");
    // Silent for 15 of the minutes before the last 80; the line shows the last 60, all of them there.
    expect(body.items[0].spark.observed).not.toContain(null);
    const points = (
      await get(`/series/points?series=${encodeURIComponent('payments{provider="adyen"}.success_rate')}&from=now-2h`)
    ).body;
    expect(points.observed.filter((value: number | null) => value === null)).toHaveLength(15);
    expect(points.observed).not.toContain(0);
  });

  test("a cron schedule shows its own last points", async () => {
    const { body } = await get("/overview?sampler=shop-cancelled");
    expect(body.items).toHaveLength(1);
    expect(body.items[0].spark.observed).toHaveLength(60);
    expect(body.items[0].spacingMs).toBe(3_600_000);
  });

  test.each([
    ["q=germany", 2],
    ["q=germany%20payments", 0],
    ["q=GERMANY%20placed&level=critical", 1],
    ["level=critical,warning", 2],
    ["sampler=shop-payments", 2],
  ])("%s finds %i", async (query, total) => {
    const { body } = await get(`/overview?${query}`);
    expect(body.total).toBe(total);
    expect(body.items).toHaveLength(total);
  });

  test("pages by cursor give each series once, in the same order", async () => {
    const all = (await get("/overview?limit=500")).body.items.map((item: { series: string }) => item.series);
    const paged: string[] = [];
    let cursor = "";
    for (let page = 0; page < 10; page += 1) {
      const { body } = await get(`/overview?limit=4${cursor}`);
      paged.push(...body.items.map((item: { series: string }) => item.series));
      if (body.next === null) break;
      cursor = `&cursor=${body.next}`;
    }
    expect(paged).toEqual(all);
  });
});

test("what was read from a copy that is behind is marked as such", async () => {
  const shaky = new ShakyStore(shop.store);
  const other = await buildConsole({ facts: { ...shop.facts, store: shaky }, log: quiet, webDir: "/nowhere" });
  const stale = async (url: string) => (await other.inject({ method: "GET", url: `/api/v1${url}` })).json().stale;
  const amount = encodeURIComponent('orders{country="France"}.amount');
  const urls = ["/overview", `/series/points?series=${encoded}`, `/series/points?series=${amount}`];
  expect(await Promise.all(urls.map(stale))).toEqual([false, false, false]);
  shaky.reads = "behind";
  expect(await Promise.all(urls.map(stale))).toEqual([true, true, true]);
  await other.close();
});

describe("one series", () => {
  test("points, verdicts and the incidents of its window", async () => {
    const { status, body } = await get(`/series/points?series=${encoded}&from=now-1h`);
    expect(status).toBe(200);
    expect(body.at).toHaveLength(60);
    expect(body.at[0]).toBe("2026-11-20T13:30:00Z");
    expect(body.slotsPerPoint).toBe(1);
    for (const column of ["observed", "expected", "lower", "upper", "forecast", "level"])
      expect(body[column]).toHaveLength(60);
    expect(body.level.slice(-18)).toEqual(Array(18).fill("critical"));
    expect(body.marks).toEqual([
      expect.objectContaining({ incident: shop.openIncident, from: "2026-11-20T14:12:00Z", to: null, state: "open" }),
    ]);
  });

  test("a long window is thinned and loses neither the outage nor the highest point", async () => {
    const full = (await get(`/series/points?series=${encoded}&from=now-24h`)).body;
    const thin = (await get(`/series/points?series=${encoded}&from=now-24h&points_max=100`)).body;
    expect(full.at).toHaveLength(1_440);
    expect(thin.at.length).toBeLessThanOrEqual(100);
    expect(thin.slotsPerPoint).toBeGreaterThan(10);
    expect(Math.max(...thin.observed)).toBe(Math.max(...full.observed));
    expect(Math.min(...thin.observed)).toBe(0);
    expect(thin.level).toContain("critical");
  });

  test("a field that is stored only has values and no verdicts", async () => {
    const { body } = await get(`/series/points?series=${encodeURIComponent('orders{country="France"}.amount')}`);
    expect(body.judged).toBe(false);
    expect(body.at).toHaveLength(60);
    expect(new Set(body.level)).toEqual(new Set(["unjudged"]));
  });

  test("why a point is critical, for a moment inside its slot", async () => {
    const { status, body } = await get(`/series/explain?series=${encoded}&at=2026-11-20T14:20:31Z`);
    expect(status).toBe(200);
    expect(body).toMatchObject({ at: "2026-11-20T14:20:00Z", level: "critical", observed: 0 });
    expect(body.baseline.days).toHaveLength(7);
    expect(body.slot).toMatchObject({ state: "done", start: "2026-11-20T14:20:00Z" });
    expect(body.alerts[0].incident).toBe(shop.openIncident);
    expect(body.stood).toEqual([expect.stringMatching(/^Alert shop-orders was firing and still is /)]);
    expect(body.told).toEqual([expect.stringMatching(/^Ana Silva by email: opened sent at /)]);
    expect(body.judged).toMatchObject({ kind: "count", kindTold: true, today: expect.closeTo(1.04), drift: -3.2 });
    expect(body.judged.range.least).toBeLessThan(body.judged.range.most);
    for (const sentence of body.judged.sentences) expect(body.lines).toContain(sentence);
  });

  test("a time that has not come is noted", async () => {
    const { body } = await get(`/series/explain?series=${encoded}&at=2030-01-01T00:00:00Z`);
    expect(body).toMatchObject({ level: "unknown", judged: null, stored: null });
    expect(body.notes).toEqual(["This time lies in the future; this is what judging says of it now."]);
  });

  test.each([
    ["/series/points?series=orders", 400, "names several series"],
    [`/series/points?series=${encodeURIComponent("orders{country=Germany}.orders")}`, 400, "not a matcher"],
    [`/series/points?series=${encodeURIComponent('orders{country="Atlantis"}.orders')}`, 404, "no sampler makes"],
    [`/series/points?series=${encoded}&from=yesterday`, 400, "not a time"],
    [`/series/points?series=${encoded}&from=now&to=now-1h`, 400, "ends before it begins"],
    [`/series/points?series=${encoded}&from=now-90d`, 400, "the window holds 129600 slots, at most 50000"],
    [`/series/points?series=${encoded}&points_max=1`, 400, "points_max"],
    [`/series/explain?series=${encodeURIComponent('orders{country="France"}.amount')}&at=now`, 404, "nobody judges"],
    ["/series/explain", 400, "series: is missing; at: is missing"],
    [`/series/explain?series=${encoded}`, 400, "at: is missing"],
  ])("%s is refused with %i", async (url, status, detail) => {
    const answer = await get(url);
    expect(answer.status).toBe(status);
    expect(answer.headers["content-type"]).toContain("application/problem+json");
    expect(answer.body.detail).toContain(detail);
    expect(answer.body.fix).toEqual(expect.any(String));
  });
});

describe("incidents", () => {
  test("a list by state and one with its story; addresses are masked", async () => {
    expect((await get("/incidents")).body.items).toHaveLength(2);
    expect((await get("/incidents?state=resolved")).body.items[0].id).toBe(shop.oldIncident);
    const { body } = await get(`/incidents/${shop.oldIncident}`);
    expect(body.alerts[0]).toMatchObject({ state: "resolved", worstObserved: 3 });
    expect(body.transitions.map((one: { to: string }) => one.to)).toContain("acknowledged");
    expect(body.deliveries[0]).toMatchObject({ recipient: "a***@shop.example", name: "Ana Silva", state: "sent" });
    expect(JSON.stringify(body)).not.toContain("ana@shop.example");
    expect((await get("/incidents/none")).status).toBe(404);
  });

  test("the first acknowledgement wins; the second hears who and when", async () => {
    const { version } = (await get(`/incidents/${shop.openIncident}`)).body;
    const url = `/incidents/${shop.openIncident}/acknowledge`;
    expect((await post(url, { by: "  " })).status).toBe(400);
    expect((await post(url, { by: "Ana", rank: 1 })).status).toBe(400);
    expect((await post(url, {})).body.errors).toEqual([{ path: "by", detail: "is missing" }]);
    expect((await post(url, { by: null })).body.detail).toBe("by: Invalid input: expected string, received null");
    expect((await post("/incidents/none/acknowledge", { by: "Ana" })).status).toBe(404);
    const stale = await post(url, { by: "Ben Ito", version: version + 7 });
    expect(stale.status).toBe(409);
    expect(stale.body).toMatchObject({ detail: "it has changed since you looked", acknowledgedBy: null });

    const first = await post(url, { by: "Ana Silva", version });
    expect(first.status).toBe(200);
    expect(first.body).toMatchObject({ state: "acknowledged", acknowledgedBy: "Ana Silva", version: version + 1 });
    const second = await post(url, { by: "Ben Ito", version });
    expect(second.status).toBe(409);
    expect(second.body).toMatchObject({ acknowledgedBy: "Ana Silva", acknowledgedAt: "2026-11-20T14:30:00Z" });
    expect(second.body.detail).toBe("Ana Silva acknowledged it at 2026-11-20T14:30:00Z");
    expect((await shop.state.audit.list({ limit: 5 }))[0]).toMatchObject({
      actor: "Ana Silva",
      action: "incident.acknowledge",
    });
  });
});

describe("silences", () => {
  test("add, list, end", async () => {
    const draft = { matchers: ['country="Spain"'], reason: "New shop", author: "Ana", ends: "now+2h" };
    const added = await post("/silences", draft);
    expect(added.status).toBe(201);
    expect(added.body).toMatchObject({ active: true, starts: "2026-11-20T14:30:00Z", ends: "2026-11-20T16:30:00Z" });
    expect(await shop.state.silences.active(shop.clock.nowMs())).toHaveLength(2);
    expect((await post(`/silences/${added.body.id}/end`, { by: "Ana" })).status).toBe(204);
    expect((await post(`/silences/${added.body.id}/end`, { by: "Ana" })).status).toBe(404);
    const listed = (await get("/silences")).body.items;
    expect(listed.find((one: { id: string }) => one.id === added.body.id).active).toBe(false);
  });

  test.each([
    [{ matchers: [] }, "matchers"],
    [{ matchers: ["country"] }, "not a matcher"],
    [{ matchers: ['country=~"(?=x)"'] }, "not a linear regular expression"],
    [{ ends: "now+40d" }, "more than 30 days"],
    [{ ends: "now-1h" }, "ended already"],
    [{ ends: "tomorrow" }, "not a time"],
    [{ starts: "now+3h" }, "ends before it starts"],
    [{ reason: "" }, "reason"],
  ])("%j is refused", async (wrong, detail) => {
    const draft = { matchers: ['country="Spain"'], reason: "New shop", author: "Ana", ends: "now+2h", ...wrong };
    const answer = await post("/silences", draft);
    expect(answer.status).toBe(400);
    expect(answer.body.detail).toContain(detail);
  });
});

describe("shadow periods", () => {
  const url = "/samplers/shop-cancelled/shadow/end";
  const card = async () => (await get("/samplers")).body.items[0].shadow;

  test.each([
    ["/samplers/shop-none/shadow/end", 404, 'there is no sampler "shop-none"'],
    ["/samplers/shop-orders/shadow/end", 404, "there is no shadow period to end: it has none"],
  ])("%s is refused with %i", async (wrong, status, detail) => {
    const answer = await post(wrong, { by: "Ana" });
    expect(answer.status).toBe(status);
    expect(answer.body).toMatchObject({ detail, fix: "see /api/v1/samplers" });
  });

  test("an order without a name, with more than it, or from elsewhere ends nothing", async () => {
    expect((await post(url, { by: "  " })).status).toBe(400);
    expect((await post(url, {})).status).toBe(400);
    expect((await post(url, { by: "Ana", at: "now" })).status).toBe(400);
    expect((await post(url, { by: "Ana" }, { origin: "https://elsewhere.example" })).status).toBe(403);
    expect(await card()).toMatchObject({ began: "2026-11-11T14:30:00Z", ended: null, endedBy: null });
  });

  test("of two who end it at once one does; the other hears who, and so does who comes later", async () => {
    const names = ["Ana Silva", "Ben Ito"];
    const answers = await Promise.all(names.map((by) => post(url, { by })));
    expect(answers.map(({ status }) => status).sort()).toEqual([204, 409]);
    const first = names[answers.findIndex(({ status }) => status === 204)];
    const detail = `there is no shadow period to end: it ended at 2026-11-20T14:30:00Z by ${first}`;
    expect(answers.find(({ status }) => status === 409)?.body.detail).toBe(detail);
    expect((await post(url, { by: "Cleo" })).body).toMatchObject({ status: 409, detail });
    expect(await card()).toMatchObject({ ended: "2026-11-20T14:30:00Z", endedBy: first });
    const audit = (await shop.state.audit.list({ limit: 20 })).filter(({ action }) => action === "shadow.end");
    expect(audit).toMatchObject([{ actor: first, subject: "shop-cancelled", detail: "shadow: true" }]);
  });
});

describe("the calendar of a series", () => {
  const calendar = async (series: string, window: string) => {
    const { status, body } = await get(`/series/points?series=${encodeURIComponent(series)}&${window}`);
    expect(status).toBe(200);
    return body.calendar;
  };

  test("days off by name, those in a row as one, and the campaign that means the series", async () => {
    expect(await calendar('orders{country="United Kingdom"}.orders', "from=now-40h")).toEqual({
      days: [{ type: "holiday", name: "Founders' days", from: "2026-11-18T00:00:00Z", to: "2026-11-20T00:00:00Z" }],
      campaigns: [
        {
          ...{ title: "Flash sale", from: "2026-11-20T12:00:00Z", to: "2026-11-20T18:00:00Z" },
          ...{ uplift: { min: 1.5, max: 2 }, like: null },
        },
      ],
      campaignsLeft: 0,
    });
    const none = { days: [], campaigns: [], campaignsLeft: 0 };
    expect(await calendar(germany, "from=now-6h")).toEqual(none);
    expect(await calendar('orders{country="United Kingdom"}.amount', "from=now-6h")).toEqual(none);
    const french = await calendar('orders{country="France"}.orders', "from=now-6h");
    expect(french.campaigns).toMatchObject([
      { title: "Advent", uplift: null, like: { day: "2026-10-20", scale: 1.1 } },
    ]);
  });

  test("weekends, and those that are worked; both by the wall clock of the sampler", async () => {
    expect((await calendar("cancelled.orders", "from=now-6d")).days).toMatchObject([
      { type: "weekend", name: null, from: "2026-11-14T00:00:00Z", to: "2026-11-15T00:00:00Z" },
      { type: "workday", name: "Stocktaking", from: "2026-11-15T00:00:00Z" },
      { type: "holiday", name: "Founders' days" },
    ]);
    // The night in which clocks went back is a day of 25 hours.
    const autumn = "from=2026-10-24T12:00:00Z&to=2026-10-25T12:00:00Z";
    expect((await calendar("cancelled.orders", autumn)).days).toMatchObject([
      { type: "weekend", from: "2026-10-23T23:00:00Z", to: "2026-10-26T00:00:00Z" },
    ]);
  });

  test("of more than 92 days none is told, of more than 100 campaigns the first, and how many more there are", async () => {
    expect((await calendar("cancelled.orders", "from=now-93d")).days).toBeNull();
    expect((await calendar("cancelled.orders", "from=now-92d")).days).toHaveLength(15);
    const { definitions: known, problems } = shop.facts.definitions();
    const own = known.calendars.get("shop") as Calendar;
    const [sale] = own.campaigns as [Campaign];
    const campaigns = [...Array(103).keys()].map((hour) => ({
      ...{ ...sale, title: `Sale ${hour}`, match: [] },
      ...{ fromMs: sale.fromMs - (hour + 1) * 3_600_000, toMs: sale.fromMs - hour * 3_600_000 },
    }));
    const calendars = new Map([["shop", { ...own, campaigns }]]);
    const definitions = () => ({ definitions: { ...known, calendars }, problems });
    const other = await buildConsole({ facts: { ...shop.facts, definitions }, log: quiet, webDir: "/nowhere" });
    const found = (await other.inject("/api/v1/series/points?series=cancelled.orders&from=now-6d")).json().calendar;
    await other.close();
    expect(found).toMatchObject({ campaignsLeft: 3 });
    expect(found.campaigns).toHaveLength(100);
  });

  test("a sampler without a calendar knows weekends alone", async () => {
    const { definitions: known, problems } = shop.facts.definitions();
    const samplers = new Map([...known.samplers].map(([name, each]) => [name, { ...each, calendar: null }]));
    const definitions = () => ({ definitions: { ...known, samplers }, problems });
    const other = await buildConsole({ facts: { ...shop.facts, definitions }, log: quiet, webDir: "/nowhere" });
    const found = (await other.inject("/api/v1/series/points?series=cancelled.orders&from=now-6d")).json().calendar;
    await other.close();
    expect(found).toEqual({
      days: [{ type: "weekend", name: null, from: "2026-11-14T00:00:00Z", to: "2026-11-16T00:00:00Z" }],
      campaigns: [],
      campaignsLeft: 0,
    });
  });
});

describe("samplers, slots, definitions, mailbox, health", () => {
  test("a sampler tells its next slot, how late it is, and its last error", async () => {
    const { body } = await get("/samplers");
    const [cancelled, orders, payments] = body.items;
    expect(orders).toMatchObject({
      name: "shop-orders",
      schedule: "every 1m, 5s after its end",
      lateMs: 0,
      lastError: null,
      priority: "medium",
    });
    expect(orders.next).toMatchObject({ start: "2026-11-20T14:30:00Z", end: "2026-11-20T14:31:00Z" });
    expect(orders.slots).toHaveLength(20);
    expect(cancelled.active).toBe("Mon Tue Wed Thu Fri 08:00-17:00 (Europe/London)");
    // Slots of 14:28 and 14:29 still wait; the older one was due at 14:29:05.
    expect(payments.lateMs).toBe(55_000);
    expect(payments.lastError).toMatchObject({
      slot: "2026-11-20T14:23:00Z",
      error: expect.stringContaining("SRC-003"),
    });
  });

  test("a sampler tells what the slots of the last hour took, how long it waits and what it reads again", async () => {
    const [cancelled, orders, payments] = (await get("/samplers")).body.items;
    // Started from 13:30:05 to 14:30:05, one in ten 2 s late and the others 0.4 s; each asked for 30.5 ms.
    expect(orders.usage).toEqual({
      runs: 61,
      failed: 0,
      caughtUp: 0,
      latenessMsAvg: expect.closeTo((6 * 2_000 + 55 * 400) / 61, 6),
      latenessMsMax: 2_000,
      durationMsAvg: 250,
      durationMsMax: 250,
      rows: 366,
      rowsRead: 14_640,
      serverMs: 1_860.5,
    });
    expect(orders).toMatchObject({ graceMs: 0, resample: 0, historyMs: 0 });
    // The slot of 14:29 has not been started, that of 14:28 found nothing, that of 14:23 failed.
    expect(payments.usage).toMatchObject({ runs: 60, failed: 1, rows: 348, rowsRead: 0 });
    expect(payments).toMatchObject({ graceMs: 120_000, resample: 3, historyMs: 15 * 86_400_000 });
    expect(cancelled.usage).toMatchObject({ runs: 1, latenessMsMax: 400 });
  });

  test("a sampler of which nothing ran within the hour has no figures, rather than zeros", async () => {
    const { usage } = shop.facts;
    const orders = async () => new Map([...(await usage())].filter(([name]) => name === "shop-orders"));
    const other = await buildConsole({ facts: { ...shop.facts, usage: orders }, log: quiet, webDir: "/nowhere" });
    const { items } = (await other.inject("/api/v1/samplers")).json();
    await other.close();
    const found = items.map((item: { name: string; usage: object | null }) => [item.name, item.usage === null]);
    expect(found).toEqual([
      ["shop-cancelled", true],
      ["shop-orders", false],
      ["shop-payments", true],
    ]);
  });

  test("a slot tells what is known of its data, and what the read cost", async () => {
    const payments = (await get("/slots?sampler=shop-payments&limit=8")).body.items;
    expect(payments.map((slot: { state: string; dataState: string | null }) => [slot.state, slot.dataState])).toEqual([
      ["due", null],
      ["due", "late"],
      ["done", "value"],
      ["done", "value"],
      ["done", "value"],
      ["done", "value"],
      ["failed", "source-down"],
      ["done", "value"],
    ]);
    expect(payments[2]).toMatchObject({ serverMs: 30.5, rowsRead: null });
    expect(payments[6]).toMatchObject({ serverMs: null, rowsRead: null });
    const [orders] = (await get("/slots?sampler=shop-orders&limit=1")).body.items;
    expect(orders).toMatchObject({ serverMs: 30.5, rowsRead: 240 });
  });

  test("processes: what each does, since when, and which are gone; what they tell each other is not told", async () => {
    const { status, body } = await get("/processes");
    expect(status).toBe(200);
    expect(body.items).toEqual([
      {
        id: "shop-1",
        roles: ["scheduler", "worker", "console"],
        host: "shop-1.internal",
        pid: 4_711,
        version: "0.1.0-test",
        started: "2026-11-18T07:05:00Z",
        seen: "2026-11-20T14:29:58Z",
        alive: true,
      },
      expect.objectContaining({ id: "shop-2", roles: ["worker"], seen: "2026-11-20T14:22:00Z", alive: false }),
    ]);
    expect(Object.keys(shopProcesses[0].detail)).toContain("lagsMs");
    expect(JSON.stringify(body)).not.toContain("lagsMs");
  });

  test("samplers by cursor", async () => {
    const first = (await get("/samplers?limit=2")).body;
    const second = (await get(`/samplers?limit=2&cursor=${first.next}`)).body;
    expect([...first.items, ...second.items].map((one) => one.name)).toEqual([
      "shop-cancelled",
      "shop-orders",
      "shop-payments",
    ]);
    expect(second.next).toBeNull();
  });

  test("slots by cursor: none is left out where two samplers share a start", async () => {
    const seen: string[] = [];
    let cursor = "";
    do {
      const { body } = await get(`/slots?limit=7${cursor}`);
      seen.push(...body.items.map((slot: { sampler: string; start: string }) => `${slot.sampler} ${slot.start}`));
      cursor = body.next === null ? "" : `&cursor=${body.next}`;
    } while (cursor !== "");
    expect(seen).toHaveLength(270);
    expect(new Set(seen).size).toBe(270);
    expect((await get("/slots?state=failed")).body.items).toHaveLength(1);
    expect((await get("/slots?cursor=bm9uc2Vuc2U")).status).toBe(400);
  });

  test("faults of the definitions say where and how to fix", async () => {
    const { body } = await get("/definitions/problems");
    expect(body.items).toEqual([
      expect.objectContaining({ where: "samplers/shop/refunds.yaml:9:12", fix: expect.stringContaining("country") }),
    ]);
  });

  test("a message is shown in a page of its own that runs nothing", async () => {
    const { body } = await get("/mailbox");
    expect(body.items).toHaveLength(3);
    expect(body.items[0].to).toBe("a***@shop.example");
    const mail = (await get(`/mailbox/${body.items[0].id}`)).body;
    expect(mail).toMatchObject({ hasHtml: true, subject: body.items[0].subject });
    const html = await app.inject(`/api/v1/mailbox/${body.items[0].id}/html`);
    expect(html.headers["content-type"]).toContain("text/html");
    expect(html.headers["content-security-policy"]).toMatch(/^sandbox; default-src 'none'/);
    expect(html.body).toContain("data:image/png;base64,");
    expect((await get("/mailbox/..%2Fstate.db")).status).toBe(400);
    expect((await get("/mailbox/none")).status).toBe(404);
  });

  test("health", async () => {
    const { body } = await get("/health");
    expect(body).toMatchObject({ now: "2026-11-20T14:30:00Z", ready: true, samplers: 3, problems: 1, mailbox: true });
    expect(body.slots).toMatchObject({ due: 2, failed: 1 });
    expect(body.deliveries).toMatchObject({ sent: 3 });
  });
});
