/**
 * One scheduler and two workers as processes of their own, over Redis, PostgreSQL and two InfluxDBs, all of them real and
 * on this machine: how late slots are, what each process takes of a core and of memory, and what a point costs as series
 * become more. A series is a row that PostgreSQL makes at each read; it is judged, with no history yet.
 *
 * `--minutes N` is how long each is watched, after a minute to settle.
 */
import { parseArgs } from "node:util";
import { minuteMs, secondMs, systemClock } from "../../src/core/time.ts";
import { quantile } from "../../test/faults/crowd.ts";
import { formatMs, printTable } from "../support.ts";
import { type Crowd, cpuMsOf, type Run, Site, whyNoSite } from "./site.ts";

const { values: args } = parseArgs({
  options: { minutes: { type: "string", default: "3" }, only: { type: "string" } },
});
const watchMs = Number(args.minutes) * minuteMs;
const workers = 2;
const never = new AbortController().signal;
const crowds: Readonly<Record<string, Crowd>> = {
  "50 x 1,000 on the minute": { samplers: 50, seriesEach: 1_000, step: "1m", judged: true },
  "50 x 1,000 over the minute": { samplers: 50, seriesEach: 1_000, step: "1m", judged: true, delay: (n) => `${n}s` },
  "10 x 100": { samplers: 10, seriesEach: 100, step: "1m", judged: true, delay: (n) => `${n * 5}s` },
  "10 x 1,000": { samplers: 10, seriesEach: 1_000, step: "1m", judged: true, delay: (n) => `${n * 5}s` },
  "10 x 10,000": { samplers: 10, seriesEach: 10_000, step: "1m", judged: true, delay: (n) => `${n * 5}s` },
};

const missing = whyNoSite();
if (missing !== null) {
  console.log(`left out: ${missing}`);
  process.exit();
}

type Watched = {
  readonly slots: Awaited<ReturnType<Run["slots"]>>;
  readonly cpuMs: Map<string, number>;
  readonly rss: Map<string, number>;
};

/** From the middle of a minute to that of another one, so that no slot is cut in two. */
async function watch(site: Site, run: Run): Promise<Watched> {
  const nowMs = systemClock.nowMs();
  const fromMs = (Math.floor(nowMs / minuteMs) + 2) * minuteMs - 5 * secondMs;
  const toMs = fromMs + watchMs;
  const servers = new Map([
    ["redis", site.redis.pid],
    ...site.influxes.map(({ pid }, at) => [`influxd ${at + 1}`, pid] as const),
  ]);
  const cpuMs = (): Map<string, number> =>
    new Map([
      ...run.processes.map((process) => [process.name, process.cpuMs()] as const),
      ...[...servers].map(([name, pid]) => [name, cpuMsOf(pid)] as const),
    ]);
  await systemClock.sleep(fromMs - nowMs, never);
  const before = cpuMs();
  await systemClock.sleep(toMs - systemClock.nowMs(), never);
  const after = cpuMs();
  const rss = new Map(run.processes.map((process) => [process.name, process.rssBytes()]));
  await systemClock.sleep(20 * secondMs, never);
  const spent = new Map([...after].map(([name, ms]) => [name, ms - (before.get(name) ?? 0)]));
  return { slots: await run.slots(fromMs, toMs), cpuMs: spent, rss };
}

await using site = await Site.start();
const costs = new Map<string, number>();
for (const [name, crowd] of Object.entries(crowds)) {
  if (!name.includes(args.only ?? "")) continue;
  await using run = await site.run(crowd, workers);
  const { slots, cpuMs, rss } = await watch(site, run);
  const { done, lost } = slots;
  const points = done.reduce((sum, slot) => sum + slot.points, 0);
  const late = done.map(({ latenessMs }) => latenessMs);
  const took = done.map(({ durationMs }) => durationMs);
  const of = (values: readonly number[]): string =>
    [0.5, 0.99].map((share) => formatMs(quantile(values, share))).join(" / ");
  const ours = run.processes.reduce((sum, process) => sum + (cpuMs.get(process.name) ?? 0), 0);
  costs.set(name, ours / points);
  console.log(`\n${name} series, ${watchMs / minuteMs} min: ${done.length} slots done, ${lost} not, ${points} points`);
  console.log(`  late p50 / p99 ${of(late)}; a slot takes ${of(took)}`);
  const shares = [...cpuMs].map(([who, ms]) => {
    const memory = rss.get(who);
    return `${who} ${((100 * ms) / watchMs).toFixed(0)} %${memory === undefined ? "" : `, ${(memory / 1e6).toFixed(0)} MB`}`;
  });
  for (const fault of run.faults) console.log(`  a read failed: ${fault}`);
  console.log(`  of one core: ${shares.join("; ")}`);
}

const reference = costs.get("10 x 1,000");
printTable(
  `What a point costs: processor time of scheduler and ${workers} workers`,
  [...costs].map(([what, ms]) => ({
    what,
    measured: `${(ms * 1_000).toFixed(0)} us a point`,
    peer: reference === undefined ? "" : `10 x 1,000: ${(reference * 1_000).toFixed(0)} us`,
    ratio: reference === undefined ? "" : (reference / ms).toFixed(2),
    goal: "within 15 %",
  })),
);
