/** `bellwether grafana generate`: what it writes, what it leaves alone, and that what we ship is what it writes. */
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Place, projectDir, type Ran, runInside } from "./run.ts";

let dir: string;
let place: Place;
let out: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "bellwether-grafana-"));
  place = { config: join(dir, "config"), data: join(dir, "data") };
  out = join(dir, "provisioning");
  for (const folder of ["samplers", "rules"])
    cpSync(join(projectDir, folder), join(place.config, folder), { recursive: true });
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const generate = (...more: string[]): Promise<Ran> => runInside(place, ["grafana", "generate", "--out", out, ...more]);

/** Path -> text of all files of a folder. */
function filesOf(folder: string): Record<string, string> {
  const names = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = names.map((entry) => join(entry.parentPath, entry.name));
  return Object.fromEntries(paths.sort().map((path) => [path.slice(folder.length + 1), readFileSync(path, "utf8")]));
}

function change(path: string, how: (text: string) => string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, how(readFileSync(path, { encoding: "utf8", flag: "a+" })));
}

test("what is shipped in grafana-provisioning/ is what comes of the samplers that are shipped", async () => {
  expect(await generate()).toMatchObject({ code: 0, err: "" });
  expect(filesOf(join(projectDir, "grafana-provisioning"))).toEqual(filesOf(out));
});

test("run again, it changes nothing", async () => {
  expect((await generate()).out).toBe(`${out}: 6 files written, 0 unchanged\n`);
  const before = filesOf(out);
  expect((await generate()).out).toBe(`${out}: 0 files written, 6 unchanged\n`);
  expect(filesOf(out)).toEqual(before);
});

test("a board whose sampler is gone is deleted, and none that is somebody's own", async () => {
  await generate();
  rmSync(join(place.config, "samplers/shop/hours.yaml"));
  change(join(out, "dashboards/own.json"), () => '{ "uid": "own", "tags": ["bellwether"] }');
  change(join(out, "dashboards/broken.json"), () => "{");
  const ran = await generate("--json");
  expect(JSON.parse(ran.out)).toMatchObject({
    written: ["dashboards/bellwether-overview.json"],
    deleted: ["dashboards/bellwether-shop-hours.json"],
    kept: [],
  });
  expect(Object.keys(filesOf(join(out, "dashboards")))).toEqual([
    "bellwether-overview.json",
    "bellwether-shop-cancellations.json",
    "bellwether-shop-orders.json",
    "broken.json",
    "own.json",
    "provider.yaml",
  ]);
});

test("what somebody made his own is left as it is, and said; what is still ours is mended", async () => {
  await generate();
  const sources = join(out, "datasources/datasources.yaml");
  change(sources, (text) => text.split("\n").slice(1).join("\n"));
  const board = join(out, "dashboards/bellwether-shop-orders.json");
  change(board, (text) => text.replace("bellwether-generated", "ours"));
  change(join(out, "dashboards/bellwether-overview.json"), (text) => text.replace("Level now", "Level then"));
  const own = [readFileSync(sources, "utf8"), readFileSync(board, "utf8")];
  expect((await generate()).out.split("\n")).toEqual([
    `left as it is, for it is not ours any more: ${sources}`,
    `left as it is, for it is not ours any more: ${board}`,
    `${out}: 1 file written, 3 unchanged`,
    "",
  ]);
  expect([readFileSync(sources, "utf8"), readFileSync(board, "utf8")]).toEqual(own);
});

test("with a fault in a definition nothing is written, and the fault is named", async () => {
  change(join(place.config, "samplers/shop/orders.yaml"), (text) => text.replace("every: 1m", "evry: 1m"));
  const ran = await generate();
  expect(ran.code).toBe(2);
  expect(ran.err).toMatch(/samplers\/shop\/orders\.yaml:\d+:\d+ evry .*Fix: .*"every"/);
  expect(() => filesOf(out)).toThrow("ENOENT");
});

test("a folder that cannot be written to is named, with what to do", async () => {
  writeFileSync(out, "a file");
  const ran = await generate();
  expect(ran).toMatchObject({ code: 1, out: "" });
  expect(ran.err).toContain(`${out} - `);
  expect(ran.err).toContain("Fix: name a folder that you may write to with --out");
});
