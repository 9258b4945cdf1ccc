import { once } from "node:events";
import { chmodSync, mkdirSync, symlinkSync } from "node:fs";
import { createServer } from "node:net";
import { userInfo } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { loadDefinitions } from "../../../src/define/load.ts";
import { base, type Files, folder, load, messages, optionsFor, sampler, write } from "./support.ts";

/** One input that people or machines get wrong, and every message it must lead to, word for word. */
type Row = { id: string; about: string; files: Files; says: readonly string[] };

const file = "samplers/orders.yaml";
const connections = "rules/connections.yaml";

/** Ten uses of the list before, nine times over: 10^9 values if anybody expands it. */
const aliasBomb = ["a: &a [x,x,x,x,x,x,x,x,x,x]"]
  .concat([..."bcdefghi"].map((key, index) => `${key}: &${key} [${Array(10).fill(`*${"abcdefgh"[index]}`).join(",")}]`))
  .join("\n");
/** Few uses, yet 3^12 values. */
const slyBomb = ["a: &a [x,x,x]"]
  .concat(
    [..."bcdefghijkl"].map((key, index) => `${key}: &${key} [${Array(3).fill(`*${"abcdefghijk"[index]}`).join(",")}]`),
  )
  .join("\n");

const inFiles: Row[] = [
  {
    id: "B1",
    about: "alias bomb",
    files: { [file]: aliasBomb },
    says: [`CFG-001 ${file}:7:8 - more than 50 alias uses. Fix: write the values out.`],
  },
  {
    id: "B1",
    about: "alias bomb with few uses",
    files: { [file]: slyBomb },
    says: [`CFG-001 ${file}:8:8 h[0] - aliases stand for more than 10000 values. Fix: write the values out.`],
  },
  {
    id: "B1",
    about: "alias that holds itself",
    files: { [file]: "a: &a [*a]\n" },
    says: [`CFG-001 ${file}:1:8 a[0] - no finished anchor "a" above this alias. Fix: write the value out.`],
  },
  {
    id: "B2",
    about: "5,000 nested lists",
    files: { [file]: `a: ${"[".repeat(5000)}` },
    says: [`CFG-002 ${file}:1:36 - nested deeper than 32. Fix: flatten it.`],
  },
  {
    id: "B3",
    about: "file over 1 MB",
    files: { [file]: `# ${"x".repeat(1_000_000)}\n` },
    says: [`CFG-003 ${file} - larger than 1000000 bytes (got 1000003). Fix: split the file.`],
  },
  {
    id: "B3",
    about: "10,001 rules",
    files: {
      "rules/detect/r.yaml": `rules:\n${Array.from({ length: 10_001 }, (_, i) => `- { name: r${i} }\n`).join("")}`,
    },
    says: [
      "CFG-003 rules/detect/r.yaml:10002:3 - more than 10000 definitions of kind rule (got 10001); " +
        "those from here on are left out. Fix: define fewer.",
    ],
  },
  {
    id: "B4",
    about: "duplicate key",
    files: { ...base, [file]: `${sampler()}every: 5m\n` },
    says: [`CFG-004 ${file}:8:1 every - key "every" again (first at line 4). Fix: keep one of the two.`],
  },
  {
    id: "B5",
    about: "a denominator of what is no ratio",
    files: { ...base, [file]: sampler({ judge: "{ orders: { kind: count, denominator: orders } }" }) },
    says: [
      `CFG-019 ${file}:8:46 judge.orders.denominator - denominator with kind: count (got "orders"). ` +
        "Fix: write kind: ratio, or remove it.",
    ],
  },
  ...(["gauge", "ratio"] as const).map((kind) => ({
    id: "B5",
    about: `a drift of a ${kind}, which only counts have`,
    files: { ...base, [file]: sampler({ judge: `{ orders: { kind: ${kind}, drift: 20 } }` }) },
    says: [
      `CFG-019 ${file}:8:40 judge.orders.drift - drift with kind: ${kind} (got 20). Fix: write kind: count, or remove it.`,
    ],
  })),
  {
    id: "B5",
    about: "floors that a ratio has not",
    files: {
      ...base,
      [file]: sampler({ judge: "{ orders: { kind: ratio, floor: { volume: 50, absolute: 300 } } }" }),
    },
    says: [
      `CFG-019 ${file}:8:50 judge.orders.floor.volume - volume with kind: ratio (got 50). ` +
        "Fix: write absolute, which is in percentage points, or remove it.",
      `RUL-002 ${file}:8:64 judge.orders.floor.absolute - more than 100 percentage points cannot be (got 300). ` +
        "Fix: write 100 or less.",
    ],
  },
  {
    id: "B5",
    about: "numbers out of their range, broken, and with a unit",
    files: {
      ...base,
      [file]: sampler({
        judge: '{ orders: { drift: 2, baseline: { days: 7.5, trim: 20 }, floor: { percent: "20%", volume: [3] } } }',
      }),
    },
    says: [
      `RUL-002 ${file}:8:27 judge.orders.drift - wants a number from 5 to 1000 (got 2). Fix: write 5 or more.`,
      `RUL-002 ${file}:8:48 judge.orders.baseline.days - wants a whole number from 4 to 28 (got 7.5). ` +
        "Fix: write it without a fraction.",
      `RUL-002 ${file}:8:59 judge.orders.baseline.trim - wants a whole number from 0 to 13 (got 20). ` +
        "Fix: write 13 or less.",
      `CFG-008 ${file}:8:83 judge.orders.floor.percent - wants a number (got "20%"). ` +
        "Fix: write a bare number, without quotes or a unit.",
      `CFG-008 ${file}:8:98 judge.orders.floor.volume - wants a number (got a list). ` +
        "Fix: write a bare number, without quotes or a unit.",
    ],
  },
  {
    id: "B5",
    about: "a denominator that is the ratio itself",
    files: { ...base, [file]: sampler({ judge: "{ orders: { kind: ratio, denominator: orders } }" }) },
    says: [
      `RUL-003 ${file}:8:46 judge.orders.denominator - not another of point.fields (got "orders"). ` +
        "Fix: add the field to point.fields.",
    ],
  },
  {
    id: "B5",
    about: "misspelt key",
    files: { ...base, [file]: sampler({ judge: "{ orders: { flor: { percent: 30 } } }" }) },
    says: [
      `CFG-005 ${file}:8:20 judge.orders.flor - unknown key. ` +
        'Fix: one of kind, denominator, direction, baseline, forecast, sensitivity, drift, floor (did you mean "floor"?).',
    ],
  },
  {
    id: "B5",
    about: "misspelt kind of source",
    files: { ...base, [file]: sampler({ source: "{ sqll: { connection: shop } }" }) },
    says: [`CFG-005 ${file}:5:11 source.sqll - unknown key. Fix: one of sql, http (did you mean "sql"?).`],
  },
  {
    id: "B5",
    about: "misspelt option of the source's own",
    files: { ...base, [file]: sampler({ source: "{ sql: { connection: shop, qury: select 1 } }" }) },
    says: [
      `CFG-018 ${file}:5:11 source.sql.query - missing. Fix: add "query": one SELECT.`,
      `CFG-005 ${file}:5:36 source.sql.qury - unknown key. Fix: one of connection, query, rows_max (did you mean "query"?).`,
    ],
  },
  {
    id: "B5",
    about: "file where nothing is defined",
    files: { "rules/detct/r.yaml": "rules: []\n" },
    says: [
      "CFG-005 rules/detct/r.yaml - nothing is defined here. " +
        'Fix: move it to one of connections.yaml, collection.yaml, detect/, routes/, people/, calendars/ (did you mean "detect/"?).',
    ],
  },
  {
    id: "B6",
    about: "tab as indentation",
    files: { [file]: "point:\n\tmeasurement: orders\n" },
    says: [`CFG-006 ${file}:2:1 - tab used as indentation. Fix: indent with spaces.`],
  },
  {
    id: "B6",
    about: "byte order mark",
    files: { [file]: `\ufeff${sampler()}` },
    says: [`CFG-006 ${file}:1:1 - byte order mark at byte 0. Fix: save the file as UTF-8 without a byte order mark.`],
  },
  {
    id: "B6",
    about: "NUL",
    files: { [file]: "name: shop\ntitle: a\0b\n" },
    says: [
      `CFG-006 ${file}:2:9 - control character 0x00 at byte 19. Fix: save the file as UTF-8 and remove the character.`,
    ],
  },
  {
    id: "B6",
    about: "Latin-1",
    files: { [file]: Buffer.from("name: shop\ntitle: caf\xe9\n", "latin1") },
    says: [`CFG-006 ${file}:2:11 - not UTF-8 at byte 21. Fix: save the file as UTF-8.`],
  },
  ...["!!js/function", "!!omap", "!secret"].map((tag) => ({
    id: "B7",
    about: `tag ${tag}`,
    files: { ...base, [file]: sampler({ labels: `${tag} {}` }) },
    says: [`CFG-007 ${file}:8:9 - tags are not allowed (got "${tag}"). Fix: remove the tag.`],
  })),
  ...[
    ["region", "no", "no"],
    ["region", "true", "true"],
    ["at", "12:30", "12:30"],
    ["id", "0123", "0123"],
    ["version", "1.10", "1.10"],
  ].map(([key, value, shown]) => ({
    id: "B8",
    about: `${key}: ${value} where text is wanted`,
    files: { ...base, [file]: sampler({ labels: `{ ${key}: ${value} }` }) },
    says: [
      `CFG-008 ${file}:8:${13 + (key as string).length} labels.${key} - wants text (got ${shown}). Fix: quote it: "${shown}".`,
    ],
  })),
  {
    id: "B8",
    about: "no where true or false is wanted",
    files: { ...base, [file]: sampler({ alerts: "no" }) },
    says: [`CFG-008 ${file}:8:9 alerts - wants true or false (got no)`],
  },
  {
    id: "B8",
    about: "a priority that is none",
    files: { ...base, [file]: sampler({ priority: "urgent" }) },
    says: [`CFG-019 ${file}:8:11 priority - unknown value (got "urgent"). Fix: one of low, medium, high.`],
  },
  ...["__proto__", "constructor", "toString"].map((name) => ({
    id: "B9",
    about: `${name} as name`,
    files: { "rules/people/p.yaml": `people: { ${name}: { name: Ana } }\n` },
    says: [`CFG-009 rules/people/p.yaml:1:11 people.${name} - reserved name "${name}". Fix: choose another name.`],
  })),
  {
    id: "B9",
    about: "constructor as the name of a rule",
    files: { "rules/detect/r.yaml": "rules: [ { name: constructor } ]\n" },
    says: [
      'CFG-009 rules/detect/r.yaml:1:18 rules[0].name - reserved name (got "constructor"). Fix: choose another name.',
    ],
  },
  {
    id: "B9",
    about: "a sampler called like the one that alerts about Bellwether itself name",
    files: { ...base, [file]: sampler({ name: "bellwether" }) },
    says: [`CFG-009 ${file}:1:7 name - reserved name (got "bellwether"). Fix: choose another name.`],
  },
  {
    id: "B9",
    about: "a measurement of the collection's own figures",
    files: { ...base, [file]: sampler({ point: "{ measurement: bellwether_collection, fields: [n] }" }) },
    says: [
      `CFG-009 ${file}:6:23 point.measurement - names beginning with bellwether_ are reserved (got "bellwether_collection"). Fix: choose another name.`,
    ],
  },
  {
    id: "B10",
    about: "one name in two files",
    files: { ...base, [file]: sampler(), "samplers/z.yaml": sampler({ point: "{ measurement: z, fields: [n] }" }) },
    says: [
      `CFG-010 samplers/z.yaml:1:1 - sampler "shop-orders" again (first at ${file}:1:1). Fix: rename or remove one of the two.`,
    ],
  },
  {
    id: "B10",
    about: "one field of one measurement written by two samplers, whatever the tags",
    files: {
      ...base,
      [file]: sampler(),
      "samplers/y.yaml": sampler({ name: "hourly", every: "1h" }),
      "samplers/z.yaml": sampler({ name: "total", point: "{ measurement: orders, tags: [till], fields: [orders] }" }),
    },
    says: ["y", "z"].map(
      (name) =>
        `CFG-010 samplers/${name}.yaml:1:1 point - sampler "shop-orders" writes points of orders with the same field ` +
        `already (${file}:1:1). Fix: choose another measurement.`,
    ),
  },
  {
    id: "B11",
    about: "rules in a ring",
    files: {
      "rules/detect/r.yaml":
        "rules:\n- { name: a, needs: [b] }\n- { name: b, needs: [c] }\n- { name: c, needs: [a] }\n",
    },
    says: [
      "CFG-011 rules/detect/r.yaml:2:3 needs - rules need each other in a ring: a -> b -> c -> a. " +
        "Fix: remove one of the needs.",
    ],
  },
  {
    id: "B11",
    about: "a rule that needs itself",
    files: { "rules/detect/r.yaml": "rules: [ { name: a, needs: [a] } ]\n" },
    says: [
      "CFG-011 rules/detect/r.yaml:1:10 needs - rules need each other in a ring: a -> a. Fix: remove one of the needs.",
    ],
  },
  {
    id: "B12",
    about: "password written out",
    files: { [connections]: "connections: { shop: { postgres: { host: db, password: hunter2 } } }\n" },
    says: [
      `CFG-012 ${connections}:1:56 connections.shop.postgres.password - a secret is written out. ` +
        "Fix: write a reference instead: env:NAME or file:PATH.",
    ],
  },
  {
    id: "B12",
    about: "password as a number",
    files: { [connections]: "connections: { shop: { postgres: { host: db, password: 73313 } } }\n" },
    says: [
      `CFG-008 ${connections}:1:56 connections.shop.postgres.password - wants text. Fix: quote it.`,
      `CFG-012 ${connections}:1:56 connections.shop.postgres.password - a secret is written out. ` +
        "Fix: write a reference instead: env:NAME or file:PATH.",
    ],
  },
  {
    id: "B12",
    about: "user and password in a URL",
    files: { [connections]: 'connections: { shop: { postgres: { host: "postgres://app:hunter2@db/shop" } } }\n' },
    says: [
      `CFG-012 ${connections}:1:42 connections.shop.postgres.host - a secret is written out. ` +
        "Fix: write a reference instead: env:NAME or file:PATH.",
    ],
  },
  {
    id: "B14",
    about: "empty file",
    files: { [file]: "" },
    says: [`CFG-014 ${file}:1:1 - defines nothing. Fix: write a definition into it, or delete it.`],
  },
  {
    id: "B14",
    about: "only a comment",
    files: { "rules/people/p.yaml": "# soon\n" },
    says: ["CFG-014 rules/people/p.yaml:1:1 - defines nothing. Fix: write a definition into it, or delete it."],
  },
  {
    id: "B15",
    about: "path out of the config folder",
    files: { ...base, [file]: sampler({ runbook: "../../etc/x" }) },
    says: [
      `CFG-015 ${file}:8:10 runbook - outside the config folder (got "../../etc/x"). Fix: write a path without .. or a URL.`,
    ],
  },
];

