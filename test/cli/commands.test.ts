/** Every command that reads or changes facts, over a shop that an incident, a silence and a second incident befell. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Place, type Ran, run, runAll, runInside } from "./run.ts";
import { germany, makeShop, removePlace, uk } from "./shop.ts";

let dir = "";
let here: Place;
const ran = new Map<string, Ran>();

const morning = ["--from", "2026-06-10T10:00:00+01:00", "--to", "2026-06-10T10:15:00+01:00"];
const outage = ["--at", "2026-06-10T10:07:30+01:00"];

/** Commands that change nothing, so that they may run side by side. */
const questions: Readonly<Record<string, readonly string[]>> = {
  check: ["check"],
  "check --json": ["check", "--json"],
  try: ["try", "shop-orders", ...outage],
  "try --json": ["try", "shop-orders", ...outage, "--json"],
  "try at night": ["try", "shop-orders", "--at", "2026-06-09T23:00:00Z", "--json"],
  "explain critical": ["explain", uk, ...outage],
  "explain critical --json": ["explain", uk, ...outage, "--json"],
  "explain normal": ["explain", germany, ...outage],
  "explain muted": ["explain", germany, "--at", "2026-06-10T10:55:00+01:00"],
  "explain future --json": ["explain", germany, "--at", "2030-01-07T10:00:00Z", "--json"],
  "explain before --json": ["explain", germany, "--at", "2026-05-20T10:00:00+01:00", "--json"],
  "explain cold start": ["explain", uk, "--at", "2026-06-02T10:00:00+01:00"],
  "explain at night": ["explain", uk, "--at", "2026-06-09T23:00:00Z"],
  "explain unknown series": ["explain", 'orders{country="France"}', ...outage],
  series: ["series"],
  "series --json": ["series", "--json"],
  points: ["series", uk, ...morning],
  "points --json": ["series", "orders", ...morning, "--json"],
  "points --csv": ["series", 'orders{country=~"Ger.*"}', ...morning, "--csv"],
  "points of nothing": ["series", "sales", ...morning],
  verdicts: ["series", uk, ...morning, "--verdicts"],
  "verdicts --json": ["series", uk, ...morning, "--verdicts", "--json"],
  "verdicts --csv": ["series", uk, ...morning, "--verdicts", "--csv"],
  slots: ["slots", "--limit", "3"],
  "slots --json": ["slots", "--sampler", "shop-orders", "--state", "caught-up", "--limit", "2", "--json"],
  incidents: ["incidents"],
  "incidents --json": ["incidents", "--state", "resolved", "--json"],
  doctor: ["doctor"],
  "doctor --json": ["doctor", "--json"],
  backtest: ["backtest", "shop-orders", "--from", "2026-06-10T09:00:00+01:00", "--to", "2026-06-10T11:10:00+01:00"],
  "backtest --stored": [
    ...["backtest", "shop-orders", "--from", "2026-06-10T09:00:00+01:00", "--to", "2026-06-10T11:10:00+01:00"],
    ...["--stored", "--json"],
  ],
};

beforeAll(async () => {
  ({ dir, place: here } = await makeShop());
  const names = Object.keys(questions);
  const outside = names.filter((name) => !name.includes("--"));
  const results = await runAll(
    here,
    outside.map((name) => questions[name] as readonly string[]),
  );
  for (const [index, name] of outside.entries()) ran.set(name, results[index] as Ran);
  for (const name of names.filter((each) => !outside.includes(each))) {
    ran.set(name, await runInside(here, questions[name] as readonly string[]));
  }
}, 120_000);
afterAll(() => removePlace(dir));

/** What a command of {@link questions} printed. */
function of(name: string): Ran {
  const found = ran.get(name);
  if (found === undefined) throw new Error(`no such question: ${name}`);
  return found;
}

// biome-ignore lint/suspicious/noExplicitAny: facts are compared by what they must hold
const json = (name: string): any => JSON.parse(of(name).out);

test("answers come with exit code 0, nothing on standard error, no colours, no half lines", () => {
  for (const [name, { code, out, err }] of ran) {
    const failed = name === "explain unknown series";
    expect({ name, code, err: err === "" }).toEqual({ name, code: failed ? 1 : 0, err: !failed });
    expect(out.endsWith("\n") || failed, name).toBe(true);
    expect(out + err, name).not.toContain("\u001b");
    expect(out + err, name).not.toMatch(/^\s+at /m);
  }
});

