import { chmodSync, readFileSync, renameSync, rmSync, utimesSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Clock, Log } from "../../../src/core/ports.ts";
import type { Loaded } from "../../../src/define/load.ts";
import { DefinitionWatcher } from "../../../src/define/watch.ts";
import type { SimulatedClock } from "../../support/clock.ts";
import { base, type Files, folder, messages, optionsFor, sampler, write } from "./support.ts";

const silent: Log = { debug() {}, info() {}, warn() {}, error() {} };
const file = "samplers/orders.yaml";

type Watched = { dir: string; clock: SimulatedClock; watcher: DefinitionWatcher };

async function watch(files: Files): Promise<Watched> {
  const dir = folder(files);
  const options = optionsFor(dir);
  const watcher = new DefinitionWatcher({ ...options, log: silent });
  await watcher.reload();
  await options.clock.advance("7m");
  return { dir, clock: options.clock, watcher };
}

/** Writes so that the file's time differs even where the file system's clock is coarse. */
let ticks = 1_800_000_000;
function change(dir: string, files: Files): void {
  write(dir, files);
  for (const name of Object.keys(files)) utimesSync(join(dir, name), ticks, ticks++);
}

const titles = ({ watcher }: Watched): (string | undefined)[] =>
  [...watcher.current.definitions.samplers.values()].map(({ title }) => title);

test("nothing before the first reading, nothing new without a change", async () => {
  const dir = folder({ ...base, [file]: sampler() });
  const watcher = new DefinitionWatcher({ ...optionsFor(dir), log: silent });
  expect(watcher.current.definitions.samplers.size).toBe(0);
  expect(await watcher.reload()).toBe(true);
  expect(watcher.current.definitions.samplers.size).toBe(1);
  const { current } = watcher;
  expect(await watcher.reload()).toBe(false);
  expect(watcher.current).toBe(current);
});

test("a sound change takes over; the definitions of other files stay the very same", async () => {
  const other = sampler({ name: "other", point: "{ measurement: other, fields: [n] }" });
  const watched = await watch({ ...base, [file]: sampler(), "samplers/other.yaml": other });
  const before = watched.watcher.current.definitions.samplers.get("other");
  change(watched.dir, { [file]: sampler({ title: "Orders taken" }) });
  expect(await watched.watcher.reload()).toBe(true);
  expect(titles(watched)).toEqual(["Orders taken", "Orders placed"]);
  expect(watched.watcher.current.definitions.samplers.get("other")).toBe(before);
  expect(watched.watcher.current.problems).toEqual([]);
});

describe("B16 a file half written", () => {
  test("keeps its last good version, says since when and which line", async () => {
    const watched = await watch({ ...base, [file]: sampler() });
    change(watched.dir, { [file]: 'name: shop-orders\ntitle: "Orders pla' });
    expect(await watched.watcher.reload()).toBe(true);
    expect(titles(watched)).toEqual(["Orders placed"]);
    expect(messages(watched.watcher.current)).toEqual([
      `CFG-017 ${file}:2:19 - not YAML: missing closing "quote. Fix: correct the syntax on this line or the one before.`,
      `CFG-016 ${file}:2:19 - not taken over for 1 fault; the version read at 2026-01-10 12:03 (Europe/London) ` +
        "stays in force. Fix: see line 2.",
    ]);
    expect(await watched.watcher.reload()).toBe(false);

    change(watched.dir, { [file]: sampler({ title: "Whole again" }) });
    expect(await watched.watcher.reload()).toBe(true);
    expect(titles(watched)).toEqual(["Whole again"]);
    expect(watched.watcher.current.problems).toEqual([]);
  });

  test.each([
    ["truncated to nothing", ""],
    ["cut between two keys", "name: shop-orders\ntitle: Orders placed\n"],
    ["with a misspelt key", sampler({ titel: "x" })],
  ])("%s", async (_, text) => {
    const watched = await watch({ ...base, [file]: sampler() });
    change(watched.dir, { [file]: text });
    await watched.watcher.reload();
    expect(titles(watched)).toEqual(["Orders placed"]);
    expect(watched.watcher.current.problems.filter(({ code }) => code === "CFG-016")).toHaveLength(1);
  });

  test("disturbs no other file, which still takes its own change", async () => {
    const other = { name: "other", point: "{ measurement: other, fields: [n] }" };
    const watched = await watch({ ...base, [file]: sampler(), "samplers/other.yaml": sampler(other) });
    change(watched.dir, { [file]: "name: [", "samplers/other.yaml": sampler({ ...other, title: "Changed" }) });
    await watched.watcher.reload();
    expect(titles(watched)).toEqual(["Orders placed", "Changed"]);
  });

  test("what never was good is not kept, and a first faulty version gives way to any later one", async () => {
    const watched = await watch({ ...base, [file]: sampler({ every: "7m" }) });
    expect(titles(watched)).toEqual([]);
    change(watched.dir, { [file]: sampler({ every: "9m" }) });
    await watched.watcher.reload();
    expect(messages(watched.watcher.current)).toEqual([
      `SCH-005 ${file}:4:8 every - does not divide an hour (got "9m"). Fix: use 5m or 10m.`,
    ]);
  });
});

