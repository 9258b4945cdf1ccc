/**
 * Series of what the labelled sets have none of, to see what the parts made for it are worth: a level that stays, a daily
 * promotion nobody announced, and a price that never moves but in steps. Labels are exact, by construction.
 * `npm run bench:phenomena -- DIR` writes them; `npm run bench:ablation -- DIR --only "no new normal"` looks at them.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { dayMs, hourMs, minuteMs, secondMs } from "../../src/core/time.ts";
import { Chance } from "./chance.ts";

const startMs = Date.parse("2026-03-02T00:00:00Z");
const days = 28;
const seriesEach = 4;

/** What a slot has, and whether it is part of an event. */
type Slot = { readonly value: number; readonly label: 0 | 1 };

type Phenomenon = {
  readonly name: string;
  readonly stepMs: number;
  readonly slot: (timeMs: number, chance: Chance, index: number) => Slot;
};

/** More by day than by night, less at weekends. */
function usual(timeMs: number): number {
  const sinceMs = timeMs - startMs;
  const weekend = Math.floor(sinceMs / dayMs) % 7 > 4;
  return (weekend ? 0.75 : 1) * (1 + 0.6 * Math.sin(((sinceMs % dayMs) / dayMs) * 2 * Math.PI - 1.6));
}

function within(timeMs: number, fromMs: number, lengthMs: number): boolean {
  return timeMs >= fromMs && timeMs < fromMs + lengthMs;
}

const phenomena: readonly Phenomenon[] = [
  {
    // An event for two days; then it is how things are.
    name: "level",
    stepMs: 5 * minuteMs,
    slot: (timeMs, chance, index) => {
      const fromMs = startMs + (15 + index) * dayMs + 10 * hourMs;
      const value = chance.poisson(200 * usual(timeMs) * (timeMs >= fromMs ? 1.6 : 1));
      return { value, label: within(timeMs, fromMs, 2 * dayMs) ? 1 : 0 };
    },
  },
  {
    // An event on its first three days; then a habit.
    name: "promotion",
    stepMs: minuteMs,
    slot: (timeMs, chance, index) => {
      const day = Math.floor((timeMs - startMs) / dayMs);
      const runs = day >= 10 && within(timeMs, startMs + day * dayMs + (17 + index) * hourMs, 30 * minuteMs);
      return { value: chance.poisson(100 * usual(timeMs) * (runs ? 2.5 : 1)), label: runs && day < 13 ? 1 : 0 };
    },
  },
  {
    // An event for half an hour.
    name: "price",
    stepMs: minuteMs,
    slot: (timeMs, _, index) => {
      const steps = [9, 18, 27].map((day) => startMs + day * dayMs + (9 + index) * hourMs);
      const value = steps.reduce(
        (price, stepMs, step) => (timeMs >= stepMs ? price * (step % 2 ? 0.8 : 1.3) : price),
        12.5,
      );
      return { value, label: steps.some((stepMs) => within(timeMs, stepMs, 30 * minuteMs)) ? 1 : 0 };
    },
  },
];

const [dir] = process.argv.slice(2);
if (dir === undefined) {
  console.error("no folder is given\nFix: npm run bench:phenomena -- DIR");
  process.exit(2);
}
mkdirSync(dir, { recursive: true });
const index = ["series,source,interval_s,n,n_anomalous,licence"];
for (const { name, stepMs, slot } of phenomena) {
  for (let one = 0; one < seriesEach; one += 1) {
    const chance = new Chance(1 + one);
    const slots = Array.from({ length: (days * dayMs) / stepMs }, (_, at) => slot(startMs + at * stepMs, chance, one));
    const rows = slots.map(({ value, label }, at) => `${(startMs + at * stepMs) / secondMs},${value},${label}`);
    writeFileSync(join(dir, `${name}_${one}.csv`), ["timestamp,value,label", ...rows, ""].join("\n"));
    const anomalous = slots.filter(({ label }) => label === 1).length;
    index.push(`${name}_${one},made,${stepMs / secondMs},${slots.length},${anomalous},own work`);
  }
}
writeFileSync(join(dir, "index.csv"), [...index, ""].join("\n"));
