/** `rules/detect/`: which series' verdicts become alerts, and when. */
import { z } from "zod";
import type { Place, Rule } from "../core/definitions.ts";
import { direction, labels, lifecycle, line, matcher, name, runbook } from "./scalars.ts";

export const ruleSchema = z.strictObject({
  name: name.describe("unique name"),
  title: line.optional().describe("what people read; default: the sampler's title"),
  match: z
    .array(matcher)
    .prefault([])
    .describe("matchers over sampler, measurement, field, tags and labels; all must hold"),
  level: z.enum(["warning", "critical"]).prefault("warning").describe("least level that is bad"),
  direction,
  ...lifecycle,
  needs: z.array(name).prefault([]).describe("rules that must have a standing alert for this one to conclude anything"),
  labels,
  runbook: runbook.optional().describe("path or URL of the steps to take; default: the sampler's"),
});

export function toRule(rule: z.output<typeof ruleSchema>, place: Place): Rule {
  const { pending, recover, title, runbook, ...rest } = rule;
  return { ...rest, ...pending, recoverCount: recover, title: title ?? null, runbook: runbook ?? null, place };
}