describe("a change that would leave others without what they refer to", () => {
  const people = "rules/people/shop.yaml";
  const renamed =
    "people: { ana: { name: Ana Silva, email: ana@shop.example } }\ngroups: { shop-crew: { members: [ana] } }\n";

  test("is kept out, until the others follow", async () => {
    const watched = await watch({ ...base, [file]: sampler() });
    change(watched.dir, { [people]: renamed });
    await watched.watcher.reload();
    expect(titles(watched)).toEqual(["Orders placed"]);
    expect([...watched.watcher.current.definitions.groups.keys()]).toEqual(["shop-team"]);
    expect(messages(watched.watcher.current)).toEqual([
      `CFG-016 ${people} - not taken over for 1 fault; the version read at 2026-01-10 12:03 (Europe/London) ` +
        `stays in force. Fix: see ${file}:3:8.`,
      `RUL-003 ${file}:3:8 owner - unknown person or group "shop-team". Fix: one of shop-crew, ana.`,
    ]);
    change(watched.dir, { [file]: sampler({ owner: "shop-crew" }) });
    await watched.watcher.reload();
    expect(watched.watcher.current.problems).toEqual([]);
    expect([...watched.watcher.current.definitions.groups.keys()]).toEqual(["shop-crew"]);
    expect(watched.watcher.current.definitions.samplers.get("shop-orders")?.owner).toBe("shop-crew");
  });

  test("in both files at once is one change", async () => {
    const watched = await watch({ ...base, [file]: sampler() });
    change(watched.dir, { [people]: renamed, [file]: sampler({ owner: "shop-crew" }) });
    await watched.watcher.reload();
    expect(watched.watcher.current.problems).toEqual([]);
    expect([...watched.watcher.current.definitions.groups.keys()]).toEqual(["shop-crew"]);
  });

  test("the removal of a file that others refer to", async () => {
    const watched = await watch({ ...base, [file]: sampler() });
    rmSync(join(watched.dir, people));
    await watched.watcher.reload();
    expect(titles(watched)).toEqual(["Orders placed"]);
    expect(watched.watcher.current.problems.find(({ code }) => code === "CFG-016")?.message).toBe(
      "removed, but others refer to it; the version read at 2026-01-10 12:03 (Europe/London) stays in force",
    );
    rmSync(join(watched.dir, file));
    await watched.watcher.reload();
    expect(watched.watcher.current.problems).toEqual([]);
    expect(watched.watcher.current.definitions.groups.size).toBe(0);
  });

  test("a sampler that changes to an unknown owner keeps its old version", async () => {
    const watched = await watch({ ...base, [file]: sampler() });
    change(watched.dir, { [file]: sampler({ owner: "nobody", title: "New" }) });
    await watched.watcher.reload();
    expect(titles(watched)).toEqual(["Orders placed"]);
    expect(watched.watcher.current.problems.map(({ code }) => code)).toEqual(["RUL-003", "CFG-016"]);
  });
});