const unquoted = "text that begins with * must be quoted";
inFiles.push(
  ...["* * * * *", "*/5 * * * *", "*,5 * * * *"].map((cron) => ({
    id: "B6",
    about: `cron: ${cron} without quotes`,
    files: { ...base, [file]: sampler({ every: null, cron, window: "1h" }) },
    says: [`CFG-017 ${file}:7:7 - ${unquoted}. Fix: write it in quotes: "*/5 * * * *".`],
  })),
  ...[
    ["a: [1,\n", "2:1", "flow sequence in block collection must be sufficiently indented and end with a ]"],
    ["a: 'x\n", "2:1", "missing closing 'quote"],
    ["a: b: c\n", "1:4", "nested mappings are not allowed in compact mappings"],
  ].map(([text, where, what]) => ({
    id: "B6",
    about: `${JSON.stringify(text)} is not YAML`,
    files: { [file]: text as string },
    says: [`CFG-017 ${file}:${where} - not YAML: ${what}. Fix: correct the syntax on this line or the one before.`],
  })),
  ...[
    ["%YAML 1.1\n---\na: no\n", "1:1", "directives are not allowed. Fix: remove it"],
    ["a: 1\n---\nb: 1\n", "2:1", "a second document. Fix: put it into its own file"],
  ].map(([text, where, what]) => ({
    id: "B6",
    about: `${JSON.stringify(text)} is more than one plain document`,
    files: { [file]: text as string },
    says: [`CFG-017 ${file}:${where} - ${what}.`],
  })),
);

