import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { advanceCondition, bySeries, overAfterMs, ownGroup, seriesOf } from "../../../src/alert/condition.ts";
import { isEmpty } from "../../../src/alert/plan.ts";
import { parseSelector } from "../../../src/core/labels.ts";
import { type Alert, type Condition, ownName, type Silence } from "../../../src/core/model.ts";
import { definitions, group, minuteMs, person, route, sampler } from "./builders.ts";
import { World } from "./world.ts";

const startMs = Date.parse("2026-11-20T09:00:00Z");

function stuck(fields: Partial<Condition> = {}): Condition {
  return {
    kind: "replica-stuck",
    subject: "b",
    severity: "critical",
    reason: "restart influxd b: it goes on refusing writes although its disk has room again",
    sinceMs: startMs - 2 * minuteMs,
    ...fields,
  };
}
const behind = stuck({
  kind: "replica-behind",
  subject: "a",
  severity: "warning",
  reason: "see why influxd a is slow",
});

describe("one look at one condition", () => {
  const fired = advanceCondition(null, stuck({ severity: "warning" }), startMs, () => "id-1").after as Alert;
  const going = advanceCondition(fired, null, startMs + 10_000, () => "").after as Alert;

  test("fires at once, with what it is and since when, and no figures", () => {
    expect(fired).toMatchObject({
      rule: "self",
      sampler: "bellwether",
      labels: { rule: "self", sampler: "bellwether", condition: "replica-stuck", subject: "b" },
      state: "firing",
      severity: "warning",
      sinceMs: startMs - 2 * minuteMs,
      firedMs: startMs,
      observed: null,
      expected: null,
      reason: stuck().reason,
    });
  });

  type Row = [about: string, before: Alert | null, told: Condition | null, atMs: number, to: string | null];
  const rows: Row[] = [
    ["nothing stands, nothing is told", null, null, startMs, null],
    ["told again", fired, stuck({ severity: "warning" }), startMs + minuteMs, null],
    ["told again, said to have begun later", fired, stuck({ severity: "warning", sinceMs: startMs }), startMs, null],
    ["severity rises", fired, stuck(), startMs + minuteMs, "firing -> firing"],
    ["severity does not fall", { ...fired, severity: "critical" }, stuck({ severity: "warning" }), startMs, null],
    ["gone", fired, null, startMs + minuteMs, "firing -> recovering"],
    ["gone for less than 30 s", going, null, startMs + 10_000 + overAfterMs - 1, null],
    ["gone for 30 s", going, null, startMs + 10_000 + overAfterMs, "recovering -> resolved"],
    ["clock set back meanwhile", going, null, startMs - minuteMs, null],
    ["back before it was over", going, stuck({ severity: "warning" }), startMs + 20_000, "recovering -> firing"],
  ];
  test.each(rows)("%s", (_, before, told, atMs, to) => {
    const { after, transition } = advanceCondition(before, told, atMs, () => "id-2");
    expect(transition && `${transition.from} -> ${transition.to}`).toBe(to);
    if (to === null) expect(after).toBe(before);
    else expect(after?.version).toBe((before?.version as number) + 1);
  });

  test("it ended when it was first gone, not when that was believed", () => {
    const over = advanceCondition(going, null, startMs + minuteMs, () => "").after;
    expect(over).toMatchObject({ lastSlotMs: startMs + 10_000, resolvedMs: startMs + minuteMs, recent: "bgg" });
  });

  test("another reason is written down without a word to anybody", () => {
    const { after, transition } = advanceCondition(fired, { ...stuck(), severity: "warning", reason: "x" }, 0, String);
    expect([after?.reason, after?.version, transition]).toEqual(["x", 2, null]);
  });
});

test("of one condition told twice the worst counts", () => {
  const found = bySeries([stuck({ severity: "warning" }), stuck(), stuck({ severity: "warning" }), behind]);
  expect([...found.values()].map(({ severity }) => severity)).toEqual(["critical", "warning"]);
});