test("removing a file removes its definitions, adding one adds them", async () => {
  const watched = await watch({ ...base, [file]: sampler() });
  rmSync(join(watched.dir, file));
  expect(await watched.watcher.reload()).toBe(true);
  expect(titles(watched)).toEqual([]);
  write(watched.dir, { "samplers/deep/er/new.yaml": sampler({ title: "New" }) });
  expect(await watched.watcher.reload()).toBe(true);
  expect(titles(watched)).toEqual(["New"]);
});

test("of two definitions with one name the older stays, whatever the files are called", async () => {
  const watched = await watch({ ...base, "samplers/z.yaml": sampler() });
  write(watched.dir, { "samplers/a.yaml": sampler({ title: "Copy" }) });
  await watched.watcher.reload();
  expect(titles(watched)).toEqual(["Orders placed"]);
  expect(watched.watcher.current.problems.map(({ code, where }) => `${code} ${where}`)).toEqual([
    "CFG-010 samplers/a.yaml:1:1",
  ]);
});

test("a secret that appears is found without a change of the file that refers to it", async () => {
  const connections = "connections: { shop: { postgres: { host: db, password: 'file:password' } } }\n";
  const watched = await watch({ "rules/connections.yaml": connections });
  expect(watched.watcher.current.problems.map(({ code }) => code)).toEqual(["CFG-013"]);
  expect(await watched.watcher.reload()).toBe(false);
  write(watched.dir, { password: "hunter2" });
  chmodSync(join(watched.dir, "password"), 0o600);
  expect(await watched.watcher.reload()).toBe(true);
  expect(watched.watcher.current.problems).toEqual([]);
  expect(watched.watcher.current.definitions.connections.size).toBe(1);
});

describe("an iCalendar file that a calendar names", () => {
  const calendar = "rules/calendars/c.yaml";
  const ics = "rules/calendars/days.ics";
  const eventOn = (day: string) =>
    `BEGIN:VCALENDAR\nBEGIN:VEVENT\nSUMMARY:x\nDTSTART;VALUE=DATE:${day}\nEND:VEVENT\nEND:VCALENDAR\n`;
  const files = { ...base, [file]: sampler(), [calendar]: "calendars: { c: { ics: days.ics } }\n" };
  const holidays = ({ watcher }: Watched) =>
    Object.keys(watcher.current.definitions.calendars.get("c")?.holidays ?? {});

  test("is followed as the file that names it is", async () => {
    const watched = await watch({ ...files, [ics]: eventOn("20260501") });
    expect(holidays(watched)).toEqual(["2026-05-01"]);
    const before = watched.watcher.current.definitions.samplers.get("shop-orders");
    expect(await watched.watcher.reload()).toBe(false);
    change(watched.dir, { [ics]: eventOn("20260502") });
    expect(await watched.watcher.reload()).toBe(true);
    expect(holidays(watched)).toEqual(["2026-05-02"]);
    expect(watched.watcher.current.definitions.samplers.get("shop-orders")).toBe(before);
    // Touched, and not changed.
    change(watched.dir, { [ics]: eventOn("20260502") });
    expect(await watched.watcher.reload()).toBe(false);
  });

  test("that is cut off, or taken away, leaves the last good version in force, and says where", async () => {
    const watched = await watch({ ...files, [ics]: eventOn("20260501") });
    change(watched.dir, { [ics]: eventOn("20260502").replace(/END:VEVENT[\s\S]*/, "") });
    expect(await watched.watcher.reload()).toBe(true);
    expect(holidays(watched)).toEqual(["2026-05-01"]);
    expect(messages(watched.watcher.current)).toEqual([
      `CAL-016 ${calendar}:1:24 calendars.c.ics - at fault itself, see ${ics}:2:1 (got "days.ics"). Fix: mend that file first.`,
      `CFG-016 ${calendar}:1:24 - not taken over for 2 faults; the version read at 2026-01-10 12:03 (Europe/London) ` +
        "stays in force. Fix: see line 1.",
      `CAL-010 ${ics}:2:1 - VEVENT has no end: the file is cut off. Fix: export it again.`,
    ]);
    rmSync(join(watched.dir, ics));
    expect(await watched.watcher.reload()).toBe(true);
    expect(holidays(watched)).toEqual(["2026-05-01"]);
    expect(messages(watched.watcher.current)[0]).toContain(`no such file: ${ics}`);
    change(watched.dir, { [ics]: eventOn("20260503") });
    expect(await watched.watcher.reload()).toBe(true);
    expect(holidays(watched)).toEqual(["2026-05-03"]);
    expect(watched.watcher.current.problems).toEqual([]);
  });
});

