/** What people meet who type something wrong, or whose files, settings or folders are wrong: a line that helps. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { begin, ended, type Place, type Ran, run, runAll, runInside } from "./run.ts";
import { makePlace, removePlace, write } from "./shop.ts";

let dir = "";
let here: Place;
beforeAll(() => {
  ({ dir, place: here } = makePlace());
});
afterAll(() => removePlace(dir));

type Mistake = { readonly args: readonly string[]; readonly code: number; readonly err: RegExp };

/** So many of the mistakes are made in processes of their own; what is printed and returned is the same. */
const processes = 6;
const schemaKinds = ["sampler", "rule", "people", "route", "connection", "calendar"];

const mistakes: readonly Mistake[] = [
  { args: [], code: 2, err: /Usage: bellwether/ },
  { args: ["sereis"], code: 2, err: /unknown command 'sereis'\n\(Did you mean series\?\)/ },
  { args: ["series", "--form", "now-1h"], code: 2, err: /unknown option '--form'\n\(Did you mean --from\?\)/ },
  { args: ["try"], code: 2, err: /missing required argument 'sampler'/ },
  { args: ["try", "shop-order"], code: 2, err: /^there is no sampler "shop-order"\. Fix: one of shop-orders\.\n$/ },
  { args: ["try", "shop-orders", "--at", "yesterday"], code: 2, err: /^--at - not a time \(got "yesterday"\)\. Fix: / },
  {
    args: ["explain", "orders.orders", "--at", "2026-06-10T10:00:00"],
    code: 2,
    err: /^--at - not a time \(got "2026-06-10T10:00:00"\)\. Fix: write ISO 8601 with a zone/,
  },
  { args: ["explain", "orders.orders"], code: 2, err: /required option '--at <time>' not specified/ },
  { args: ["explain", "orders{", "--at", "now"], code: 2, err: /^series - not a series selector \(got "orders\{"\)/ },
  { args: ["series", "orders{country=Germany}"], code: 2, err: /^selector - not a matcher \(got "country=Germany"\)/ },
  { args: ["series", 'orders{country=~"(?=x)"}'], code: 2, err: /^RUL-001 selector - not a linear regular expression/ },
  { args: ["series", "orders", "--from", "now", "--to", "now-1h"], code: 2, err: /^--from - not before --to/ },
  { args: ["series", "--verdicts"], code: 2, err: /^--verdicts needs a selector\. Fix: / },
  { args: ["slots", "--state", "lost"], code: 2, err: /'lost' is invalid\. Allowed choices are due, leased, done/ },
  { args: ["slots", "--limit", "many"], code: 2, err: /'many' is invalid\. Write a number from 1 to 10000\./ },
  { args: ["backtest", "shop-orders"], code: 2, err: /^a backtest needs samplers and a time\. Fix: / },
  {
    args: ["backtest", "--csv", "."],
    code: 2,
    err: /^--csv takes no samplers, and needs one of --out and --compare\. Fix: /,
  },
  { args: ["backtest", "--csv", ".", "--out", "x", "--to", "now"], code: 2, err: /^--to - goes with samplers\. Fix: / },
  {
    args: ["backtest", "shop-orders", "--from", "now-1d", "--kind", "count"],
    code: 2,
    err: /^--kind - goes with --csv/,
  },
  {
    args: ["silence", "add", "Germany", "--for", "1h", "--reason", "x"],
    code: 2,
    err: /not a matcher \(got "Germany"\)/,
  },
  { args: ["silence", "add", 'a="b"', "--for", "long", "--reason", "x"], code: 2, err: /^--for - not a duration/ },
  { args: ["silence", "add", 'a="b"', "--for", "90d", "--reason", "x"], code: 2, err: /^SIL-001 - .* 30 days/ },
  { args: ["silence", "end", "abc"], code: 1, err: /^there is no silence "abc"/ },
  { args: ["send-test", "everybody"], code: 2, err: /Fix: one of shop-team, nobody, email, webhook\./ },
  { args: ["send-test", "email"], code: 2, err: /^--to - email needs an address\. Fix: add --to ADDRESS\.\n$/ },
  { args: ["schema", "metric"], code: 2, err: /^there is no kind "metric"\. Fix: one of calendar, / },
  { args: ["check", "nowhere.yaml"], code: 2, err: /^$/ },
  { args: ["start", "--role", "manager"], code: 2, err: /^--role - there is no role manager\. Fix: one of all, / },
  {
    args: ["start", "--role", "worker"],
    code: 2,
    err: /^--role - the role worker alone needs a queue .*Fix: leave --role out .*, or set REDIS_URL/,
  },
  { args: ["start", "--port", "http"], code: 2, err: /^BELLWETHER_PORT - not a whole number in range \(got "http"\)/ },
  {
    args: ["start", "--data", "/dev/null/x"],
    code: 1,
    err: /^STR-002 \/dev\/null\/x - cannot make the data folder: ENOTDIR.*Fix: /,
  },
];

