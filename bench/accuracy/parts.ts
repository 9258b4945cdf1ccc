/**
 * The named parts of the judge, and what to write in place of each to do without it or to have it otherwise: the texts
 * of src/judge that are replaced, which must be there exactly once.
 */
import type { Kind } from "../../src/judge/kind.ts";

export type Replacement = {
  /** Below src/judge. */
  readonly file: string;
  readonly from: string;
  readonly to: string;
};

export type Part = {
  readonly name: string;
  /** Series that the judge as it is takes for each of these kinds at some time; no other can be judged differently. */
  readonly on: readonly Kind[];
  readonly replacements: readonly Replacement[];
};

function part(name: string, on: readonly Kind[], file: string, ...texts: readonly (readonly [string, string])[]): Part {
  return { name, on, replacements: texts.map(([from, to]) => ({ file, from, to })) };
}

const never = "Number.POSITIVE_INFINITY";
const counts: readonly Kind[] = ["count"];
const gauges: readonly Kind[] = ["gauge"];

const noEvening = ["const eveningMs = 21 * hourMs;", "const eveningMs = 48 * hourMs;"] as const;
const noMorning = ["const morningMs = 6 * hourMs;", "const morningMs = 0;"] as const;
const modelErrors = (value: number) =>
  [
    ["const modelError = 0.05;", `const modelError = ${value};`],
    ["const modelErrorWithRatios = 0.04;", `const modelErrorWithRatios = ${value};`],
  ] as const;

function constant(name: string, on: readonly Kind[], file: string, was: string, is: string): Part {
  const [variable] = was.split(" = ");
  return part(name, on, file, [`const ${was};`, `const ${variable} = ${is};`]);
}

function usual(name: string, is: string): Part {
  const was = "return { mean, most: Math.max(mean, most2), least: Math.min(mean, least2) };";
  return part(name, gauges, usualJumps, [was, `return { ${is} };`]);
}

const level = "detectors/level.ts";
const evidence = "detectors/counts.ts";
const references = "detectors/references.ts";
const jumps = "detectors/jumps.ts";
const usualJumps = "detectors/usual.ts";
const predictors = "detectors/predictors.ts";