test("moments in JSON are ISO 8601 in UTC, and only durations end in Ms", () => {
  for (const name of Object.keys(questions).filter((each) => each.endsWith("--json"))) {
    const keys: string[] = [];
    JSON.parse(of(name).out, (key, value) => {
      if (/Ms$/.test(key) && !/^(step|elapsed|spacing|server|clockAhead)Ms$/.test(key)) keys.push(key);
      if (typeof value === "string" && /^\d{4}-\d\d-\d\dT\S+$/.test(value)) expect(value).toMatch(/Z$/);
      return value;
    });
    expect({ name, keys }).toEqual({ name, keys: [] });
  }
});

test("check counts what is sound", () => {
  expect(of("check").out).toBe(
    "no faults; sound: 1 sampler, 0 rules, 2 people in 2 groups, 0 calendars, 1 connection\n",
  );
  expect(json("check --json")).toMatchObject({ valid: true, counts: { samplers: 1, people: 2 }, problems: [] });
});

describe("try", () => {
  test("shows rows, points, cost and verdicts, the worst first", () => {
    const { out } = of("try");
    expect(out).toMatch(/^slot 2026-06-10 10:05 to 2026-06-10 10:10 \(Europe\/London\)\n/);
    expect(out).toMatch(
      /\nSQLite [\d.]+ at shop\.db\norders: about [\d,]+ rows\n1 row in \d+ ms; its system worked \d+ ms\n/,
    );
    expect(out).toMatch(/ {2}country {2}orders\n {2}Germany {6}14\n2 points\n/);
    expect(out).toContain(`  ${uk} = 0\n`);
    expect(out).toMatch(/2 verdicts; nothing was stored, nobody was told\n {2}critical .*United Kingdom.*\n {2}normal/);
  });

  test("the same as facts", () => {
    const trial = json("try --json");
    expect(trial.slot).toEqual({ start: "2026-06-10T09:05:00Z", end: "2026-06-10T09:10:00Z", asked: true });
    expect(trial).toMatchObject({ sampler: "shop-orders", failed: false, rows: [{ country: "Germany", orders: 14 }] });
    expect(trial.cost).toEqual({ serverMs: expect.any(Number), rowsRead: null });
    expect(trial.source).toMatchObject({
      sampler: "shop-orders",
      server: expect.stringMatching(/^SQLite /),
      tables: [{ name: "orders", rows: expect.any(Number) }],
      problems: [],
    });
    expect(trial.points).toContainEqual({
      time: "2026-06-10T09:05:00Z",
      measurement: "orders",
      tags: { country: "United Kingdom" },
      fields: { orders: 0 },
    });
  });

  test("at night it takes the latest slot before, and says so", () => {
    const { slot } = json("try at night");
    expect(slot).toEqual({ start: "2026-06-09T10:55:00Z", end: "2026-06-09T11:00:00Z", asked: false });
  });
});

describe("explain", () => {
  test("critical: days, gates, alert, who was told", () => {
    const { out } = of("explain critical");
    expect(out).toMatch(
      /^orders\{country="United Kingdom"\}\.orders at 2026-06-10 10:05 \(Europe\/London\)\ncritical: 0 /,
    );
    expect(out).toMatch(/2026-06-09 10:05 {2}24 {2}used/);
    expect(out).toMatch(/Gate evidence: passed/);
    expect(out.match(/Told: Ana Silva by email: .*? sent/g)).toEqual([
      "Told: Ana Silva by email: opened sent",
      "Told: Ana Silva by email: opened (step 2) sent",
      "Told: Ana Silva by email: resolved sent",
    ]);
    const told = [...out.matchAll(/^Told: .* sent at (.*)\.$/gm)].map(([, when]) => when);
    expect(told).toEqual(told.toSorted());
    expect(out).toMatch(
      /\nAlert watch was firing and is now resolved \(slots b{6}g\), last judged: 2\d orders at 10:30/,
    );
    expect(out).not.toContain("ana@shop.example");
    const facts = json("explain critical --json");
    expect(facts).toMatchObject({ series: uk, at: "2026-06-10T09:05:00Z", level: "critical", observed: 0 });
    expect(facts.slot).toMatchObject({ state: "done", start: "2026-06-10T09:05:00Z" });
  });

  test("normal: no alert stood", () => {
    expect(of("explain normal").out).toMatch(/\nnormal: 14 orders[\s\S]*No alert of this series stood at that time\./);
  });

  test("muted: by whom, until when and why, and that nobody was told", () => {
    const { out } = of("explain muted");
    expect(out).toContain("Muted: silenced by Ana Silva until 2026-06-11T09:25:00Z: stocktaking in Berlin.\n");
    expect(out).toContain("Nobody was told.\n");
  });

  test("cold start: too few days", () => {
    expect(of("explain cold start").out).toMatch(/\nunknown: [\s\S]*Baseline: none, 1 usable day is too few\./);
  });

  test("a time that lies in the future, or before the first point: one note says so", () => {
    expect(json("explain future --json").notes).toEqual([
      "This time lies in the future; this is what judging says of it now.",
    ]);
    expect(json("explain before --json").notes).toEqual([
      "This time lies before the first point that is kept of the series; this is what judging says now.",
    ]);
  });

  test("a time outside the active hours", () => {
    expect(of("explain at night").out).toContain("it is outside its schedule or active hours");
  });

  test("a series that nobody judges is exit code 1, with those there are", () => {
    const { err } = of("explain unknown series");
    expect(err).toBe(
      'no such series is judged (got orders{country="France"}). Fix: name one in full that bellwether series lists, orders{...}.orders.\n',
    );
  });
});