const cronFix = "Fix: write minute hour day month weekday, with seconds before them if needed";
const durationFix = "Fix: write for example 30s, 5m or 1h";

const aboutTime: Row[] = [
  ...[
    ["30 5 * *", 4],
    ["0 0 5 * * * *", 7],
  ].map(([expression, fields]) => ({
    id: "B17",
    about: `cron with ${fields} fields`,
    files: { ...base, [file]: sampler({ every: null, cron: String(expression), window: "1h" }) },
    says: [`SCH-001 ${file}:7:7 cron - wants 5 or 6 fields, has ${fields} (got "${expression}"). ${cronFix}.`],
  })),
  {
    id: "B17",
    about: "cron with an hour that is none",
    files: { ...base, [file]: sampler({ every: null, cron: "0 25 * * *", window: "1h" }) },
    says: [
      `SCH-001 ${file}:7:7 cron - "25" is no valid hour (got "0 25 * * *"). Fix: write for example 0 5 * * mon-fri.`,
    ],
  },
  ...["0 0 30 2 *", "0 0 31 4,6 *", "0 0 31 9 mon"].map((expression) => ({
    id: "B18",
    about: `cron ${expression}`,
    files: { ...base, [file]: sampler({ every: null, cron: expression, window: "1h" }) },
    says: [`SCH-002 ${file}:7:7 cron - never fires (got "${expression}"). Fix: choose a day that comes.`],
  })),
  ...[
    ["5", "5"],
    ["0s", '"0s"'],
    ["-1m", '"-1m"'],
    ["1e9h", '"1e9h"'],
    ["100ms", '"100ms"'],
    ["8d", '"8d"'],
  ].map(([every, shown]) => ({
    id: "B19",
    about: `every: ${every}`,
    files: { ...base, [file]: sampler({ every: every as string }) },
    says: [`SCH-003 ${file}:4:8 every - wants a duration with a unit, 1s to 7d (got ${shown}). ${durationFix}.`],
  })),
  ...[
    ["GMT+8", "Asia/Shanghai"],
    ["Beijing", "Asia/Shanghai"],
    ["+09:00", "Asia/Tokyo"],
    ["London", "Europe/London"],
    ["Europe/Lodnon", "Europe/London"],
  ].map(([zone, meant]) => ({
    id: "B20",
    about: `zone: ${zone}`,
    files: { ...base, [file]: sampler({ zone: `"${zone}"` }) },
    says: [
      `SCH-004 ${file}:8:7 zone - unknown time zone (got "${zone}"). ` +
        `Fix: use a name such as Europe/London (did you mean "${meant}"?).`,
    ],
  })),
  ...[
    ["7m", "an hour", "5m or 10m"],
    ["45s", "", ""],
    ["25s", "", ""],
    ["35s", "an hour", "30s or 1m"],
    ["5h", "a day", "4h or 6h"],
    ["36h", "a day", "1d or 2d"],
    ["90m", "", ""],
    ["50m", "an hour", "30m or 1h"],
  ].map(([every, whole, use]) => ({
    id: "B21",
    about: `every: ${every}`,
    files: { ...base, [file]: sampler({ every: every as string }) },
    says:
      whole === "" ? [] : [`SCH-005 ${file}:4:8 every - does not divide ${whole} (got "${every}"). Fix: use ${use}.`],
  })),
  ...[
    ["30 2 * * *", "America/New_York", "2026-03-08 runs at 03:00"],
    ["30 1 * * *", "America/New_York", "2026-11-01 runs once"],
    ["*/30 1-2 * * *", "America/New_York", "2026-03-08 runs at 03:00, 2026-11-01 runs once"],
    ["15 2 * * *", "Australia/Lord_Howe", "2026-10-04 runs at 02:30"],
    ["30 2 * * *", "Asia/Shanghai", ""],
    ["30 5 * * *", "America/New_York", ""],
    ["30 2 * * mon", "America/New_York", ""],
  ].map(([expression, zone, changes]) => ({
    id: "B22",
    about: `cron ${expression} in ${zone}`,
    files: { ...base, [file]: sampler({ every: null, cron: `"${expression}"`, window: "1h", zone: zone as string }) },
    says:
      changes === ""
        ? []
        : [
            `SCH-W06 ${file}:7:7 cron - the clock of ${zone} changes: ${changes} (got "${expression}"). ` +
              "Fix: choose another hour, use every, or set zone: UTC.",
          ],
  })),
  ...["1m", "2m"].map((timeout) => ({
    id: "B23",
    about: `timeout: ${timeout} with every: 1m`,
    files: { ...base, [file]: sampler({ timeout }) },
    says: [`SCH-007 ${file}:8:10 timeout - not shorter than every, which is 1m (got "${timeout}"). Fix: shorten it.`],
  })),
  {
    id: "B24",
    about: "seven days of baseline for a slot of seven days",
    files: { ...base, [file]: sampler({ every: "7d", judge: "{ orders: {} }" }) },
    says: [
      `SCH-008 ${file}:8:18 judge.orders - a baseline of 7 days holds fewer than 2 periods: slots are up to 7 days apart. ` +
        "Fix: set baseline.days to 14 or more.",
    ],
  },
  {
    id: "B24",
    about: "seven days of baseline where only Mondays are active",
    files: { ...base, [file]: sampler({ active: "{ days: [mon] }", judge: "{ orders: {} }" }) },
    says: [
      `SCH-008 ${file}:9:18 judge.orders - a baseline of 7 days holds fewer than 2 periods: slots are up to 7 days apart. ` +
        "Fix: set baseline.days to 14 or more.",
    ],
  },
  {
    id: "B24",
    about: "a baseline for the first of each month",
    files: { ...base, [file]: sampler({ every: null, cron: "0 5 1 * *", window: "1d", judge: "{ orders: {} }" }) },
    says: [
      `SCH-008 ${file}:9:18 judge.orders - a baseline of 7 days holds fewer than 2 periods: slots are up to 31 days apart. ` +
        "Fix: leave the field out of judge.",
    ],
  },
  {
    id: "B24",
    about: "seven days of baseline, weekdays only",
    files: { ...base, [file]: sampler({ active: "{ days: mon-fri }", judge: "{ orders: {} }" }) },
    says: [],
  },
];

