/**
 * What a ratio's denominator is worth: simulated payments, judged with it and without it, by the shipped defaults. Made
 * here, because no labelled ratios with their denominators are published; the same series in every run.
 * `npm run bench:ratios`; two minutes. `-- 101`: other series, made from that seed on.
 */
import { dayMs, minuteMs } from "../../src/core/time.ts";
import { backtestJudging, decisions } from "../../src/judge/backtest.ts";
import { Chance } from "./chance.ts";

const days = 28;
const slotsADay = dayMs / minuteMs;
const seriesEach = 6;
const firstSeed = Number(process.argv[2] ?? 1);
const startMs = Date.parse("2026-09-01T00:00:00Z");
/** Minutes of the day by which rates swing, as a share of themselves. */
const swing = 0.4;
/** Each lasts an hour; by day and by night. */
const outages = [24 * slotsADay + 600, 26 * slotsADay + 1_200].map((from) => ({ from, to: from + 60 }));
/** An incident that begins so long after an outage is still of it. */
const graceSlots = 5;

type Shop = {
  readonly rate: number;
  /** Attempts a minute at the height of the day; a quarter of that by night. */
  readonly attempts: number;
  /** Relative standard deviation of a day's failure rate. */
  readonly daysDiffer: number;
  /** Standard deviation of the logarithm of a minute's failure rate. */
  readonly bursts: number;
};

const shops: readonly Shop[] = [
  { rate: 0.97, attempts: 2, daysDiffer: 0, bursts: 0 },
  { rate: 0.97, attempts: 20, daysDiffer: 0.1, bursts: 0 },
  { rate: 0.97, attempts: 200, daysDiffer: 0.1, bursts: 0.3 },
  { rate: 0.97, attempts: 2_000, daysDiffer: 0.15, bursts: 0.3 },
  { rate: 0.85, attempts: 300, daysDiffer: 0.2, bursts: 0.3 },
  { rate: 0.02, attempts: 100, daysDiffer: 0.1, bursts: 0.2 },
  { rate: 0.999, attempts: 100, daysDiffer: 0.1, bursts: 0 },
  { rate: 0.5, attempts: 20, daysDiffer: 0.1, bursts: 0 },
];

type Series = { readonly timesMs: number[]; readonly values: number[]; readonly denominators: number[] };

function seriesOf({ rate, attempts, daysDiffer, bursts }: Shop, seed: number): Series {
  const chance = new Chance(seed);
  const series: Series = { timesMs: [], values: [], denominators: [] };
  const rarer = Math.min(rate, 1 - rate);
  let today = 1;
  for (let slot = 0; slot < days * slotsADay; slot += 1) {
    if (slot % slotsADay === 0) today = 1 + daysDiffer * chance.normal();
    const angle = ((slot % slotsADay) / slotsADay) * 2 * Math.PI;
    const busy = 0.25 + 0.75 * Math.max(0, Math.sin(angle - 1.3));
    const tried = chance.poisson(attempts * busy);
    let share = rarer * today * (1 + swing * Math.sin(angle)) * Math.exp(bursts * chance.normal() - bursts ** 2 / 2);
    if (outages.some(({ from, to }) => slot >= from && slot < to)) share = rate < 0.1 ? 4 * rarer : rarer + 0.3;
    share = Math.min(0.98, Math.max(0, share));
    const hits = chance.binomial(tried, rate > 0.5 ? 1 - share : share);
    series.timesMs.push(startMs + slot * minuteMs);
    series.values.push(tried === 0 ? Number.NaN : hits / tried);
    series.denominators.push(tried);
  }
  return series;
}

type Found = { falseOnes: number; delays: number[] };

function judged({ denominators, ...series }: Series, known: boolean): Found {
  const judging = { ...backtestJudging("ratio"), ...(known ? { denominator: "attempts" } : {}) };
  const asked = { ...series, stepMs: minuteMs, kind: "ratio" as const, judging, ...(known ? { denominators } : {}) };
  const found: Found = { falseOnes: 0, delays: [] };
  const seen = new Set<number>();
  let stood = false;
  let slot = 0;
  for (const { ongoing } of decisions(asked)) {
    const outage = outages.findIndex(({ from, to }) => slot >= from && slot < to + graceSlots);
    if (ongoing !== null && !stood && outage < 0) found.falseOnes += 1;
    if (ongoing !== null && outage >= 0 && !seen.has(outage)) {
      seen.add(outage);
      found.delays.push(slot - (outages[outage]?.from as number));
    }
    stood = ongoing !== null;
    slot += 1;
  }
  return found;
}

function row(shop: Shop): string {
  const all = Array.from({ length: seriesEach }, (_, index) => seriesOf(shop, firstSeed + index));
  const figures = [true, false].map((known) => {
    const found = all.map((series) => judged(series, known));
    const falseOnes = found.reduce((sum, each) => sum + each.falseOnes, 0) / ((seriesEach * days) / 7);
    const delays = found.flatMap((each) => each.delays).sort((a, b) => a - b);
    const delay = delays.length === 0 ? "-" : String(delays[delays.length >> 1]);
    return `${falseOnes.toFixed(2)} | ${delays.length}, ${delay}`;
  });
  const { rate, attempts, daysDiffer, bursts } = shop;
  return `| ${100 * rate} %, ${attempts} | ${100 * daysDiffer} % | ${bursts} | ${figures.join(" | ")} |`;
}

const head = ["usual rate, attempts a minute", "days differ by", "bursts"];
for (const known of ["with", "without"]) {
  head.push(
    `false per series-week, ${known}`,
    `found of ${seriesEach * outages.length}, after minutes (median), ${known}`,
  );
}
console.log(`| ${head.join(" | ")} |\n| ${head.map(() => "---").join(" | ")} |`);
for (const shop of shops) console.log(row(shop));