describe("series", () => {
  test("lists what is stored", () => {
    const figures = ["attempts", "caught_up", "duration_ms", "failed", "lateness_ms", "points", "rows", "server_ms"];
    const own = [...figures, "state"].map((field) => `bellwether_collection{sampler="shop-orders"}.${field}`);
    const all = [...own, germany, uk];
    const width = Math.max(...all.map((series) => series.length));
    expect(of("series").out).toBe(
      [
        `${"series".padEnd(width)}  last point`,
        ...all.map((series) => `${series.padEnd(width)}  2026-06-10T10:10:00Z`),
        "",
      ].join("\n"),
    );
    expect(json("series --json")[own.length]).toEqual({ series: germany, last: "2026-06-10T10:10:00Z" });
  });

  test("points: from is in, to is not, numbers are aligned to the right", () => {
    expect(of("points").out.split("\n").slice(0, 3)).toEqual([
      "time                  series                                   value",
      `2026-06-10T09:00:00Z  ${uk}      0`,
      `2026-06-10T09:05:00Z  ${uk}      0`,
    ]);
    const points: { time: string; series: string }[] = json("points --json");
    expect(points.map(({ time }) => time.slice(11, 16))).toEqual([
      "09:00",
      "09:00",
      "09:05",
      "09:05",
      "09:10",
      "09:10",
    ]);
    expect(points[0]).toEqual({ time: "2026-06-10T09:00:00Z", series: germany, value: 11 });
  });

  test("points as CSV: unix seconds, quotes doubled", () => {
    const [header, first] = of("points --csv").out.split("\n");
    expect(header).toBe("timestamp,series,value");
    expect(first).toBe(`${Date.parse("2026-06-10T09:00:00Z") / 1000},"orders{country=""Germany""}.orders",11`);
  });

  test("verdicts: one line each, the level as a word", () => {
    const lines = of("verdicts").out.trimEnd().split("\n");
    expect(lines).toHaveLength(4);
    expect(lines[0]).toMatch(/^time +series +level +observed +expected +lower +upper +forecast +evidence +reason$/);
    expect(lines[2]).toMatch(
      /Z {2}orders\{country="United Kingdom"\}\.orders {2}critical +0 +23\.\d+ .* 0 orders at 10:05;/,
    );
    const verdict = json("verdicts --json")[1];
    expect(verdict).toMatchObject({ time: "2026-06-10T09:05:00Z", series: uk, level: "critical", observed: 0 });
    expect(Object.keys(verdict).slice(2)).toEqual(of("verdicts --csv").out.split("\n")[0]?.split(",").slice(2));
  });

  test("nothing there says where it looked", () => {
    expect(of("points of nothing").out).toBe("nothing of sales from 2026-06-10T09:00:00Z to 2026-06-10T09:15:00Z\n");
  });
});