describe.each([...inFiles, ...aboutTime])("$id $about", ({ files, says }) => {
  test("says so, and nothing else", async () => {
    expect(messages(await load(files))).toEqual(says);
  });
});

describe("B13 references to secrets", () => {
  const connect = (password: string): Files => ({
    [connections]: `connections: { shop: { postgres: { host: db, password: "${password}" } } }\n`,
  });
  const where = `${connections}:1:56 connections.shop.postgres.password`;
  const user = userInfo().username;

  test.each([
    ["env:NOPE", `CFG-013 ${where} - env:NOPE is not set for user ${user}. Fix: set NOPE.`],
    ["env:EMPTY", `CFG-013 ${where} - env:EMPTY is empty. Fix: give it a value.`],
    ["vault:shop", `CFG-013 ${where} - not a reference. Fix: write env:NAME or file:PATH.`],
    [
      "file:secrets/none",
      `CFG-013 ${where} - file:secrets/none cannot be read by user ${user} (ENOENT). Fix: create the file, owned by that user.`,
    ],
    ["file:secrets/empty", `CFG-013 ${where} - file:secrets/empty is empty. Fix: give it a value.`],
    [
      "file:secrets/open",
      `CFG-013 ${where} - file:secrets/open can be read by others than its owner (mode 0644). Fix: chmod 600 it.`,
    ],
    [
      "file:../../etc/x",
      `CFG-015 ${where} - file:../../etc/x leads outside the config folder. ` +
        "Fix: keep it in the config folder, or write an absolute path.",
    ],
    [
      "file:secrets/link",
      `CFG-015 ${where} - file:secrets/link leads outside the config folder. ` +
        "Fix: keep it in the config folder, or write an absolute path.",
    ],
  ])("%s", async (reference, message) => {
    const elsewhere = folder({ password: "hunter2" });
    const dir = folder({ ...connect(reference), "secrets/empty": "", "secrets/open": "hunter2" });
    chmodSync(join(dir, "secrets/empty"), 0o600);
    chmodSync(join(dir, "secrets/open"), 0o644);
    symlinkSync(join(elsewhere, "password"), join(dir, "secrets/link"));
    const loaded = await loadDefinitions({ ...optionsFor(dir), env: { EMPTY: "" } });
    expect(messages(loaded)).toEqual([message]);
    expect(loaded.definitions.connections.size).toBe(0);
  });

  test("a reference that leads somewhere stays a reference", async () => {
    const dir = folder({ ...connect("file:secrets/good"), "secrets/good": "hunter2\n" });
    chmodSync(join(dir, "secrets/good"), 0o600);
    const { definitions, problems } = await loadDefinitions(optionsFor(dir));
    expect(problems).toEqual([]);
    expect(definitions.connections.get("shop")?.options).toEqual({ host: "db", password: "file:secrets/good" });
  });
});

