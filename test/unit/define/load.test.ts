import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { loadDefinitions } from "../../../src/define/load.ts";
import { base, folder, load, messages, optionsFor, sampler } from "./support.ts";

/** Golden folders: `config/` beside `expected.json` (what is defined) and `problems.txt` (what is said). */
const cases = join(import.meta.dirname, "../../cases/define");

describe.each(readdirSync(cases))("%s", (name) => {
  test("is read as written beside it", async () => {
    const dir = join(cases, name);
    const { definitions, problems } = await loadDefinitions(optionsFor(join(dir, "config")));
    expect(`${messages({ problems }).join("\n")}\n`).toBe(readFileSync(join(dir, "problems.txt"), "utf8") || "\n");
    const plain = Object.entries(definitions).map(([key, value]) => [
      key,
      value instanceof Map ? Object.fromEntries(value) : value,
    ]);
    expect(JSON.parse(JSON.stringify(Object.fromEntries(plain)))).toEqual(
      JSON.parse(readFileSync(join(dir, "expected.json"), "utf8")),
    );
  });
});

test("nothing written: nothing defined but the route that tells the sampler's own group", async () => {
  const { definitions, problems } = await load({});
  expect(problems).toEqual([]);
  expect(definitions.samplers.size).toBe(0);
  expect(definitions.route).toMatchObject({ group: null, groupBy: ["sampler"], groupWaitMs: 10_000, routes: [] });
  expect(definitions.route).toMatchObject({ groupIntervalMs: 300_000, repeatIntervalMs: 14_400_000 });
});

describe("a definition at fault hurts only itself", () => {
  test("files beside it load; a group that loses a person is kept and said", async () => {
    const { definitions, problems } = await load({
      ...base,
      "samplers/good.yaml": sampler(),
      "samplers/bad.yaml": "name: [",
      "rules/people/more.yaml":
        "people:\n  bob: { name: Bob, email: nowhere }\n  cyd: { name: Cyd, phone: '+14155550100' }\n" +
        "groups:\n  night: { members: [bob, cyd, dan], steps: [ { notifier: webhook } ] }\n",
    });
    expect([...definitions.samplers.keys()]).toEqual(["shop-orders"]);
    expect([...definitions.people.keys()].sort()).toEqual(["ana", "cyd"]);
    expect(definitions.groups.get("night")?.members).toEqual(["cyd"]);
    expect(messages({ problems })).toEqual([
      "PPL-001 rules/people/more.yaml:2:28 people.bob.email - not an e-mail address. Fix: write one address, name@domain.",
      'CFG-W21 rules/people/more.yaml:5:22 groups.night.members[0] - person "bob" is at fault itself, ' +
        "see rules/people/more.yaml:2:3",
      'RUL-003 rules/people/more.yaml:5:32 groups.night.members[2] - unknown person "dan". Fix: one of bob, cyd, ana.',
      "CFG-017 samplers/bad.yaml:1:8 - not YAML: flow sequence in block collection must be sufficiently indented " +
        "and end with a ]. Fix: correct the syntax on this line or the one before.",
    ]);
  });

  test("a people file that cannot be read stops no sampler", async () => {
    const { definitions, problems } = await load({
      "rules/connections.yaml": base["rules/connections.yaml"] as string,
      "rules/people/shop.yaml": "people: {",
      "samplers/good.yaml": sampler(),
    });
    expect([...definitions.samplers.keys()]).toEqual(["shop-orders"]);
    expect(messages({ problems })).toEqual([
      "CFG-017 rules/people/shop.yaml:1:10 - not YAML: flow map in block collection must be sufficiently indented and end with a }. " +
        "Fix: correct the syntax on this line or the one before.",
      'CFG-W21 samplers/good.yaml:3:8 owner - cannot tell whether person or group "shop-team" exists: ' +
        "a file cannot be read",
    ]);
  });

  test("rules that need one at fault are left out with it, and said", async () => {
    const { definitions, problems } = await load({
      "rules/detect/r.yaml":
        "rules:\n- { name: a, level: bad }\n- { name: b, needs: [a] }\n- { name: c, needs: [b] }\n- { name: d }\n",
    });
    expect([...definitions.rules.keys()]).toEqual(["d"]);
    expect(messages({ problems })).toEqual([
      'CFG-019 rules/detect/r.yaml:2:21 rules[0].level - unknown value (got "bad"). Fix: one of warning, critical.',
      'CFG-W21 rules/detect/r.yaml:3:22 rules[1].needs[0] - rule "a" is at fault itself, see rules/detect/r.yaml:2:3',
      'CFG-W21 rules/detect/r.yaml:4:3 needs - left out, as rule "b" is',
    ]);
  });
});

