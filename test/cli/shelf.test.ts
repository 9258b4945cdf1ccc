/** `replicas shelf --give-up`, which asks no server: there is none behind the addresses of this file. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { bucketsOf } from "../../src/store/batch.ts";
import { Spool } from "../../src/store/spool.ts";
import { SimulatedClock } from "../support/clock.ts";
import { batchOf, startMs } from "../unit/store/spool-support.ts";
import { type Place, type Ran, run } from "./run.ts";
import { makePlace, removePlace } from "./shop.ts";

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const env = {
  INFLUX_URLS: "a=http://127.0.0.1:1/shop b=http://127.0.0.1:2/shop",
  BELLWETHER_PORT: "1",
  BELLWETHER_LOG: "silent",
};
let dir = "";
let here: Place;
const ask = (...args: readonly string[]): Promise<Ran> => run(here, ["replicas", "shelf", ...args], env);

function openSpool(): Spool {
  mkdirSync(here.data, { recursive: true });
  return new Spool({
    file: join(here.data, "spool.db"),
    targets: ["a", "b"],
    buckets: bucketsOf({ keepRawMs: null, keepMs: 0 }).map(({ name }) => name),
    bytesMax: 1e9,
    clock: new SimulatedClock(startMs),
    log: quiet,
  });
}

beforeAll(() => {
  ({ dir, place: here } = makePlace());
});
afterAll(() => removePlace(dir));

test("points of one copy are given up, those of the other stay; not while another process carries", async () => {
  const spool = openSpool();
  await spool.append([batchOf(1, { points: 3 })]);
  const refused = (line: string, expired = false) => ({ line, reason: "no", expired });
  spool.settle("a", "", 1, 2, [refused("orders n=1 1")]);
  spool.settle("b", "", 1, 0, [refused("orders n=1 1"), refused("orders n=1 2"), refused("orders n=1 0", true)]);
  const held = await ask("--give-up");
  expect(held.code).toBe(75);
  expect(held.err).toContain(`points cannot be given up while the spool is held by process ${process.pid}`);
  expect(held.err).toContain("stop that process first");
  spool.close();

  expect((await ask("--target", "b")).out).toContain("too old: no");
  expect((await ask("--give-up", "--target", "c")).code).toBe(2);
  expect(await ask("--give-up", "--target", "b")).toMatchObject({ code: 0, out: "2 points given up\n" });
  expect((await ask("--target", "b")).out).toBe("nothing was refused\n");
  expect(JSON.parse((await ask("--json")).out)).toMatchObject({ total: 1, items: [{ target: "a" }] });
  const again = openSpool();
  const [, account] = again.accounts().filter(({ bucket }) => bucket === "");
  expect(account).toMatchObject({ target: "b", acknowledged: 0, shelved: 0, expired: 3, pending: 0 });
  again.close();
  expect(await ask("--give-up", "--json")).toMatchObject({ code: 0, out: '{\n  "givenUp": 1\n}\n' });
});
