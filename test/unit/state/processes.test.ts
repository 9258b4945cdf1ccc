import { once } from "node:events";
import { join } from "node:path";
import Sqlite from "better-sqlite3";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openState } from "../../../src/state/database.ts";
import { alert, changes, item, slot } from "../../contracts/state.ts";
import { SimulatedClock } from "../../support/clock.ts";
import { type Mariadb, startMariadb, whyNoMariadb } from "../../support/servers/mariadb.ts";
import { type Postgres, startPostgres, whyNoPostgres } from "../../support/servers/postgres.ts";
import { outputOf, silent, start, testFolder } from "../store/support.ts";

const folder = testFolder("state-processes");
const clock = new SimulatedClock("2026-11-21T09:30:00Z");

/** Starts two processes on what is new, and has them race. */
async function race(place: string, count: number): Promise<void> {
  const racers = ["w1", "w2"].map((owner) => start(import.meta.dirname, "race.ts", place, owner, `${count}`));
  const outputs = racers.map(outputOf);
  await Promise.all(racers.map((racer) => once(racer.stdout!, "data")));
  await using state = await openState({
    ...(place.includes("://") ? { url: place } : { file: place }),
    clock,
    log: silent,
  });
  const names = Array.from({ length: count }, (_, turn) => `${turn}`);
  await state.slots.add(names.map((name) => slot(-3, `s${name}`)));
  await state.outbox.add(names.map((name) => item(name)));
  for (const racer of racers) racer.stdin!.write("go\n");
  const won = (await Promise.all(outputs)).map((text) => JSON.parse(text.replace("ready\n", "")));
  const all = (what: string): string[] => won.flatMap((each) => each[what]).sort();
  expect(all("slots")).toEqual(names.map((name) => `s${name}`).sort());
  expect(all("alerts")).toEqual(names.map((name) => `same ${name}`).sort());
  expect(all("items")).toEqual([...names].sort());
  const [one, two] = won;
  expect(one.fromMs < two.toMs && two.fromMs < one.toMs, "they ran at the same time").toBe(true);
  expect(await state.alerts.standing()).toHaveLength(count);
}

test("two processes open a new file at once, then race for 150 slots, alerts and messages: one winner each", async () => {
  await race(join(folder, "race.db"), 150);
});

const servers = [
  { name: "PostgreSQL", missing: whyNoPostgres(), begin: (): Promise<Postgres | Mariadb> => startPostgres() },
  { name: "MariaDB", missing: whyNoMariadb(), begin: (): Promise<Postgres | Mariadb> => startMariadb() },
];

describe.each(servers)("$name", ({ missing, begin }) => {
  let server: Postgres | Mariadb | undefined;
  beforeAll(async () => {
    if (missing === null) server = await begin();
  });
  afterAll(async () => server?.[Symbol.asyncDispose]());

  test.skipIf(missing !== null)(
    `two processes race for 100 slots, alerts and messages: one winner each${missing === null ? "" : ` (${missing})`}`,
    async () => race(await (server as Postgres | Mariadb).database(), 100),
  );
});

test("a process killed while it writes leaves whole decisions, and the file opens", async () => {
  const file = join(folder, "killed.db");
  for (let round = 0; round < 8; round += 1) {
    const racer = start(import.meta.dirname, "race.ts", file, `w${round}`, "100000");
    await once(racer.stdout!, "data");
    racer.stdin!.write("go\n");
    setTimeout(() => racer.kill("SIGKILL"), 20 + Math.random() * 100);
    await once(racer, "close");
    await using state = await openState({ file, clock, log: silent });
    const standing = await state.alerts.standing();
    const after = alert(`after ${round}`, { fingerprint: `after ${round}` });
    expect(await state.alerts.apply(changes({ alerts: [{ before: null, after }] }))).toBe(true);
    expect(await state.alerts.standing()).toHaveLength(standing.length + 1);
  }
  const bare = new Sqlite(file, { readonly: true });
  expect(bare.pragma("integrity_check", { simple: true })).toBe("ok");
  bare.close();
});