test("what a source finds unwise is said and stops nothing", async () => {
  const source = "{ sql: { connection: shop, query: select 2 } }";
  const { definitions, problems } = await load({ ...base, "samplers/a.yaml": sampler({ source }) });
  expect(messages({ problems })).toEqual([
    "SQL-W11 samplers/a.yaml:5:43 source.sql.query - always the same. Fix: ask for a slot.",
  ]);
  expect(problems[0]?.severity).toBe("warning");
  expect(definitions.samplers.size).toBe(1);
});

describe("names that are used lead to names that are defined", () => {
  test.each([
    [
      "owner",
      { owner: "shop-taem" },
      'owner - unknown person or group "shop-taem". Fix: one of shop-team, ana (did you mean "shop-team"?).',
    ],
    ["group", { group: "nobody" }, 'group - unknown person or group "nobody". Fix: one of shop-team, ana.'],
    [
      "connection",
      { source: "{ sql: { connection: shpo, query: x } }" },
      'source.sql.connection - unknown connection "shpo". Fix: one of shop (did you mean "shop"?).',
    ],
  ])("%s", async (_, changes, message) => {
    const { definitions, problems } = await load({ ...base, "samplers/a.yaml": sampler(changes) });
    expect(messages({ problems })[0]?.replace(/^RUL-003 samplers\/a.yaml:\d+:\d+ /, "")).toBe(message);
    expect(problems).toHaveLength(1);
    expect(definitions.samplers.size).toBe(0);
  });

  test("a connection of a kind that the source cannot use", async () => {
    const source = "{ http: { connection: shop, url: x } }";
    const { problems } = await load({ ...base, "samplers/a.yaml": sampler({ source }) });
    expect(messages({ problems })).toEqual([
      'CFG-019 samplers/a.yaml:5:31 source.http.connection - connection "shop" is of kind sqlite, which this source ' +
        "cannot use. Fix: name a connection of kind web.",
    ]);
  });

  test("a route whose group is unknown passes on to the group above", async () => {
    const { definitions, problems } = await load({
      ...base,
      "rules/routes/r.yaml":
        "route:\n  group: shop-team\n  routes:\n  - { match: ['a=\"1\"'], group: gone, routes: [ { match: ['b=\"1\"'] } ] }\n",
    });
    expect(messages({ problems })).toEqual([
      'RUL-003 rules/routes/r.yaml:4:32 route.routes[0].group - unknown person or group "gone". Fix: one of shop-team, ana.',
    ]);
    const [child] = definitions.route.routes;
    expect([child?.group, child?.routes[0]?.group]).toEqual(["shop-team", "shop-team"]);
  });

  test("a person may own and be told where a group is wanted", async () => {
    const { definitions, problems } = await load({ ...base, "samplers/a.yaml": sampler({ owner: "ana" }) });
    expect(problems).toEqual([]);
    expect(definitions.groups.get("ana")).toMatchObject({
      title: "Ana Silva",
      members: ["ana"],
      steps: [{ notifier: "email", to: null, waitMs: 0 }],
    });
  });

  test("a group that reaches nobody is warned of", async () => {
    const { problems } = await load({
      "rules/people/p.yaml": "people: { bob: { name: Bob } }\ngroups: { night: { members: [bob] } }\n",
    });
    expect(messages({ problems })).toEqual([
      'CFG-W22 rules/people/p.yaml:2:11 - nobody hears what is sent to group "night". ' +
        "Fix: add a member with an address, or a step with to.",
    ]);
    expect(problems[0]?.severity).toBe("warning");
  });
});

describe("only some files", () => {
  const files = {
    ...base,
    "samplers/shop/a.yaml": sampler({ every: "7m" }),
    "samplers/b.yaml": sampler({ name: "b", empty: "none" }),
  };

  test.each([
    ["samplers/shop/a.yaml", ["samplers/shop/a.yaml:4:8"]],
    ["samplers/shop", ["samplers/shop/a.yaml:4:8"]],
    ["samplers", ["samplers/b.yaml:7:8", "samplers/shop/a.yaml:4:8"]],
    ["rules", []],
    ["samplers/none.yaml", ["samplers/none.yaml"]],
    ["..", [".."]],
  ])("%s", async (path, places) => {
    const { problems } = await loadDefinitions(optionsFor(folder(files)), [path]);
    expect(problems.map(({ where }) => where)).toEqual(places);
  });
});
