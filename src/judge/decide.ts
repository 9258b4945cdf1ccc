/**
 * The decision on one slot of one series: pure, and the same for live judging and for backtests.
 *
 * Every number is first compared with the pair that people know, the trimmed baseline and the forecast. What decides is
 * evidence: of counts, and of ratios whose denominators are known, that of many slots summed (`decidecount.ts`,
 * `decideratio.ts`), of gauges the surprise of the slot (`decidegauge.ts`). Once an incident has begun it is latched until the values speak for what was expected again.
 */
import type { FieldJudging } from "../core/definitions.ts";
import type { Before, Cells, Place } from "./cells.ts";
import { decideCount } from "./decidecount.ts";
import { decideGauge } from "./decidegauge.ts";
import { decideRatio } from "./decideratio.ts";
import { type Decision, stateOf } from "./decision.ts";
import { centreAt } from "./detectors/baseline.ts";
import { forecastAt } from "./detectors/forecast.ts";
import { type Context, contextOf } from "./reading.ts";

export function decide(cells: Cells, place: Place, judging: FieldJudging, before: Before): Decision {
  const context = contextOf(cells, place, judging, before.memory);
  return wayOf(context)(context, before) ?? unknown(context, before);
}

function wayOf({ kind, judging }: Context): (context: Context, before: Before) => Decision | null {
  if (kind === "count") return decideCount;
  return judging.denominator === undefined ? decideGauge : decideRatio;
}

/** No value, or nothing to compare it with. What goes on without a value goes on. */
function unknown({ cells, place, judging, kind }: Context, { ongoing, memory }: Before): Decision {
  const value = cells.values[place.now] as number;
  const missing = Number.isNaN(value);
  const centre = centreAt(cells, place, judging.baseline);
  return {
    state: stateOf(value),
    level: "unknown",
    kind,
    observed: missing ? null : value,
    // Of a slot that has a value, what is stored as expected is what later sums compare it with.
    expected: missing && !Number.isNaN(centre) ? centre : null,
    lower: null,
    upper: null,
    outlook: forecastAt(cells, place, judging.forecast.points, 0),
    evidence: 0,
    percent: 0,
    slotsSummed: 1,
    trials: null,
    gates: [],
    direction: missing ? (ongoing?.direction ?? null) : null,
    // Without a baseline nobody could ever tell the end.
    ongoing: missing ? ongoing : null,
    because: missing ? "missing" : "cold",
    range: null,
    drift: null,
    memory,
    accepted: null,
  };
}
