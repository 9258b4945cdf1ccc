/**
 * Runs every benchmark as a process of its own, one after the other, so that none inherits another's heap or caches.
 * `npm run bench` runs all of them, `npm run bench -- slot` those whose path holds the word; further arguments go to
 * the benchmarks. A ratio of 1 means as fast as what it is beside, 0.5 half as fast.
 */
import { spawnSync } from "node:child_process";
import { globSync } from "node:fs";
import { availableParallelism, cpus, loadavg, totalmem } from "node:os";
import { join } from "node:path";
import { stopwatch } from "../src/core/time.ts";

const [filter = "", ...args] = process.argv.slice(2);
const files = globSync("*/*.bench.ts", { cwd: import.meta.dirname })
  .filter((file) => file.includes(filter))
  .sort();
if (files.length === 0) {
  console.error(`no benchmark is called *${filter}*. Fix: leave the name out to run all of them.`);
  process.exit(1);
}

const gibibytes = (totalmem() / 2 ** 30).toFixed(0);
const model = cpus()[0]?.model ?? "an unknown processor";
console.log(`Node ${process.versions.node}, ${availableParallelism()} cores (${model}), ${gibibytes} GiB of memory`);
const failed = files.filter((file) => {
  const [load = 0] = loadavg();
  console.log(`\nbench/${file}${load > 0.5 ? `, beside other work (load average ${load.toFixed(1)})` : ""}`);
  const elapsedMs = stopwatch();
  const { status } = spawnSync(process.execPath, [join(import.meta.dirname, file), ...args], { stdio: "inherit" });
  console.log(`\n(${(elapsedMs() / 1_000).toFixed(0)} s)`);
  return status !== 0;
});
if (failed.length > 0) {
  console.error(`did not end in order: ${failed.join(", ")}`);
  process.exit(1);
}