test("slots: counts, then the newest", () => {
  const [counts, header, first, ...rest] = of("slots").out.trimEnd().split("\n");
  expect(counts).toBe("0 due, 0 leased, 16 done, 0 failed, 324 caught-up");
  expect(header).toMatch(/^slot +sampler +state +runs +points +data +late by +rows read +ms +error$/);
  expect(first).toMatch(/^2026-06-10T10:10:00Z {2}shop-orders {2}done +1 +2 {2}zero {2}\d+m?s +- +\d+$/);
  expect(rest).toHaveLength(2);
  const { slots } = json("slots --json");
  expect(slots).toHaveLength(2);
  expect(slots[0]).toMatchObject({ sampler: "shop-orders", state: "caught-up", end: "2026-06-10T08:55:00Z" });
  expect(slots[0]).toMatchObject({ dataState: "value", rowsRead: null, serverMs: expect.any(Number) });
});

test("incidents: the newest first, in columns; times to the second", () => {
  const lines = of("incidents").out.trimEnd().split("\n");
  expect(lines.map((line) => line.split(/ {2,}/)[1])).toEqual(["state", "open", "open", "resolved"]);
  expect(lines[3]).toMatch(
    /resolved {2}critical {2}2026-06-10T09:05:\d\dZ {2}30m +shop-team {2}Orders placed \(United/,
  );
  expect(json("incidents --json")).toMatchObject([{ state: "resolved", resolved: expect.stringMatching(/Z$/) }]);
});

describe("doctor", () => {
  test("everything is well", () => {
    const lines = of("doctor").out.trimEnd().split("\n");
    expect(lines.filter((line) => !line.startsWith("ok       "))).toEqual([]);
    for (const part of [
      "definitions in",
      "data folder",
      "process on the data folder: none",
      "clock: 2",
      "connection shop",
    ])
      expect(of("doctor").out).toContain(part);
    const findings: { what: string; state: string }[] = json("doctor --json");
    expect(new Set(findings.map(({ state }) => state))).toEqual(new Set(["ok"]));
  });

  test("a database that is gone and a mail server that does not answer are faults; the password is not shown", async () => {
    const [gone, unreachable] = await runAll(
      { ...here, data: join(dir, "empty") },
      [["doctor"], ["doctor", "--json"]],
      {
        SMTP_URL: "smtp://report:c4nary-s3cret@127.0.0.1:1",
      },
    );
    expect(gone?.code).toBe(1);
    expect(gone?.out).toMatch(/^fault {4}connection shop \(sqlite\): SQL-015 .*cannot open .*shop\.db.*Fix: /m);
    expect(gone?.out).toMatch(/^fault {4}notifier email: SMTP_URL - the mail server could not be used/m);
    expect(unreachable?.code).toBe(1);
    expect(`${gone?.out}${gone?.err}${unreachable?.out}${unreachable?.err}`).not.toContain("c4nary");
  });
});

describe("backtest", () => {
  test("over the real source: what would have been alerted, and who told", () => {
    const { out } = of("backtest");
    expect(out).toMatch(/^26 slots in 2h10m, 0 failed\nverdicts: 37 normal, 0 warning, 15 critical, 0 unknown\n/);
    expect(out).toMatch(/\n3 incidents\n {2}2026-06-10T09:05:\d\dZ {2}critical {2}Orders placed \(U/);
    // Two people: two incidents opened and told again after ten minutes, one of them resolved; Germany likewise.
    expect(out).toMatch(/\n {2}who {8}by {5}messages\n {2}(Ana Silva {2}email {9}\d\n {2}Ben Okoro {2}email|Ben)/);
  });

  test("it ends with what that comes to a week, by channel and severity", () => {
    const lines = of("backtest").out.trimEnd().split("\n").slice(-3);
    expect(lines[0]).toBe("by week");
    expect(lines[1]).toMatch(/^ {2}week from +incidents +critical +warning +messages +people +email, critical$/);
    const [week] = json("backtest --stored").weeks;
    const { messages, people, channels } = week;
    expect(week).toMatchObject({ from: "2026-06-10T08:00:00Z", incidents: { critical: 3, warning: 0 }, people: 2 });
    expect(channels).toEqual([{ notifier: "email", severity: "critical", messages, people: 2 }]);
    expect(lines[2]?.trim().split(/ +/).slice(1).map(Number)).toEqual([3, 3, 0, messages, people, messages]);
  });

  test("over what is stored: the same incidents", () => {
    const stored = json("backtest --stored");
    expect(stored).toMatchObject({ from: "2026-06-10T08:00:00Z", slots: 26, failed: [] });
    expect(stored.verdicts).toEqual({ normal: 37, warning: 0, critical: 15, unknown: 0 });
    const real = of("backtest").out.match(/Orders placed \([^)]*\)/g);
    expect(stored.incidents.map(({ title }: { title: string }) => title)).toEqual(real);
    expect(of("backtest").out).toContain(`${stored.messages.length} messages`);
  });

  test("nothing of it was stored", () => {
    expect(of("incidents").out.trimEnd().split("\n")).toHaveLength(4);
  });
});

test("an incident is acknowledged once; the second one reads who was first", async () => {
  const open = of("incidents")
    .out.split("\n")
    .find((line) => /open.*United/.test(line));
  const id = open?.slice(0, 8) ?? "";
  const first = await run(here, ["ack", id, "--by", "Ben Okoro"]);
  expect(first).toMatchObject({ code: 0, out: "acknowledged by Ben Okoro: Orders placed (United Kingdom)\n" });
  const [second, story, shown, none] = await runAll(here, [
    ["ack", id.slice(0, 6), "--by", "Ana Silva"],
    ["incidents", id],
    ["incidents", id, "--json"],
    ["ack", "ffffffff", "--json"],
  ]);
  expect(second?.code).toBe(1);
  expect(second?.err).toMatch(/^incident [0-9a-f-]{36} - already acknowledged by Ben Okoro at 2\d{3}-.*Z\n$/);
  expect(story?.out).toMatch(/acknowledged\), group shop-team, id .*\n[\s\S]*incident open -> acknowledged/);
  expect(story?.out).toMatch(/opened to Ana Silva by email: sent/);
  const facts = JSON.parse(shown?.out ?? "");
  expect(facts).toMatchObject({ state: "acknowledged", acknowledgedBy: "Ben Okoro" });
  expect(facts.deliveries[0].recipient).toMatch(/^[ab]\*\*\*@shop\.example$/);
  expect(none).toMatchObject({ code: 1, out: "" });
  expect(none?.err).toBe('there is no incident "ffffffff". Fix: take an id that bellwether incidents shows.\n');
});