test("run tells of changes once two looks in a row saw the same, and ends when told to", async () => {
  const calendar = "rules/calendars/c.yaml";
  const chinaDays = createRequire(import.meta.url).resolve("chinese-days/dist/holidays.ics");
  const dir = folder({ ...base, [file]: sampler() });
  const options = optionsFor(dir);
  let asleep = (): void => {};
  const clock: Clock = {
    nowMs: () => options.clock.nowMs(),
    sleep: (ms, signal) => {
      const sleeping = options.clock.sleep(ms, signal);
      asleep();
      return sleeping;
    },
  };
  /** One look at the folder: from one sleep to the next. */
  const look = async (): Promise<void> => {
    const next = new Promise<void>((resolve) => {
      asleep = resolve;
    });
    await options.clock.advance("1s");
    await next;
  };
  const watcher = new DefinitionWatcher({ ...options, clock, log: silent });
  await watcher.reload();
  const heard: Loaded[] = [];
  const stop = new AbortController();
  const started = new Promise<void>((resolve) => {
    asleep = resolve;
  });
  const running = watcher.run(stop.signal, (loaded) => heard.push(loaded));
  await started;
  await look();
  await look();
  expect(heard).toEqual([]);

  change(dir, { [file]: sampler({ title: "Orders taken" }) });
  await look();
  expect(heard).toEqual([]);
  await look();
  expect(heard.map(({ definitions }) => definitions.samplers.get("shop-orders")?.title)).toEqual(["Orders taken"]);

  // An editor that moves the file away and writes it anew takes nobody's sampler away.
  renameSync(join(dir, file), join(dir, "samplers/.orders.yaml~"));
  await look();
  renameSync(join(dir, "samplers/.orders.yaml~"), join(dir, file));
  await look();
  await look();
  expect(heard).toHaveLength(1);

  // A file that a calendar names is looked at too, once it is named.
  change(dir, { [calendar]: "calendars: { c: { ics: days.ics } }\n" });
  for (let looks = 0; looks < 2; looks += 1) await look();
  expect(heard.at(-1)?.problems.map(({ code }) => code)).toEqual(["CAL-016"]);
  change(dir, { "rules/calendars/days.ics": readFileSync(chinaDays) });
  for (let looks = 0; looks < 2; looks += 1) await look();
  expect(heard.at(-1)?.problems).toEqual([]);
  expect(heard.at(-1)?.definitions.calendars.get("c")?.holidays).toHaveProperty("2026-10-01");
  const { length } = heard;
  for (let looks = 0; looks < 3; looks += 1) await look();
  expect(heard).toHaveLength(length);

  stop.abort();
  await running;
});

test("measures say what is in force, what is wrong and what was kept", async () => {
  const watched = await watch({ ...base, [file]: sampler() });
  change(watched.dir, { [file]: "name: [" });
  await watched.watcher.reload();
  const shown = watched.watcher.measures().map(({ name, labels, value }) => {
    return `${name}${labels === undefined ? "" : JSON.stringify(labels)} ${value}`;
  });
  expect(shown).toEqual([
    "bellwether_definition_files 3",
    "bellwether_definition_files_kept 1",
    'bellwether_definitions{"kind":"sampler"} 1',
    'bellwether_definitions{"kind":"rule"} 0',
    'bellwether_definitions{"kind":"person"} 1',
    'bellwether_definitions{"kind":"group"} 1',
    'bellwether_definitions{"kind":"calendar"} 0',
    'bellwether_definitions{"kind":"connection"} 1',
    'bellwether_definition_problems{"severity":"error"} 2',
    'bellwether_definition_problems{"severity":"warning"} 0',
    "bellwether_definition_reloads_total 2",
  ]);
});