test("its series reads as one, whatever the subject", () => {
  const subject = 'b"}.\n';
  expect(parseSelector(seriesOf(stuck({ subject }))).field).toBe("replica-stuck");
  expect(seriesOf(stuck({ subject }))).not.toBe(seriesOf(stuck()));
});

test.each([
  ["replica-stuck", "b", "replica stuck (b)"],
  ["spool-full", "spool", "spool full"],
  ["points-refused", "spool", "points refused (spool)"],
])("%s of %s is called %s", (condition, subject, name) => {
  expect(ownName({ labels: { condition, subject } })).toBe(name);
});

describe("who hears it", () => {
  test.each([
    ["the first group that somebody is in", [group("empty", []), group("ops", ["bo"]), group("late", ["ana"])], "ops"],
    ["a pager is somebody", [group("pager", [], { steps: [{ notifier: "webhook", to: "x", waitMs: 0 }] })], "pager"],
    ["nobody", [group("empty", [])], ""],
    ["no groups at all", [], ""],
  ])("%s", (_, groups, expected) => {
    expect(ownGroup(definitions({ groups }))).toBe(expected);
  });
});

describe("through the path of every alert", () => {
  const ana = "ana@shop.example";
  const bo = "bo@shop.example";
  let world: World;
  beforeEach(async () => {
    const groups = [group("shop-team", ["ana"]), group("ops", ["bo"])];
    world = await World.open(definitions({ groups, people: [person("ana"), person("bo")] }));
  });
  afterEach(() => world[Symbol.asyncDispose]());

  /** Told every five seconds for a while, with ticks between; the words that were said meanwhile. */
  async function during(seconds: number, ...conditions: Condition[]): Promise<string[]> {
    const heard: string[] = [];
    for (let second = 0; second < seconds; second += 5) {
      await world.tell(...conditions);
      await world.later("5s");
      heard.push(...(await world.heard()));
    }
    return heard;
  }

  test("told once, after the group wait, however often it is told; its end is told to those who heard", async () => {
    expect(await during(10, stuck())).toEqual([`opened to ${ana} by email`]);
    expect(await during(600, stuck())).toEqual([]);
    expect(isEmpty(await world.tell(stuck()))).toBe(true);
    expect(await during(30)).toEqual([]);
    expect(await during(10)).toEqual([`resolved to ${ana} by email`]);
    expect(isEmpty(await world.tell())).toBe(true);
    const story = await world.state.alerts.incident((await world.incident())?.id as string);
    expect(story?.transitions.map(({ subject, from, to, reason }) => `${subject} ${from} ${to}: ${reason}`)).toEqual([
      "incident null open: replica stuck (b) fires, route 0",
      `alert null firing: ${stuck().reason}`,
      "alert firing recovering: it no longer holds",
      "alert recovering resolved: it is gone for 30s",
      "incident open resolved: all its alerts are resolved",
    ]);
  });

  test("nobody need tick: the first notice, repeats and the end are said by whoever tells", async () => {
    const heard: string[] = [];
    const tell = async (minutes: number, ...conditions: Condition[]): Promise<void> => {
      for (let second = 0; second < minutes * 60; second += 30) {
        await world.tell(...conditions);
        heard.push(...(await world.heard()));
        await world.clock.advance("30s");
      }
    };
    await tell(1, stuck());
    expect(heard).toEqual([`opened to ${ana} by email`]);
    await tell(4 * 60, stuck());
    expect(heard).toEqual([`opened to ${ana} by email`, `still to ${ana} by email`]);
    await tell(2);
    expect(heard.slice(2)).toEqual([`resolved to ${ana} by email`]);
  });

  test("...and says nothing of what slots tell", async () => {
    const down = { level: "warning" } as const;
    for (let slot = 0; slot < 3; slot += 1) await world.next(down);
    await world.later("10s");
    await world.send();
    await world.clock.advance("5h");
    expect(isEmpty(await world.tell())).toBe(true);
    await world.tick();
    expect(await world.heard()).toEqual([`still to ${ana} by email`]);
  });

  test("while not everything can be looked at nothing recovers, and what is new fires", async () => {
    await during(10, stuck());
    for (let second = 0; second < 120; second += 10) {
      await world.tellSome(...(second < 60 ? [] : [behind]));
      await world.clock.advance("10s");
    }
    expect((await world.state.alerts.standing()).map(({ state }) => state)).toEqual(["firing", "firing"]);
  });

  test("what comes and goes within 30 s is one alert, told once", async () => {
    const heard: string[] = [];
    for (let round = 0; round < 10; round += 1) {
      heard.push(...(await during(10, stuck())), ...(await during(25)));
    }
    expect(heard).toEqual([`opened to ${ana} by email`]);
    expect(await world.state.alerts.incidents({ limit: 9 })).toHaveLength(1);
  });

  test("several are one incident, told apart by name", async () => {
    await during(10, stuck());
    expect(await during(310, stuck(), behind)).toEqual([`update to ${ana} by email`]);
    expect((await world.incident())?.title).toBe("Bellwether: replica behind (a), replica stuck (b)");
  });

  test("never closed for want of slots or of a definition, and repeated like any other", async () => {
    await during(10, stuck());
    await world.later("30d");
    expect(await world.heard()).toEqual([`still to ${ana} by email`]);
    world.definitions = definitions({ samplers: [], groups: [group("shop-team", ["ana"])] });
    await world.later("1d");
    expect(await world.alert()).toMatchObject({ state: "firing" });
  });

  test.each([
    ["a route that names it", route({ routes: [route({ match: ['sampler="bellwether"'], group: "ops" })] }), bo],
    ["a route by severity", route({ routes: [route({ match: ['severity="critical"'], group: "ops" })] }), bo],
    ["the root's own group", route({ group: "ops" }), bo],
    ["else the first group", route({ routes: [route({ match: ['team="shop"'], group: "ops" })] }), ana],
  ])("%s", async (_, tree, address) => {
    world.definitions = { ...world.definitions, route: tree };
    expect(await during(10, stuck())).toEqual([`opened to ${address} by email`]);
  });

  test("where there is no group it still stands as an incident, and the audit log says that nobody was told", async () => {
    world.definitions = definitions({ groups: [] });
    expect(await during(20, stuck())).toEqual([]);
    expect(await world.incident()).toMatchObject({ state: "open", group: "", title: "Bellwether: replica stuck (b)" });
    const notices = (await world.state.audit.list({ limit: 9 })).filter(({ action }) => action === "notice.opened");
    expect(notices.map(({ detail }) => detail)).toEqual([expect.stringContaining("nobody in it was told")]);
  });

  test("it shares no incident with series, whatever they are grouped by", async () => {
    const tree = route({ group: "shop-team", groupBy: ["nothing"], groupWaitMs: 0 });
    world.definitions = definitions({ route: tree, samplers: [sampler()] });
    for (let slot = 0; slot < 2; slot += 1) await world.next({ level: "critical" });
    await world.tell(stuck());
    const titles = (await world.state.alerts.standingIncidents()).map(({ title }) => title);
    expect(titles).toHaveLength(2);
    expect(titles).toContain("Bellwether: replica stuck (b)");
  });

  test("a silence holds it, and at its end it speaks", async () => {
    const silence: Silence = {
      id: "s",
      matchers: ['condition="replica-stuck"', 'subject="b"'],
      reason: "the disk is being replaced",
      author: "bo",
      createdMs: startMs,
      startsMs: startMs,
      endsMs: startMs + 10 * minuteMs,
    };
    world.silences = [silence];
    expect(await during(600 - 5, stuck())).toEqual([]);
    expect((await world.incident())?.mutedReason).toMatch(/the disk is being replaced/);
    expect(await during(10, stuck())).toEqual([`opened to ${ana} by email`]);
  });

  test("a severity that rises is told at once", async () => {
    await during(10, stuck({ severity: "warning" }));
    expect(await during(5, stuck())).toEqual([`update to ${ana} by email`]);
  });
});
