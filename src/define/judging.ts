/** `judge:` of a sampler: how the values of its fields are judged. */
import { z } from "zod";
import type { FieldJudging } from "../core/definitions.ts";
import { fault } from "./fault.ts";
import { across, count, direction, field, isNumber, lifecycle, number, type Report } from "./scalars.ts";

const floor = across(
  z.strictObject({
    percent: number(1, 1000)
      .optional()
      .describe("percent of the expectation for warning; default 20 for counts, none for others"),
    critical_percent: number(1, 1000).optional().describe("percent for critical; default 50, at least percent"),
    absolute: number(0, 1e15)
      .optional()
      .describe("least difference in the field's own unit; default 3 for counts, 0 for others"),
    volume: number(0, 1e15)
      .optional()
      .describe("least sum that was expected, or came; default 3 for counts, 0 for others"),
  }),
  ({ percent, critical_percent: critical }, report) => {
    if (isNumber(percent) && isNumber(critical) && critical < percent) {
      report(
        ["critical_percent"],
        fault("RUL-002", `less than percent, which is ${percent}`, "write at least as much"),
      );
    }
  },
);

const baseline = across(
  z.strictObject({
    days: count(4, 28).prefault(7).describe("calendar days looked back"),
    trim: count(0, 13).prefault(1).describe("highest and lowest days dropped, each"),
  }),
  ({ days, trim }, report) => {
    if (isNumber(days) && isNumber(trim) && days >= 4 && days - 2 * trim < 2) {
      report(["trim"], fault("RUL-002", `leaves fewer than 2 of ${days} days`, "trim less, or look back further"));
    }
  },
);

const judging = across(
  z.strictObject({
    kind: z
      .enum(["auto", "count", "gauge", "ratio"])
      .prefault("auto")
      .describe("what the numbers are; auto is told from them"),
    denominator: field
      .optional()
      .describe("of a ratio: the field that says on how many it was measured; default: nobody says"),
    direction,
    baseline: baseline.prefault({}).describe("the trimmed baseline"),
    forecast: z
      .strictObject({ points: count(4, 64).prefault(8).describe("latest points that GM(1,1) is fitted to") })
      .prefault({})
      .describe("the GM(1,1) forecast"),
    sensitivity: z
      .enum(["low", "normal", "high"])
      .prefault("normal")
      .describe("how much evidence is asked for: low a third more than normal, high a quarter less"),
    drift: number(5, 1000)
      .optional()
      .describe("percent by which a week must differ from the one before to be told; default: it is not"),
    floor: floor.prefault({}).describe("differences below any of these do not count"),
  }),
  ({ kind, direction, drift, floor: written }, report) => {
    const gates = Object(written) as Record<string, unknown>;
    if (drift !== undefined && (kind === "gauge" || kind === "ratio")) {
      report(["drift"], fault("CFG-019", `drift with kind: ${kind}`, "write kind: count, or remove it"));
    }
    if (kind === "ratio") checkRatio(gates, report);
    if (direction !== "down") return;
    for (const [key, value] of Object.entries(gates)) {
      if (!key.endsWith("percent") || !isNumber(value) || value <= 100) continue;
      report(["floor", key], fault("RUL-002", "more than 100 percent down cannot be", "write 100 or less"));
    }
  },
);

/** A share has no volume of its own, and goes from 0 to 100 percent. */
function checkRatio({ volume, absolute }: Record<string, unknown>, report: Report): void {
  if (volume !== undefined) {
    const fix = "write absolute, which is in percentage points, or remove it";
    report(["floor", "volume"], fault("CFG-019", "volume with kind: ratio", fix));
  }
  if (isNumber(absolute) && absolute > 100) {
    report(["floor", "absolute"], fault("RUL-002", "more than 100 percentage points cannot be", "write 100 or less"));
  }
}

export const judgeSchema = z.record(field, judging);

/** What a file says of judging, and of the life of alerts; what else it says, as a whole sampler does, is not looked at. */
export const judgedSchema = z.object({
  judge: judgeSchema
    .refine(
      (written) => Object.keys(written).length > 0,
      fault("CFG-018", "judges nothing", "write { orders: { kind: count } }"),
    )
    .describe("fields, to how they are judged"),
  alert: z.strictObject(lifecycle).optional(),
});

export function toJudging(written: z.output<typeof judgeSchema>): Record<string, FieldJudging> {
  return Object.fromEntries(Object.entries(written).map(([name, each]) => [name, toFieldJudging(each)]));
}

function toFieldJudging({ floor: written, ...rest }: z.output<typeof judging>): FieldJudging {
  const { percent, critical_percent: critical, absolute, volume } = written;
  const floor = {
    percent: percent ?? null,
    criticalPercent: critical ?? Math.max(50, percent ?? 0),
    absolute: absolute ?? null,
    volume: volume ?? null,
  };
  return { ...rest, floor };
}