describe("B15 symbolic links", () => {
  test("lead outside: refused, files and folders alike; inside: followed once", async () => {
    const elsewhere = folder({ "z.yaml": sampler({ name: "outside" }) });
    const dir = folder({ ...base, [file]: sampler() });
    symlinkSync(join(elsewhere, "z.yaml"), join(dir, "samplers/out.yaml"));
    symlinkSync(elsewhere, join(dir, "samplers/shop"));
    symlinkSync(dir, join(dir, "samplers/ring"));
    symlinkSync(join(dir, "gone"), join(dir, "samplers/gone.yaml"));
    write(dir, { "kept/more.yaml": sampler({ name: "more", point: "{ measurement: more, fields: [n] }" }) });
    symlinkSync(join(dir, "kept/more.yaml"), join(dir, "samplers/more.yaml"));
    const loaded = await loadDefinitions(optionsFor(dir));
    expect([...loaded.definitions.samplers.keys()]).toEqual(["more", "shop-orders"]);
    expect(messages(loaded)).toEqual([
      "CFG-020 samplers/gone.yaml - cannot be read: ENOENT: no such file or directory. Fix: check the file and its owner.",
      "CFG-015 samplers/out.yaml - leads outside the config folder. Fix: copy the file into it.",
      "CFG-015 samplers/shop - leads outside the config folder. Fix: copy the file into it.",
    ]);
  });
});

