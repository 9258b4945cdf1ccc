import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll } from "vitest";
import { stores } from "../../src/store/stores/index.ts";
import { SimulatedClock } from "../support/clock.ts";
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
