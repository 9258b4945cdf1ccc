/**
 * What users define in YAML, after `define/` has checked it and filled in the defaults.
 * Field names in YAML are the same words in snake_case: `timeoutMs` is written `timeout: 10s`, `groupBy` is `group_by`.
 */
import type { Labels, Priority } from "./model.ts";

/** Where in the user's files something stands, for messages: `samplers/shop/orders.yaml:7:3`. */
export type Place = string;

/** Slots that a sampler's history may have: 34 days of minutes. */
export const historySlotsMax = 50_000;

/** One metric family: where its numbers come from, when, and how they are judged. */
export type Sampler = {
  readonly name: string;
  readonly title: string;
  /** Person or group that answers for the definition. */
  readonly owner: string;
  /** Group that hears its alerts where no route says otherwise. Default: owner. */
  readonly group: string;
  readonly purpose: string | null;
  /** Path or URL of the steps to take. */
  readonly runbook: string | null;
  readonly schedule: Schedule;
  /** Wall clock of active hours, baseline days and messages. Default: `BELLWETHER_ZONE`. */
  readonly zone: string;
  /** Calendar that knows its holidays, worked weekends and campaigns; null: weekdays are all that is known. */
  readonly calendar: string | null;
  /** When slots are due at all; null = always. A slot is active if its start is. */
  readonly active: ActiveHours | null;
  /** How long one run may take before its source is stopped. Default 10 s, at most the step. */
  readonly timeoutMs: number;
  /**
   * How long after its due time an empty slot is asked for again before it counts as missing: until then it is `late`.
   * Default 0.
   */
  readonly graceMs: number;
  /** Slots before the newest that are read once more with each one, for rows that came late. Default 0, at most 12. */
  readonly resample: number;
  /** How far back slots are read, for the record, before the first one; after a stop, too. Default 0, at most 35 days. */
  readonly historyMs: number;
  readonly source: { readonly kind: string; readonly options: unknown };
  readonly point: {
    readonly measurement: string;
    /** Columns that become tags; together they tell the series apart. */
    readonly tags: readonly string[];
    /** Columns that become numeric fields; at least one. */
    readonly fields: readonly string[];
    /** Counts, and ratios with denominators, whose total over all series is one of its own, without tags. Absent: none. */
    readonly total?: readonly string[] | undefined;
  };
  /**
   * What a slot, or a known series in it, without rows means: `zero` a count of nothing, `missing` nothing is known,
   * `error` the slot failed. A required choice.
   */
  readonly empty: "zero" | "missing" | "error";
  /** Fields that are judged, by name; a field not named is stored only. */
  readonly judge: Readonly<Record<string, FieldJudging>>;
  /** Whether its new points go without first where there is no room for all. Default medium. */
  readonly priority: Priority;
  /** False: stored and judged, nobody told. Default true. */
  readonly alerts: boolean;
  /** While it lasts: stored, judged, alerts kept and counted, nobody told. Absent: there is none. */
  readonly shadow?: Shadow | undefined;
  /** How many bad slots fire and how many good ones resolve, for the rule that needs no writing. */
  readonly alerting: Lifecycle;
  readonly labels: Labels;
  readonly place: Place;
};

/** A time in which a new sampler tells nobody yet; a person may end it before. */
export type Shadow = {
  /** As it was written: `true`, or its date. */
  readonly text: string;
  /** The beginning of that day in the sampler's zone; null: it goes on until a person ends it. */
  readonly untilMs: number | null;
};

export type Schedule =
  /** Aligned to the epoch in UTC: slot `[k * stepMs, (k + 1) * stepMs)`. */
  | { readonly kind: "every"; readonly stepMs: number; readonly delayMs: number }
  /**
   * Fires at T by the wall clock in `zone`; the slot is `[T - stepMs, T)`. `expression` has 5 or 6 fields.
   * A wall time that spring skips fires once, right after the gap; one that autumn repeats fires once.
   */
  | {
      readonly kind: "cron";
      readonly expression: string;
      readonly stepMs: number;
      readonly delayMs: number;
      readonly zone: string;
    };

export type ActiveHours = {
  readonly zone: string;
  /** 1 Monday to 7 Sunday. */
  readonly weekdays: readonly number[];
  /** Minutes of the day, `[from, to)`; `to` at most 1440. */
  readonly fromMinute: number;
  readonly toMinute: number;
};

export type FieldJudging = {
  /** `auto` is told from the data. Default auto. */
  readonly kind: "auto" | "count" | "gauge" | "ratio";
  /** Of a ratio: the field that says on how many it was measured. Absent: nobody says; it is judged as a gauge. */
  readonly denominator?: string | undefined;
  /** Which differences matter. Default both. */
  readonly direction: "both" | "up" | "down";
  readonly baseline: {
    /** Calendar days looked back, 4 to 28. Default 7. */
    readonly days: number;
    /** Highest and lowest days dropped, each. Default 1. */
    readonly trim: number;
  };
  readonly forecast: {
    /** Points that GM(1,1) is fitted to, 4 to 64. Default 8. */
    readonly points: number;
  };
  /** How much evidence is asked for: `low` a third more than `normal`, `high` a quarter less. Default normal. */
  readonly sensitivity?: "low" | "normal" | "high" | undefined;
  /** Percent by which a week must differ from the week before to be told, of a count. Absent: it is not. */
  readonly drift?: number | undefined;
  /** All three must be reached: percent of the expectation, units of the field, and volume. Null: by the field's kind. */
  readonly floor: {
    /** Percent of the expectation for `warning`. Default 20 for counts, 0 for gauges, which tell by their own noise. */
    readonly percent: number | null;
    /** Percent of the expectation for `critical`. Default 50, at least `percent`. */
    readonly criticalPercent: number;
    /** Least difference, in the field's own unit. Default 3 for counts, 0 for gauges. */
    readonly absolute: number | null;
    /** Least sum that was expected, or came. Default 3 for counts, 0 for gauges. */
    readonly volume: number | null;
  };
};