test("no value of a secret or a person is in any message", async () => {
  const secret = "hunter2";
  const loaded = await load({
    [connections]: `connections:\n  a: { postgres: { host: 1, password: ${secret}, token: ${secret} } }\n  b: { mysql: { api_key: ${secret} } }\n  c: { sqlite: { file: "x://u:${secret}@h" } }\n`,
    "rules/people/p.yaml": `people: { ana: { name: Ana, email: ${secret}, phone: "${secret}" } }\ngroups: { g: { steps: [ { notifier: webhook, to: "https://u:${secret}@h/x", wait: ${secret} } ] } }\n`,
    [file]: `${sampler({ source: `{ http: { url: "https://u:${secret}@h", password: ${secret} } }` })}`,
  });
  expect(loaded.problems.length).toBeGreaterThan(8);
  expect(messages(loaded).filter((text) => text.includes(secret))).toEqual([
    'SCH-003 rules/people/p.yaml:2:81 groups.g.steps[0].wait - wants a duration with a unit, 0s to 7d (got "hunter2"). ' +
      "Fix: write for example 30s, 5m or 1h.",
  ]);
});

test("what is no file is not read from, and a folder named like a file is a folder", async () => {
  const dir = folder({ ...base, [file]: sampler() });
  mkdirSync(join(dir, "samplers/dir.yaml"));
  const server = createServer().listen(join(dir, "samplers/socket.yaml"));
  await once(server, "listening");
  const loaded = await loadDefinitions(optionsFor(dir));
  server.close();
  expect(messages(loaded)).toEqual([
    "CFG-020 samplers/socket.yaml - cannot be read: not a file. Fix: check the file and its owner.",
  ]);
  expect(loaded.definitions.samplers.size).toBe(1);
});

test("a missing config folder is a fault, missing folders in it are not", async () => {
  const dir = folder({});
  expect(messages(await loadDefinitions(optionsFor(dir)))).toEqual([]);
  expect(messages(await loadDefinitions(optionsFor("/nowhere/at/all")))).toEqual([
    "CFG-020 /nowhere/at/all - no such config folder. Fix: name the folder that holds samplers/ and rules/.",
  ]);
});

test.each(["}]", "'\n", "- !a b\n", "--- a\n", "a: b: c\n"])(
  "a megabyte of %j is not listed fault by fault",
  async (piece) => {
    const { problems } = await load({ [file]: piece.repeat(Math.floor(990_000 / piece.length)) });
    expect(problems.length).toBeGreaterThan(0);
    expect(problems.length).toBeLessThanOrEqual(101);
  },
);
