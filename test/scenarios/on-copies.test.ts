/** Every scenario once more, on two InfluxDBs: the same stories must come true. */
import { readdirSync } from "node:fs";
import { basename } from "node:path";
import { describe } from "vitest";
import { endCopies } from "../support/copies.ts";
import { influxd, whyMissing } from "../support/debian.ts";

process.env.BELLWETHER_TEST_STORE = "influx";
const missing = whyMissing(influxd);
const own = basename(import.meta.filename);
const files = readdirSync(import.meta.dirname).filter((name) => name.endsWith(".test.ts") && name !== own);

describe.skipIf(missing !== null)(`on two InfluxDBs${missing === null ? "" : ` (${missing})`}`, async () => {
  endCopies();
  for (const file of files) await import(`./${file}`);
});
