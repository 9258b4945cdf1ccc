/** What must hold for boards of any definitions, so that Grafana takes them and draws what they mean. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { samplerUid } from "../../../src/show/boards/board.ts";
import { datasourcesYaml, datasourceVariables, providerYaml } from "../../../src/show/boards/datasources.ts";
import type { Dashboard, Panel, Row } from "../../../src/show/boards/grafana.ts";
import { boardsOf, isGenerated, provisioningFiles } from "../../../src/show/boards/index.ts";
import { plainName, refId } from "../../../src/show/boards/panels.ts";
import { type Shown, samplerBoard } from "../../../src/show/boards/sampler.ts";

const knownSources = new Set<string>(
  (parse(datasourcesYaml()) as { datasources: { uid: string }[] }).datasources.map(({ uid }) => uid),
);

/** Everything about a board that Grafana would refuse, or silently draw otherwise than meant. */
function faultsOf(board: Dashboard): string[] {
  const found: string[] = [];
  const panels = [...board.panels];
  if (!/^[a-zA-Z0-9_-]{1,40}$/.test(board.uid ?? "")) found.push(`uid ${board.uid}`);
  if (new Set(panels.map(({ id }) => id)).size < panels.length) found.push("two panels of one id");
  for (const [index, one] of panels.entries()) {
    if (!insideGrid(one)) found.push(`panel ${one.id} is outside the grid`);
    for (const other of panels.slice(index + 1)) {
      if (overlap(one, other)) found.push(`panels ${one.id} and ${other.id} overlap`);
    }
  }
  const variables = new Set((board.templating?.list ?? []).map(({ name }) => name));
  for (const panel of panels) {
    if (isPanel(panel)) found.push(...panelFaults(panel, variables).map((fault) => `panel ${panel.id}: ${fault}`));
  }
  for (const variable of board.templating?.list ?? []) {
    if (!/^\w+$/.test(variable.name)) found.push(`variable ${variable.name}`);
    found.push(...unknownVariables(String(variable.query), variables));
    const current = variable.current?.value;
    if (variable.type === "datasource" && !knownSources.has(String(current))) found.push(`no data source ${current}`);
  }
  return found;
}