test("a silence is added, listed and ended once", async () => {
  const added = await run(here, [
    ...["silence", "add", 'country="United Kingdom"', 'sampler=~"shop-.*"'],
    ...["--for", "2h", "--reason", "a bank holiday", "--by", "Ben Okoro", "--json"],
  ]);
  const silence = JSON.parse(added.out);
  expect(silence).toMatchObject({ active: true, author: "Ben Okoro", matchers: expect.any(Array) });
  expect(Date.parse(silence.ends) - Date.parse(silence.starts)).toBe(2 * 3_600_000);
  const listed = await run(here, ["silence", "list"]);
  const [header, newest, oldest] = listed.out.split("\n");
  expect(header).toMatch(/^id +state +until +by +matchers +reason$/);
  expect(newest).toMatch(/holds .*Ben Okoro {2}country="United Kingdom", sampler=~"shop-\.\*" {2}a bank holiday$/);
  expect(oldest).toMatch(/ended .*Ana Silva/);
  const ended = await run(here, ["silence", "end", silence.id.slice(0, 8), "--by", "Ana Silva"]);
  expect(ended).toMatchObject({ code: 0, out: 'ended: country="United Kingdom", sampler=~"shop-.*"\n' });
  const again = await run(here, ["silence", "end", silence.id]);
  expect(again.code).toBe(1);
  expect(again.err).toMatch(/ - it ended at .*Z\n$/);
});

test("send-test reaches each address once, and says where it did not", async () => {
  const before = mails().length;
  const [team, nobody, address] = await runAll(here, [
    ["send-test", "shop-team"],
    ["send-test", "nobody", "--json"],
    ["send-test", "email", "--to", "not an address"],
  ]);
  expect(team).toMatchObject({ code: 0, err: "" });
  expect(team?.out).toMatch(
    /^ +by +to +what was answered\nsent {2}email {2}Ana Silva a\*\*\*@shop\.example {2}written to/,
  );
  expect(mails().length - before).toBe(2);
  expect(nobody?.code).toBe(1);
  expect(JSON.parse(nobody?.out ?? "")).toMatchObject([{ notifier: "webhook", sent: false }]);
  expect(nobody?.out).not.toContain("/hook");
  expect(address?.code).toBe(1);
  expect(address?.out).toMatch(/NOT SENT {2}email .*TPL-002/);
});

function mails(): string[] {
  return readdirSync(join(here.data, "mailbox")).filter((name) => name.endsWith(".eml"));
}
