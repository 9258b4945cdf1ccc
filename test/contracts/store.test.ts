import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe } from "vitest";
import { systemClock } from "../../src/core/time.ts";
import { readSettings } from "../../src/settings.ts";
import { Mirror } from "../../src/store/mirror.ts";
import { replicas, stores } from "../../src/store/stores/index.ts";
import { SimulatedClock } from "../support/clock.ts";
import { endCopies, freshCopies } from "../support/copies.ts";
import { influxd, whyMissing } from "../support/debian.ts";
import { silent } from "../unit/store/support.ts";
import { storeContract } from "./store.ts";

let folder: string;
let count = 0;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "store-"));
});
afterAll(() => rm(folder, { recursive: true }));

const deps = { clock: new SimulatedClock("2026-11-20T09:00:00Z"), log: silent };

storeContract("SQLite, in a file", async () => {
  count += 1;
  return stores.sqlite.create({ file: join(folder, `${count}.db`) }, deps);
});

storeContract("SQLite, in memory", async () => stores.sqlite.create({ file: ":memory:" }, deps));

const missing = whyMissing(influxd);
describe.skipIf(missing !== null)(`InfluxDB${missing === null ? "" : ` (${missing})`}`, () => {
  endCopies();
  storeContract("two InfluxDBs", async () => openMirror(await freshCopies()));
  storeContract("one InfluxDB", async () => openMirror((await freshCopies()).replace(/ .*/, "")));
});

/** Servers elsewhere, as `INFLUX_URLS` names them; their databases are not emptied, so each test wants one of its own. */
const elsewhere = process.env.BELLWETHER_TEST_INFLUX_URLS;
if (elsewhere !== undefined) {
  storeContract("the InfluxDBs of BELLWETHER_TEST_INFLUX_URLS", async () =>
    openMirror(elsewhere.replace(/(?<=\/)[\w.-]+(?= |$)/g, (database) => `${database}_${process.pid}_${++count}`)),
  );
}

function openMirror(INFLUX_URLS: string): Promise<Mirror> {
  count += 1;
  const { influx } = readSettings({ ...process.env, INFLUX_URLS });
  const options = {
    file: join(folder, `spool-${count}.db`),
    replicas: influx.map((target) => replicas.influx.create(target, { clock: systemClock, log: silent })),
    keepRawMs: null,
    keepMs: 400 * 86_400_000,
    spoolBytesMax: 1e9,
    repairPointsPerSecond: 20_000,
  };
  return Mirror.open(options, { clock: deps.clock, timer: systemClock, log: silent });
}