function panelFaults(panel: Panel, variables: ReadonlySet<string>): string[] {
  const found: string[] = [];
  const targets = panel.targets ?? [];
  if (new Set(targets.map((target) => target.refId)).size < targets.length) found.push("two queries of one refId");
  const sources = [panel.datasource, ...targets.map(({ datasource }) => datasource)];
  for (const uid of sources.flatMap((source) => source?.uid ?? [])) {
    const variable = /^\$\{(\w+)\}$/.exec(uid)?.[1];
    if (variable === undefined ? !knownSources.has(uid) : !variables.has(variable)) found.push(`no data source ${uid}`);
  }
  const names = new Set<unknown>();
  for (const target of targets) {
    if (!("query" in target)) continue;
    found.push(...unknownVariables(target.query, variables));
    if (target.alias !== undefined) {
      names.add(target.alias);
      if (target.resultFormat === "time_series" && /\$(?!tag_\w+)|\[\[/.test(target.alias))
        found.push(`alias ${target.alias}`);
    }
    const grouped = /GROUP BY (.*?)( fill|$)/.exec(target.query)?.[1] ?? "";
    for (const [, tag] of (target.alias ?? "").matchAll(/\$tag_(\w+)/g)) {
      if (!grouped.includes(`"${tag}"`)) found.push(`alias of a tag that is not grouped by: ${tag}`);
    }
  }
  if (panel.type === "timeseries") {
    for (const { matcher, properties } of panel.fieldConfig?.overrides ?? []) {
      if (matcher.id === "byName" && !names.has(matcher.options)) found.push(`no line ${matcher.options}`);
      const below = properties.find(({ id }) => id === "custom.fillBelowTo");
      if (below !== undefined && !names.has(below.value)) found.push(`nothing below: ${below.value}`);
    }
  }
  return found;
}

function unknownVariables(text: string, variables: ReadonlySet<string>): string[] {
  const used = [...text.matchAll(/\$\{(\w+)(?::\w+)?\}|\$(\w+)/g)].map(([, one, other]) => one ?? other ?? "");
  const builtIn = ["timeFilter", "__interval"];
  return used.filter((name) => !builtIn.includes(name) && !variables.has(name)).map((name) => `no variable ${name}`);
}

function isPanel(panel: Panel | Row): panel is Panel {
  return panel.type !== "row";
}

function insideGrid({ gridPos }: Panel | Row): boolean {
  if (gridPos === undefined) return false;
  const { x, y, w, h } = gridPos;
  return x >= 0 && y >= 0 && w > 0 && h > 0 && x + w <= 24;
}

function overlap({ gridPos: a }: Panel | Row, { gridPos: b }: Panel | Row): boolean {
  if (a === undefined || b === undefined) return false;
  return a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;
}

// ---- definitions of all kinds ------------------------------------------------------------------------------------

const word = fc.stringMatching(/^[A-Za-z][A-Za-z0-9_]{0,30}$/);
const sentence = fc.oneof(
  fc.string({ minLength: 1, maxLength: 60 }),
  fc.constantFrom("Revenue in $", "[[a]] $tag_x", "[[[$[", "*a* <b>"),
);

const judging: Shown["judge"][string] = {
  kind: "auto",
  direction: "both",
  baseline: { days: 7, trim: 1 },
  forecast: { points: 8 },
  floor: { percent: 30, criticalPercent: 50, absolute: 10, volume: 20 },
};

const shown: fc.Arbitrary<Shown> = fc
  .record({
    name: fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/),
    title: sentence,
    owner: sentence,
    purpose: fc.option(sentence),
    runbook: fc.option(fc.constantFrom("docs/x.md", "https://wiki.example/x")),
    stepMs: fc.constantFrom(1_000, 60_000, 90_000, 3_600_000, 86_400_000),
    measurement: word,
    columns: fc.uniqueArray(word, { minLength: 1, maxLength: 8 }),
    tagCount: fc.nat(4),
    judged: fc.infiniteStream(fc.boolean()),
  })
  .map(({ stepMs, measurement, columns, tagCount, judged, ...rest }) => {
    const tags = columns.slice(0, Math.min(tagCount, columns.length - 1));
    const fields = columns.slice(tags.length);
    const judge = Object.fromEntries(fields.filter(() => judged.next().value).map((field) => [field, judging]));
    const schedule = { kind: "every", stepMs, delayMs: 0 } as const;
    return { ...rest, zone: "UTC", schedule, point: { measurement, tags, fields }, judge };
  });

const samplers = fc.uniqueArray(shown, { selector: ({ name }) => name, maxLength: 5 });

test("boards of any samplers hold nothing that Grafana refuses or draws otherwise than meant", () => {
  fc.assert(
    fc.property(samplers, (all) => {
      const boards = boardsOf(all);
      expect(boards.flatMap(faultsOf)).toEqual([]);
      const uids = boards.map(({ uid }) => uid?.toLowerCase());
      expect(new Set(uids).size).toBe(all.length + 1);
    }),
    { numRuns: 200 },
  );
});

test("the same definitions give the same files, in whatever order they come, and each is known as ours", () => {
  fc.assert(
    fc.property(samplers, (all) => {
      const files = provisioningFiles(all);
      expect(provisioningFiles(all.toReversed())).toEqual(files);
      for (const [path, text] of files) expect(isGenerated(path, text), path).toBe(true);
    }),
    { numRuns: 50 },
  );
});

describe("what is looked for is found", () => {
  const point = { measurement: "orders", tags: ["country"], fields: ["orders"] };
  const [, good] = boardsOf([
    {
      name: "shop",
      title: "Shop",
      owner: "a",
      purpose: null,
      runbook: null,
      zone: "UTC",
      schedule: { kind: "every", stepMs: 60_000, delayMs: 0 },
      point,
      judge: { orders: judging },
    },
  ]) as [Dashboard, Dashboard];
  const text = JSON.stringify(good);
  test.each([
    ["a board without faults", '"version":1', '"version":1', []],
    ["an id used twice", '"id":3,', '"id":2,', ["two panels of one id"]],
    ["panels that overlap", '"x":12,"y":15', '"x":11,"y":15', ["panels 4 and 5 overlap"]],
    ["a panel beyond the right edge", '"x":0,"y":4,"w":24', '"x":0,"y":4,"w":25', ["panel 3 is outside the grid"]],
    ["a refId used twice", '"refId":"B"', '"refId":"A"', ["panel 3: two queries of one refId"]],
    ["a band that nothing lies below", '"value":"lower"', '"value":"lowest"', ["panel 3: nothing below: lowest"]],
    ["a line that nobody draws", '"alias":"critical"', '"alias":"Critical"', ["panel 3: no line critical"]],
    ["a variable that nobody defines", "pick_country:regex", "pick_land:regex", ["panel 3: no variable pick_land"]],
    ["a copy that nobody defines", '"value":"bellwether-a"', '"value":"influx"', ["no data source influx"]],
    ["a name that is too long", "bellwether-shop", "b".repeat(41), [`uid ${"b".repeat(41)}`]],
    [
      "an alias of a tag that is not asked for",
      "$tag_country",
      "$tag_land",
      ["panel 4: alias of a tag that is not grouped by: land"],
    ],
  ])("%s", (_name, from, to, faults) => {
    expect(text).toContain(from);
    expect(faultsOf(JSON.parse(text.replace(from, () => to)))).toEqual(faults);
  });
});

test("a board's name lasts: it is made of the sampler's name alone", () => {
  const long = "a".repeat(64);
  expect(samplerUid("shop-orders")).toBe("bellwether-shop-orders");
  expect(samplerUid("overview")).not.toBe("bellwether-overview");
  expect(samplerUid("Shop")).not.toBe(samplerUid("shop"));
  expect(samplerUid(long)).toHaveLength(40);
  expect(samplerUid(long)).not.toBe(samplerUid(`${long.slice(1)}b`));
});

test("queries are lettered as Grafana letters them", () => {
  expect([0, 25, 26, 51, 52, 701, 702].map(refId)).toEqual(["A", "Z", "AA", "AZ", "BA", "ZZ", "AAA"]);
});

test.each([
  ["Revenue in $", "Revenue in"],
  ["[[tag_x]] $m", "[tag_x]] m"],
  ["$", "value"],
])("a title holds no pattern when it names a series: %s", (title, name) => {
  expect(plainName(title)).toBe(name);
});

test("accounts of data sources come from Grafana's environment, and from nowhere else", () => {
  const { datasources } = parse(datasourcesYaml()) as { datasources: Record<string, unknown>[] };
  const text = JSON.stringify(datasources);
  expect(new Set(text.match(/\$\w+/g))).toEqual(new Set(datasourceVariables.map((name) => `$${name}`)));
  for (const { url, user, secureJsonData } of datasources) {
    expect(url).toMatch(/^\$/);
    if (user !== undefined) expect(user).toMatch(/^\$/);
    for (const secret of Object.values((secureJsonData as object | undefined) ?? {})) expect(secret).toMatch(/^\$/);
  }
  expect(parse(providerYaml()).providers).toMatchObject([{ type: "file", allowUiUpdates: false }]);
});

test.each([
  ["a board that somebody took over", "dashboards/x.json", '{"uid":"bellwether-x","tags":["bellwether"]}'],
  ["a board of somebody else with our tag", "dashboards/x.json", '{"uid":"x","tags":["bellwether-generated"]}'],
  ["what is no JSON", "dashboards/x.json", "{"],
  ["what is no board", "dashboards/x.json", "null"],
  ["data sources that somebody took over", "datasources/datasources.yaml", "apiVersion: 1\n"],
])("%s is not ours", (_name, path, text) => {
  expect(isGenerated(path, text)).toBe(false);
});

test("a total has a band of its own, of the series without tags", () => {
  const point = { measurement: "orders", tags: ["country", "device"], fields: ["orders"] };
  const of = (total?: string[]): Dashboard => {
    const schedule = { kind: "every" as const, stepMs: 60_000, delayMs: 0 };
    const names = { name: "o", title: "Orders", owner: "ana", purpose: null, runbook: null, zone: "UTC" };
    return samplerBoard({ ...names, schedule, point: { ...point, total }, judge: { orders: judging } });
  };
  const panels = of(["orders"]).panels.filter(isPanel);
  const own = panels.filter(({ title }) => title === "Observed and expected: orders, total of all series");
  const queries = own.flatMap(({ targets = [] }) => targets.map((target) => ("query" in target ? target.query : "")));
  expect(queries).toHaveLength(7);
  for (const query of queries) expect(query).toContain(`"field" = 'orders'`);
  for (const query of queries) expect(query).toContain(`"country" = '' AND "device" = ''`);
  expect(of().panels).toHaveLength(of(["orders"]).panels.length - 1);
  expect(faultsOf(of(["orders"]))).toEqual([]);
});