test("mistakes are one line with a fix, never a stack trace; nothing reaches standard output", async () => {
  for (const [index, { args, code, err }] of mistakes.entries()) {
    const got = await (index < processes ? run : runInside)(here, args);
    expect({ args, code: got.code }, got.err).toEqual({ args, code });
    expect(got.err, args.join(" ")).toMatch(err);
    expect(got.err, args.join(" ")).not.toMatch(/^ {4}at .*:\d+:\d+|defect of Bellwether/m);
    if (args[0] !== "check") expect(got.out, args.join(" ")).toBe("");
  }
});

test("every command explains itself, schemas are JSON", async () => {
  const names = ["demo", "start", "check", "try", "backtest", "explain", "series", "slots", "incidents", "ack"];
  const others = [["silence", "add"], ["silence", "list"], ["silence", "end"], ["send-test"], ["schema"], ["doctor"]];
  const commands = [...names.map((name) => [name]), ...others];
  const helps: Ran[] = [];
  for (const words of [[], ...commands]) {
    const { code, out, err } = await runInside(here, [...words, "--help"]);
    expect({ words, code, err }).toEqual({ words, code: 0, err: "" });
    expect(out).toContain(`Usage: ${["bellwether", ...words].join(" ")}`);
    helps.push({ code, out, err });
  }
  for (const name of [...names, "silence", "send-test", "schema", "doctor"])
    expect(helps[0]?.out).toContain(`  ${name}`);
  const settings = ["BELLWETHER_CONFIG", "BELLWETHER_PORT", "BELLWETHER_KEEP_POINTS", "SMTP_URL", "WEBHOOK_SECRET"];
  for (const name of settings) expect(helps[2]?.out).toMatch(new RegExp(`^  ${name} +\\S.* \\[.+\\]$`, "m"));
  expect((await run(here, ["--version"])).out).toMatch(/^\d+\.\d+\.\d+\n$/);
  for (const kind of schemaKinds) {
    const { code, out } = await runInside(here, ["schema", kind]);
    expect({ kind, code }).toEqual({ kind, code: 0 });
    expect(JSON.parse(out)).toMatchObject({ $schema: expect.stringMatching(/json-schema\.org/) });
  }
});

test("wrong settings are all told at once, secrets not", async () => {
  const { code, out, err } = await run(here, ["slots"], {
    BELLWETHER_ZONE: "Beijing",
    BELLWETHER_LOG: "loud",
    SMTP_URL: "mail://report:c4nary-s3cret@mail.example",
    WEBHOOK_SECRET: "c4nary",
    REDIS_URL: "redis://:c4nary@127.0.0.1",
  });
  expect({ code, out }).toEqual({ code: 2, out: "" });
  expect(err.split("\n").map((line) => line.split(" ")[0])).toEqual([
    ...["BELLWETHER_ZONE", "BELLWETHER_LOG", "SMTP_URL", "WEBHOOK_SECRET", "DATABASE_URL", ""],
  ]);
  expect(err).not.toContain("c4nary");

  const servers = await run(here, ["slots"], {
    REDIS_URL: "http://:c4nary@127.0.0.1",
    DATABASE_URL: "oracle://shop:c4nary@127.0.0.1/facts",
  });
  expect({ code: servers.code, out: servers.out }).toEqual({ code: 2, out: "" });
  expect(servers.err).toMatch(/^REDIS_URL - not the address of a Redis\. Fix: .*\nDATABASE_URL - not .*\. Fix: .*\n$/);
  expect(servers.err).not.toContain("c4nary");
});