/** `pending: 2 of 3`, `recover: 3`. */
export type Lifecycle = {
  /** Bad slots needed... */
  readonly pendingCount: number;
  /** ...among the latest so many. */
  readonly pendingOf: number;
  /** Good slots in a row that resolve. */
  readonly recoverCount: number;
};

/** Turns verdicts of matching series into alerts. */
export type Rule = Lifecycle & {
  readonly name: string;
  readonly title: string | null;
  /** Matchers over sampler, measurement, field, tags and labels; all must hold. */
  readonly match: readonly string[];
  /** Least level that is bad. */
  readonly level: "warning" | "critical";
  readonly direction: "both" | "up" | "down";
  /** Rules that must have a standing alert for this one to conclude anything bad. */
  readonly needs: readonly string[];
  readonly labels: Labels;
  readonly runbook: string | null;
  readonly place: Place;
};

/** A node of the routing tree; the first child that matches wins, `continue` looks further. */
export type Route = {
  /** Group that hears it; null = inherit, and at the root the sampler's own group. */
  readonly group: string | null;
  readonly match: readonly string[];
  /** Labels whose values make one incident. Default [sampler]. */
  readonly groupBy: readonly string[];
  /** How long the first message waits for company. Default 10 s. */
  readonly groupWaitMs: number;
  /** Least time between an update and the message before it. Default 5 min. */
  readonly groupIntervalMs: number;
  /** How often a standing, unacknowledged incident is told again. Default 4 h. */
  readonly repeatIntervalMs: number;
  readonly continue: boolean;
  readonly routes: readonly Route[];
  readonly place: Place;
};

export type Person = {
  readonly id: string;
  readonly name: string;
  readonly email: string | null;
  /** E.164. */
  readonly phone: string | null;
  readonly place: Place;
};

export type Group = {
  readonly id: string;
  readonly title: string;
  /** Person ids. */
  readonly members: readonly string[];
  /** In order; each later one waits and is dropped once the incident is acknowledged or resolved. */
  readonly steps: readonly EscalationStep[];
  readonly place: Place;
};

export type EscalationStep = {
  readonly notifier: string;
  /** Address for notifiers that do not go to a person (a webhook's URL); null = every member's own. */
  readonly to: string | null;
  readonly waitMs: number;
};

/** Days that are not what their weekday says, and campaigns. `core/calendar.ts` looks things up in it. */
export type Calendar = {
  readonly name: string;
  /** Wall clock that the days and the campaigns' times are in. */
  readonly zone: string;
  /** Days off, those of its country included: `2026-12-25` to its name. */
  readonly holidays: Readonly<Record<string, string>>;
  /** Days worked although they fall on a weekend. */
  readonly workdays: Readonly<Record<string, string>>;
  /** The last day of which it is known whether it is a day off; null: there is no such end. */
  readonly knownUntil: string | null;
  /** Ordered by their beginning. Two that overlap mean different series. */
  readonly campaigns: readonly Campaign[];
  readonly place: Place;
};

/** A time in which numbers are expected to differ from what the days before say. */
export type Campaign = {
  readonly title: string;
  /** It runs in `[fromMs, toMs)`. */
  readonly fromMs: number;
  readonly toMs: number;
  /** Matchers over sampler, measurement, field, tags and labels, among samplers that name the calendar; all must hold. */
  readonly match: readonly string[];
  readonly expect: Expectation;
  readonly place: Place;
};

export type Expectation =
  /** So many times what would be expected without it, `min` to `max`, each > 0 and at most 100. */
  | { readonly kind: "uplift"; readonly min: number; readonly max: number }
  /**
   * What was observed at the same wall time `daysBefore` calendar days before in the calendar's zone, times `scale`.
   * `day` is what the first day of the campaign is compared with.
   */
  | { readonly kind: "like"; readonly day: string; readonly daysBefore: number; readonly scale: number };

/** Where a source's rows live. Options hold references to secrets, never secrets. */
export type Connection = {
  readonly name: string;
  readonly kind: string;
  readonly options: Readonly<Record<string, unknown>>;
  /** How long its system may work for all samplers together within an hour. Default 1 h. */
  readonly budgetMs: number;
  readonly place: Place;
};

/** From when on trouble with the collection itself is told. */
export type CollectionRules = {
  /** A slot that has waited so long after it was due, and two steps, is late: a warning. Default 2 min. */
  readonly lateMs: number;
  /** As late, and ten steps: critical. Default 10 min. */
  readonly veryLateMs: number;
  /** Live slots in a row that failed. Default 3. */
  readonly failingSlots: number;
  /** Slots in a row without a row, where empty is missing; null: not told. Default null. */
  readonly missingSlots: number | null;
  /** Reads take so much of their time limit, on average over an hour, 0 to 1. Default 0.5. */
  readonly slowShare: number;
  /** A process, or all of a role, has not been heard of for so long. Default 30 s. */
  readonly processGoneMs: number;
};

/** Everything defined, by name. */
export type Definitions = {
  readonly samplers: ReadonlyMap<string, Sampler>;
  readonly rules: ReadonlyMap<string, Rule>;
  readonly route: Route;
  readonly collection: CollectionRules;
  readonly people: ReadonlyMap<string, Person>;
  readonly groups: ReadonlyMap<string, Group>;
  readonly calendars: ReadonlyMap<string, Calendar>;
  readonly connections: ReadonlyMap<string, Connection>;
};