export const parts: readonly Part[] = [
  // Counts: what is expected.
  part("whole days have kinds", counts, "dayparts.ts", noEvening, noMorning),
  part("days are all alike", counts, "dayparts.ts", noEvening, noMorning, [
    "const kind = kindOf(today);",
    'const kind = "any";',
  ]),
  part("no ratios of weekdays", counts, "parts.ts", [
    "if (daysBefore % 7 === 0) return Number.NaN;",
    "return Number.NaN;",
  ]),
  part("no band of strangers", counts, references, ["if (Number.isNaN(weekAgo)) return null;", "return null;"]),
  part("noise of single days in that band", counts, references, [
    "const kept = variance > counting ? Math.sqrt(1 - counting / variance) : 0;",
    "const kept = 1;",
  ]),
  constant("no widening by last week", counts, references, "weekShare = 0.2", never),
  constant("no habits", counts, references, "habitDays = 3", never),
  part(
    "no smoothing",
    counts,
    references,
    [
      "return { reach: Math.min(busySlotsMax, Math.round(busyMs / stepMs)), busy: true };",
      "return { reach: 0, busy: true };",
    ],
    ["return { reach: mean > 0 ? Math.min(longest, wanted) : 0, busy: false };", "return { reach: 0, busy: false };"],
  ),
  constant("7 days looked back on", counts, "cells.ts", "referenceDays = 14", "7"),
  part("no trimming", counts, references, [
    "const trim = references >= 8 ? 2 : references >= 4 ? 1 : 0;",
    "const trim = 0;",
  ]),
  constant("no recent level", counts, level, "most = 0.12", "0"),
  constant("level up to 30 %", counts, level, "most = 0.12", "0.3"),
  constant("level at full pace in doubt", counts, level, "doubtPace = 0.25", "1"),
  // Counts: evidence.
  part("each slot alone", counts, evidence, [
    "const longest = Math.min(reach, windowSlots(place.stepMs));",
    "const longest = 1;",
  ]),
  constant("sums of 60 minutes at most", counts, "cells.ts", "windowMs = 300 * minuteMs", "60 * minuteMs"),
  constant("sums of 120 minutes at most", counts, "cells.ts", "windowMs = 300 * minuteMs", "120 * minuteMs"),
  part("model error .02", counts, evidence, ...modelErrors(0.02)),
  part("model error .08", counts, evidence, ...modelErrors(0.08)),
  constant("no error of a reference", counts, evidence, "referenceError = 0.08", "0"),
  constant("no noise beyond Poisson's", counts, evidence, "slotNoise = 0.002", "0"),
  part("no noise of the references", counts, evidence, [
    "const variance = mean + slotNoise * squares + relative * mean ** 2 + shared;",
    "const variance = mean + slotNoise * squares + relative * mean ** 2;",
  ]),
  part("no spread of the references", counts, evidence, [
    "const differ = centre > 0 ? spread / centre : 0;",
    "const differ = 0;",
  ]),
  part("no floor of 20 %", counts, "reading.ts", [
    "count: { percent: 20, absolute: 3, volume: 3 }",
    "count: { percent: 0, absolute: 3, volume: 3 }",
  ]),
  part("no floor of 3 counts", counts, "reading.ts", [
    "count: { percent: 20, absolute: 3, volume: 3 }",
    "count: { percent: 20, absolute: 0, volume: 0 }",
  ]),
  // Counts: the end.
  part("what would end at once begins", counts, "decidecount.ts", [
    "opens(context, reading) && !isOver(slot, reading) ? reading : null",
    "opens(context, reading) ? reading : null",
  ]),
  constant("over at 3 nats", counts, "ended.ts", "closeNats = 4", "3"),
  constant("no new normal", counts, "accepted.ts", "newNormalMs = 48 * hourMs", never),
  // Both.
  part("9 nats (sensitivity high)", [], "reading.ts", ['sensitivity = "normal"', 'sensitivity = "high"']),
  part("16 nats (sensitivity low)", [], "reading.ts", ['sensitivity = "normal"', 'sensitivity = "low"']),
  // Gauges.
  usual("no usual jump", "mean: 0, most: Math.max(0, most2), least: Math.min(0, least2)"),
  usual("no excuse by past days", "mean, most: mean, least: mean"),
  usual("no day dropped", "mean, most: Math.max(mean, most), least: Math.min(mean, least)"),
  constant("same slot only (around 0)", gauges, usualJumps, "around = 2", "0"),
  constant("window 10", gauges, predictors, "predictorsMax = 20", "10"),
  constant("window 30", gauges, predictors, "predictorsMax = 20", "30"),
  constant("no caution", gauges, jumps, "earlyMs = 21 * dayMs", "1"),
  part("no confidence", gauges, jumps, [" * (1 + 1 / Math.sqrt(peaks)) * caution", " * caution"]),
  constant("a surprise teaches in full", gauges, jumps, "teaches = 0.5", "1"),
  constant("memory 30 days", gauges, jumps, "memoryMs = 180 * dayMs", "30 * dayMs"),
  constant("false alarm in 28 days", gauges, jumps, "falseAlarmMs = 56 * dayMs", "28 * dayMs"),
  constant("false alarm in 112 days", gauges, jumps, "falseAlarmMs = 56 * dayMs", "112 * dayMs"),
  part("no rule for steps", gauges, jumps, ["jump !== 0 && isStep(cells, place)", "false"]),
  part("what goes back is a surprise", gauges, jumps, [
    "const disturbed = inIncident",
    "const disturbed = false && inIncident",
  ]),
  part("days with an incident excuse nothing", gauges, jumps, [
    "ask: (at) => (values[at] as number)",
    "ask: (at) => (cells.inIncident[at] === 0 ? (values[at] as number) : Number.NaN)",
  ]),
  part("either side keeps an incident open", gauges, "decidegauge.ts", [
    "jump[ongoing.direction] >= calmScore",
    "jump.score >= calmScore",
  ]),
  constant("over after 1 calm slot", gauges, "decidegauge.ts", "calmSlots = 3", "1"),
  // The kind.
  part("every whole number is a count", ["count", "gauge"], "kind.ts", [
    'return noisy(cells, place, tails !== undefined) ? "gauge" : "count";',
    'return "count";',
  ]),
  part("the kind may change back freely", ["count", "gauge"], "kind.ts", ["wasGauge ? -error : noiseMax", "noiseMax"]),
  part("a count again as soon as it may be one", ["count", "gauge"], "kind.ts", ["? -error :", "? 0 :"]),
  part("all are gauges", counts, "kind.ts", [
    'if (kind === "gauge" || kind === "ratio") return kind;',
    'return "gauge";',
  ]),
];