test("in production, a console that others reach without a password does not start", async () => {
  const { code, out, err } = await run(here, ["start", "--port", "0"], {
    BELLWETHER_ENV: "production",
    BELLWETHER_HOST: "0.0.0.0",
  });
  expect({ code, out }).toEqual({ code: 2, out: "" });
  expect(err).toMatch(/^BELLWETHER_HOST - the console has no password, and would listen on 0\.0\.0\.0\. Fix: .*\n$/);
});

test("a broken definition is told with file, line and column by check, and by what needs it", async () => {
  const broken = makePlace();
  write(broken.place, "samplers/shop/orders.yaml", "name: shop-orders\ntitle: Orders\nevery: 5\nowner: [\n");
  const [check, facts, trial, doctor] = await runAll(broken.place, [
    ["check"],
    ["check", "--json"],
    ["try", "shop-orders"],
    ["doctor"],
  ]);
  removePlace(broken.dir);
  expect(check?.code).toBe(2);
  expect(check?.out).toMatch(/^CFG-\d+ samplers\/shop\/orders\.yaml:\d+:\d+ .*\n/);
  expect(check?.out).toMatch(/\n?\d+ faults?; sound: 0 samplers, /);
  expect(facts?.code).toBe(2);
  expect(JSON.parse(facts?.out ?? "")).toMatchObject({
    valid: false,
    problems: [{ severity: "error", where: expect.stringMatching(/^samplers\/shop\/orders\.yaml:\d+:\d+$/) }],
  });
  expect(trial?.code).toBe(2);
  expect(trial?.err).toMatch(/^there is no sampler "shop-orders".*\nCFG-\d+ samplers\/shop\/orders\.yaml:\d+:\d+/);
  expect(doctor?.code).toBe(1);
  expect(doctor?.out).toMatch(/^fault {4}definitions in .*: \d+ faults?, see bellwether check$/m);
});

test("a source that fails is exit code 1, with what to do", async () => {
  const empty = { ...here, data: join(dir, "no-shop") };
  const { code, out, err } = await run(empty, ["try", "shop-orders", "--at", "2026-06-09T10:00:00Z"]);
  expect(code).toBe(1);
  expect(err).toMatch(/^SQL-015 .* - cannot open .*shop\.db\. Fix: .*\n$/);
  expect(out, "what its system says, which is nothing here").toBe("");
});

test("a reader that has seen enough (`| head`) is no fault", async () => {
  const child = begin(here, ["schema", "sampler"]);
  child.stdout?.once("data", () => child.stdout?.destroy());
  const { code, err } = await ended(child);
  expect({ code, err }).toEqual({ code: 0, err: "" });
});

test("colours are for terminals that want them", async () => {
  const folder = mkdtempSync(join(tmpdir(), "bellwether-tty-"));
  const words = `${process.execPath} ${join(import.meta.dirname, "../../src/main.ts")} doctor`;
  const inTerminal = async (env: Record<string, string>) => {
    const { spawn } = await import("node:child_process");
    const { PATH = "" } = process.env;
    return ended(
      spawn("script", ["-qec", words, "/dev/null"], {
        env: { PATH, BELLWETHER_CONFIG: here.config, BELLWETHER_DATA: here.data, ...env },
        stdio: ["ignore", "pipe", "pipe"],
      }),
    );
  };
  const [coloured, plain] = await Promise.all([inTerminal({}), inTerminal({ NO_COLOR: "1" })]);
  rmSync(folder, { recursive: true });
  expect(coloured.out).toContain("\u001b[32mok");
  expect(plain.out).not.toContain("\u001b");
});

test("settings come from .env in the working folder too; the environment is stronger", async () => {
  const other = makePlace();
  writeFileSync(join(other.place.config, ".env"), "BELLWETHER_PORT=none\nBELLWETHER_ZONE=nowhere\n");
  const { code, err } = await run(other.place, ["slots"], { BELLWETHER_ZONE: "Europe/London" });
  expect(code).toBe(2);
  expect(err).toMatch(/^BELLWETHER_PORT - .*\n$/);
  rmSync(join(other.place.config, ".env"));
  mkdirSync(join(other.place.config, ".env"));
  expect(await run(other.place, ["slots"])).toMatchObject({
    code: 2,
    err: expect.stringMatching(/^\.env - cannot read/),
  });
  removePlace(other.dir);
});
