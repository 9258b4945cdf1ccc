/**
 * From verdicts to conclusions: one per verdict and rule that matches its series.
 *
 * A conclusion is three-valued. `bad`: the rule's level and direction are reached and everything it needs holds.
 * `good`: the point was judged and that is not so. `unknown`: the point could not be judged, or is one of the calm slots
 * that a gauge's incident waits for before it ends; it neither fires nor resolves.
 */
import type { Contribution } from "../core/contribution.ts";
import type { Rule, Sampler } from "../core/definitions.ts";
import { formatSeries, type Matcher, matchesAll, parseMatcher, seriesLabels } from "../core/labels.ts";
import type { Conclusion, Labels, Verdict } from "../core/model.ts";

/** The rule that concludes where no other matches: any difference that judging calls one, in both directions. */
const watchRule = "watch";

export type ConcludeInput = {
  readonly sampler: Sampler;
  readonly verdicts: readonly Verdict[];
  readonly rules: ReadonlyMap<string, Rule>;
  /** Rules that have a standing alert of any series, for `needs`. */
  readonly standingRules: ReadonlySet<string>;
  /** What explains totals that are bad, by series as `formatSeries` writes it. Absent: nothing is known. */
  readonly explained?: ReadonlyMap<string, Contribution> | undefined;
};

type Watch = Pick<Rule, "name" | "level" | "direction" | "needs" | "labels"> & {
  readonly matchers: readonly Matcher[];
};

const builtIn: Watch = { name: watchRule, level: "warning", direction: "both", needs: [], labels: {}, matchers: [] };

/**
 * The conclusions of one slot of one sampler, in the order of its verdicts; none where the sampler says
 * `alerts: false`.
 *
 * A bad conclusion carries the label `direction`, which is part of its alert's identity. A good or unknown one has no
 * direction and speaks to the alerts of its rule and series in either direction.
 */
export function conclude(input: ConcludeInput): Conclusion[] {
  const { sampler } = input;
  if (!sampler.alerts) return [];
  const rules = [...input.rules.values()].map((rule) => ({ ...rule, matchers: rule.match.map(parseMatcher) }));
  const pairs = input.verdicts.flatMap((verdict) => {
    const labels = seriesLabels(sampler, verdict.series);
    const matching: Watch[] = rules.filter((rule) => matchesAll(rule.matchers, labels));
    const watching = matching.length === 0 ? [builtIn] : matching;
    return watching.map((rule) => ({ rule, verdict, labels, ...look(rule, verdict) }));
  });

  // A rule that is needed counts as soon as this slot makes it bad, whatever the order they are written in.
  const badRules = new Set(pairs.filter((pair) => pair.state === "bad").map((pair) => pair.rule.name));
  const holds = (name: string, above: readonly string[]): boolean => {
    if (input.standingRules.has(name)) return true;
    const needs = input.rules.get(name)?.needs ?? [];
    return badRules.has(name) && needs.every((need) => !above.includes(need) && holds(need, [...above, name]));
  };

  return pairs.map(({ rule, verdict, labels, state, reason }) => {
    const lacking = state === "bad" ? rule.needs.find((need) => !holds(need, [rule.name])) : undefined;
    const final = lacking === undefined ? state : "good";
    return {
      rule: rule.name,
      state: final,
      severity: verdict.level === "critical" ? "critical" : "warning",
      labels: alertLabels(sampler, rule, labels, final === "bad" ? verdict.direction : null),
      timeMs: verdict.timeMs,
      stepMs: verdict.stepMs,
      verdict,
      reason: lacking === undefined ? reason : `${reason}; rule ${rule.name} needs ${lacking}, which has no alert`,
      explained: final === "bad" ? input.explained?.get(formatSeries(verdict.series)) : undefined,
    };
  });
}

/** What one rule sees in one verdict, before `needs`. */
function look(rule: Watch, verdict: Verdict): { state: Conclusion["state"]; reason: string } {
  const { level, direction, reason, memory } = verdict;
  const calm = level !== "normal" && (memory?.calm ?? 0) > 0;
  if (level === "unknown" || calm) return { state: "unknown", reason };
  if (level === "normal") return { state: "good", reason };
  if (rule.level === "critical" && level !== "critical") {
    return { state: "good", reason: `${reason}; rule ${rule.name} begins at critical` };
  }
  if (rule.direction !== "both" && direction !== null && direction !== rule.direction) {
    return { state: "good", reason: `${reason}; rule ${rule.name} looks ${rule.direction} only` };
  }
  return { state: "bad", reason };
}

/** What a rule's matchers see. Words of our own win over tags, and tags over labels, of the same name. */
/** @param seen what the rule's matchers saw */
function alertLabels(sampler: Sampler, rule: Watch, seen: Labels, direction: Verdict["direction"]): Labels {
  return {
    ...rule.labels,
    ...seen,
    rule: rule.name,
    group: sampler.group,
    owner: sampler.owner,
    ...(direction === null ? {} : { direction }),
  };
}
