/**
 * The words. Every stage speaks in these types; a word means the same thing in every folder.
 *
 * Times are epoch milliseconds and end in `Ms`. *Channel* means a payment channel only; where a message goes is a
 * *receiver*, what carries it is a *notifier*. What users write in YAML is in `definitions.ts`.
 */

import type { Contribution } from "./contribution.ts";

// ---- points ---------------------------------------------------------------------------------------------------

export type Tags = Readonly<Record<string, string>>;
export type FieldValue = number | string | boolean;

/** Measurement, tags and time are a point's identity: writing it again merges its fields, last value wins. */
export type Point = {
  readonly measurement: string;
  readonly tags: Tags;
  readonly fields: Readonly<Record<string, FieldValue>>;
  /** Start of the slot that the point tells of; never "now". */
  readonly timeMs: number;
};

/** One line of numbers over time: a measurement, its tags and one field. */
export type SeriesId = { readonly measurement: string; readonly tags: Tags; readonly field: string };

/** A row as a source returned it: column name to cell. */
export type Row = Readonly<Record<string, unknown>>;

/** `[fromMs, toMs)`. */
export type TimeWindow = { readonly fromMs: number; readonly toMs: number };

/**
 * What is known of a slot. `missing` is absent, never zero; `late` may still come; `source-down` means that nobody
 * could ask.
 */
export type DataState = "value" | "zero" | "missing" | "late" | "source-down";

/**
 * Who goes without first where there is no room for new points: `low` before `medium` before `high`.
 */
export type Priority = "low" | "medium" | "high";

// ---- slots ----------------------------------------------------------------------------------------------------

/** One due interval `[startMs, startMs + stepMs)` of one sampler. Sampler and start are its identity. */
export type Slot = { readonly sampler: string; readonly startMs: number; readonly stepMs: number };

/** `caught-up` is `done` for a slot that was run after a stop: stored and judged for the record, nobody told. */
export type SlotState = "due" | "leased" | "done" | "failed" | "caught-up";

/** A row of the slot ledger. */
export type SlotRecord = Slot & {
  readonly state: SlotState;
  /** When it may run: end of the slot + delay + jitter. */
  readonly dueMs: number;
  readonly catchUp: boolean;
  /** How often it was started. */
  readonly attempts: number;
  readonly leaseOwner: string | null;
  readonly leaseUntilMs: number | null;
  readonly startedMs: number | null;
  readonly finishedMs: number | null;
  readonly rows: number | null;
  readonly points: number | null;
  readonly dataState: DataState | null;
  /** What the read cost the system that was asked: its time, and rows that it went through; null: not known. */
  readonly serverMs: number | null;
  readonly rowsRead: number | null;
  /** One line, redacted. */
  readonly error: string | null;
};

// ---- judging --------------------------------------------------------------------------------------------------

/** `unknown` is never silently normal. */
export type Level = "normal" | "warning" | "critical" | "unknown";

/** Levels as numbers, as verdict points store them. */
export const levelNumbers: Readonly<Record<Level, number>> = { normal: 0, warning: 1, critical: 2, unknown: -1 };

const levelsByNumber = new Map(Object.entries(levelNumbers).map(([level, number]) => [number, level as Level]));

/** The level that a verdict point stores as this number; `unknown` for anything else. */
export function levelOf(value: FieldValue | undefined): Level {
  return (typeof value === "number" ? levelsByNumber.get(value) : undefined) ?? "unknown";
}

export type Direction = "up" | "down";

/** The trimmed seven-day baseline of one slot. */
export type Baseline = {
  /** Trimmed mean; null below the least number of usable days (cold start). */
  readonly centre: number | null;
  /** Sample standard deviation of the days kept, >= 0; null with fewer than two. */
  readonly spread: number | null;
  /** Days that went into the centre. */
  readonly daysUsed: number;
  /** Days dropped as highest or lowest. */
  readonly daysTrimmed: number;
  /** Each day looked at, the latest first: its value and what became of it. */
  readonly days: readonly BaselineDay[];
};

export type BaselineDay = {
  /** Start of the same slot on that day. */
  readonly startMs: number;
  readonly value: number | null;
  /** `campaign`: left out, for a campaign ran then. */
  readonly use: "used" | "trimmed" | "missing" | "incident" | "campaign";
};

/** GM(1,1) of the last points; abstains, with the reason, when its own checks fail. */
export type Forecast =
  | { readonly value: number; readonly a: number; readonly b: number; readonly grade: string }
  | { readonly value: null; readonly abstained: string };

/** Why a difference did or did not count; each gate is shown in the message. */
export type Gate = {
  readonly name: "relative" | "absolute" | "volume" | "evidence" | "direction";
  readonly passed: boolean;
  /** What was measured and what it had to reach, in the gate's own unit (percent, counts, nats). */
  readonly measured: number;
  readonly needed: number;
};

/** What judging the next slot of a series rests on beside its values; stored with each verdict that has some. */
export type JudgeMemory = {
  /** How today runs against plan, as sums that forget with a half-life: of a count, or of the odds of a ratio with its denominators. */
  readonly level?: { readonly observed: number; readonly expected: number } | undefined;
  /** Of a count, or a ratio with its denominators, in an incident. */
  readonly recovery?: Recovery | undefined;
  /** Of a gauge: its own surprises so far, which tell how large one must be to matter. */
  readonly tails?: Tails | undefined;
  /** Of a gauge in an incident: slots since the last one that was off. */
  readonly calm?: number | undefined;
};

/** How bad it was, and how strongly what came since, as far as it looks better, speaks for the end, in nats. */
export type Recovery = {
  readonly bad: Counted;
  readonly nats: number;
  readonly better: Counted;
};

/** `trials`: of a ratio, what it was measured on. */
type Counted = { readonly observed: number; readonly expected: number; readonly trials?: number | undefined };

/** Slots seen, and of rises and drops beyond what is usual how many there were and their sum; all slowly forgotten. */
export type Tails = { readonly points: number; readonly rises: Tail; readonly drops: Tail };

export type Tail = { readonly peaks: number; readonly sum: number };

/** What judging said of one point of one series. */
export type Verdict = {
  readonly sampler: string;
  readonly series: SeriesId;
  readonly timeMs: number;
  readonly stepMs: number;
  readonly state: DataState;
  readonly level: Level;
  /** Null where there is no value; the number of the slot itself. */
  readonly observed: number | null;
  readonly expected: number | null;
  readonly lower: number | null;
  readonly upper: number | null;
  readonly forecast: Forecast;
  readonly baseline: Baseline;
  /** What the one threshold is compared with, >= 0, in nats. */
  readonly evidence: number;
  readonly gates: readonly Gate[];
  readonly direction: Direction | null;
  /** By how many percent the last seven days had more than the seven before; absent where it is not known. */
  readonly drift?: number | undefined;
  /** As what it was judged; absent where it was not. */
  readonly kind?: "count" | "gauge" | "ratio" | undefined;
  /** Start of the first slot of what is going on now; null at level normal. */
  readonly sinceMs: number | null;
  /** Sum of expected minus observed since `sinceMs`, in the field's own unit; null at level normal. */
  readonly lossSoFar: number | null;
  /** How many slots were summed to have enough volume; 1 = the slot alone. */
  readonly slotsSummed: number;
  /**
   * True where an incident ends here, or where late data took this slot out of one: what was stored of it is void.
   * Absent: false.
   */
  readonly closes?: boolean;
  /** Of a count: what was expected at least and at most, where the days before do not agree. Absent: `expected`. */
  readonly range?: { readonly least: number; readonly most: number } | undefined;
  readonly memory?: JudgeMemory | undefined;
  /** Where what goes on since then became the new normal: by what the days before it are to be multiplied. */
  readonly accepted?: { readonly sinceMs: number; readonly ratio: number } | undefined;
  /** Of a ratio: what it was measured on, in the slot (null = not known) and in the slots summed. Absent: nobody says. */
  readonly trials?: { readonly slot: number | null; readonly summed: number } | undefined;
  /** What came in the two hours that end right before the slot; null: too little is known. Absent: none end there. */
  readonly part?: number | null | undefined;
  /** One plain sentence. */
  readonly reason: string;
};

// ---- relating and alerting ------------------------------------------------------------------------------------

export type Labels = Readonly<Record<string, string>>;

/** What relating said: today one per verdict and rule. `state` is three-valued: unknown neither fires nor resolves. */
export type Conclusion = {
  readonly rule: string;
  readonly state: "bad" | "good" | "unknown";
  readonly severity: "warning" | "critical";
  /** Identify the alert: rule, sampler, measurement, field, direction and the series' tags. */
  readonly labels: Labels;
  /** Start of the slot concluded upon. */
  readonly timeMs: number;
  readonly stepMs: number;
  readonly verdict: Verdict;
  readonly reason: string;
  /** Where the series is a total: which of its series explain what is bad. Absent: not known. */
  readonly explained?: Contribution | undefined;
};

export type AlertState = "pending" | "firing" | "recovering" | "resolved";

/** One condition that is, or was, bad. Closed alerts never reopen; a new one begins. */
export type Alert = {
  readonly id: string;
  /** Hash of the labels: one standing alert (not resolved) per fingerprint at a time. */
  readonly fingerprint: string;
  readonly rule: string;
  readonly sampler: string;
  readonly series: string;
  readonly labels: Labels;
  readonly severity: "warning" | "critical";
  readonly state: AlertState;
  /** Latest slots judged, newest last: `b` bad, `g` good, `u` unknown. */
  readonly recent: string;
  /** Start of the first bad slot. */
  readonly sinceMs: number;
  /** Start of the latest slot that was looked at; older ones are ignored. */
  readonly lastSlotMs: number;
  readonly stepMs: number;
  readonly firedMs: number | null;
  readonly resolvedMs: number | null;
  readonly incidentId: string | null;
  /** Latest figures, for messages. */
  readonly observed: number | null;
  readonly expected: number | null;
  /** The observed value furthest from what was expected, and that expectation. */
  readonly worstObserved: number | null;
  readonly worstExpected: number | null;
  readonly lossSoFar: number | null;
  readonly reason: string;
  /** Of a total: which of its series explain what was bad, by the latest bad slot. Absent or null: not known. */
  readonly explained?: Contribution | null | undefined;
  /** Compare-and-set counter. */
  readonly version: number;
};

/** A change of state of an alert, an incident, or a sampler with a shadow period, with its reason. Written once, never changed. */
export type Transition = {
  readonly id: string;
  readonly subject: "alert" | "incident" | "sampler";
  readonly subjectId: string;
  readonly from: string | null;
  readonly to: string;
  readonly atMs: number;
  /** Slot that caused it; null where a person or the clock did. */
  readonly slotMs: number | null;
  readonly reason: string;
};

/** What a sampler in its shadow period would have told within the time that was seen. */
export type Noise = {
  /** How long was looked at, ms. */
  readonly seenMs: number;
  readonly alerts: number;
  readonly incidents: number;
  readonly messages: number;
  /** Receivers that would have heard anything at all, by name. */
  readonly people: readonly string[];
  /** The same by severity of the incident and notifier; ordered. */
  readonly parts: readonly {
    readonly severity: Alert["severity"];
    readonly notifier: string;
    readonly messages: number;
    readonly people: readonly string[];
  }[];
  /** Times a count, what a week would bring; null where less than a day was seen. */
  readonly perWeek: number | null;
};

/** A sampler with a shadow period in its definition, and how that goes. */
export type ShadowState = {
  readonly sampler: string;
  /** Its first slot in it; null: none was judged yet. */
  readonly beganMs: number | null;
  /** When it ends by its definition; null: when somebody says so. */
  readonly untilMs: number | null;
  /** When it ended, by that or by somebody's word; null: it goes on. */
  readonly endedMs: number | null;
  /** Who ended it; null: nobody did. */
  readonly endedBy: string | null;
  readonly forecast: Noise;
};

export type IncidentState = "open" | "acknowledged" | "resolved";

/** The alerts that people hear about as one thing. */
export type Incident = {
  readonly id: string;
  /** Route and the values of its `group_by` labels; one standing incident per key at a time. */
  readonly groupKey: string;
  readonly groupLabels: Labels;
  /** Position of the route in the routing tree, "0.2"; for `explain`. */
  readonly route: string;
  /** The group of people who hear it. */
  readonly group: string;
  readonly title: string;
  readonly severity: "warning" | "critical";
  readonly state: IncidentState;
  readonly openedMs: number;
  readonly resolvedMs: number | null;
  readonly acknowledgedBy: string | null;
  readonly acknowledgedMs: number | null;
  /** How many notices (opened, update, still, resolved) were written for it; the next one's number is one more. */
  readonly notices: number;
  readonly lastNoticeMs: number | null;
  /** Why nothing was written so far, where a silence holds it; null once a notice exists. */
  readonly mutedReason: string | null;
  readonly version: number;
};

export type NoticeKind = "opened" | "update" | "still" | "resolved" | "test";

export type OutboxState = "owed" | "sending" | "sent" | "failed" | "unknown" | "cancelled";

/** A message owed to one recipient through one notifier. Its id is the Message-ID or Idempotency-Key. */
export type OutboxItem = {
  readonly id: string;
  /** Unique with notifier and recipient: `<incident>:<number of the notice>:<step>`. */
  readonly noticeKey: string;
  readonly incidentId: string | null;
  readonly kind: NoticeKind;
  readonly notifier: string;
  /** Address as the notifier needs it; masked wherever it is shown. */
  readonly recipient: string;
  /** Person or group, as shown. */
  readonly recipientName: string;
  readonly state: OutboxState;
  readonly dueMs: number;
  readonly attempts: number;
  readonly leaseOwner: string | null;
  readonly leaseUntilMs: number | null;
  readonly createdMs: number;
  readonly sentMs: number | null;
  readonly receipt: string | null;
  readonly error: string | null;
};

/** A person's promise not to want to hear, with an end. */
export type Silence = {
  readonly id: string;
  /** Matchers as text, all of which must hold: `country="Germany"`. */
  readonly matchers: readonly string[];
  readonly reason: string;
  readonly author: string;
  readonly createdMs: number;
  readonly startsMs: number;
  readonly endsMs: number;
};

export type AuditEntry = {
  readonly id: string;
  readonly atMs: number;
  /** Who: a person's name or `system`. */
  readonly actor: string;
  /** What: `alert.firing`, `incident.acknowledge`, `silence.add`. */
  readonly action: string;
  readonly subject: string;
  readonly detail: string;
};

// ---- messages -------------------------------------------------------------------------------------------------

/** A message, rendered, for one recipient. */
export type Message = {
  /** Outbox id. */
  readonly id: string;
  readonly to: string;
  readonly kind: NoticeKind;
  readonly severity: "warning" | "critical";
  /** One line without line breaks. */
  readonly subject: string;
  readonly text: string;
  readonly html: string;
  /** Small chart as PNG, shown inline; absent if it could not be drawn. */
  readonly chart?: Uint8Array | undefined;
  /** The facts as JSON for machines (webhooks). */
  readonly facts: Readonly<Record<string, unknown>>;
};

/** A mail of the mailbox, as a list shows it. */
export type MailSummary = {
  /** Name of its file without the ending; letters, digits, `-`, `_` and `.` only. */
  readonly id: string;
  readonly atMs: number;
  /** Address, masked before it is shown. */
  readonly to: string;
  readonly subject: string;
};

export type Mail = MailSummary & {
  readonly from: string;
  readonly text: string;
  /** Sanitized: without scripts, forms and remote content; inline images are `data:` URLs. Null: text alone. */
  readonly html: string | null;
};

/** What the provider answered on accepting a message. */
export type Receipt = { readonly id: string; readonly detail: string };

// ---- explaining -----------------------------------------------------------------------------------------------

/** As what a point was judged, and what of the series itself had a part in it. */
export type JudgedAs = {
  readonly kind: NonNullable<Verdict["kind"]>;
  /** True: its values told the kind (`kind: auto`). */
  readonly kindTold: boolean;
  /** What was expected at least and at most, in the field's own unit, where the days before do not agree; else null. */
  readonly range: { readonly least: number; readonly most: number } | null;
  /** What came lately as a part of what was planned (1 = as planned), of a ratio its odds; null: not known. */
  readonly today: number | null;
  /** By how many percent the last seven days had more than the seven before; null: not known. */
  readonly drift: number | null;
  /** Of a ratio: what it was measured on, as in {@link Verdict}, and the field that says it; null: nobody says. */
  readonly trials: { readonly slot: number | null; readonly summed: number; readonly denominator: string } | null;
  /** Of a gauge: slots seen, and rises and drops in them beyond what is usual at this time; slowly forgotten. Else null. */
  readonly jumps: { readonly slots: number; readonly rises: number; readonly drops: number } | null;
  /** All of it in plain sentences. */
  readonly sentences: readonly string[];
};

/** Why, or why not, for one series and one slot: everything that the console, the API and `explain` show. */
export type Explanation = {
  readonly series: string;
  readonly sampler: string;
  readonly timeMs: number;
  /** Judged again from what is stored. */
  readonly verdict: Verdict;
  /** Level and reason as they were stored when the slot was judged; null if it never was. */
  readonly stored: { readonly level: Level; readonly reason: string } | null;
  /** Null where it is not judged. */
  readonly judged: JudgedAs | null;
  readonly slot: SlotRecord | null;
  /** Alerts of this series that stood at that time, as they are now. */
  readonly alerts: readonly Alert[];
  /** How those alerts stood at that time, and how they are now, as sentences. */
  readonly stood: readonly string[];
  /** Silences that held then, as sentences. */
  readonly mutes: readonly string[];
  /** Who was told of those alerts, as sentences, the earliest first. */
  readonly told: readonly string[];
  /** What is out of the ordinary, as sentences: no slot then, not yet, never judged, a slot that failed. */
  readonly notes: readonly string[];
  /** The whole answer in plain sentences, most important first. */
  readonly lines: readonly string[];
};

// ---- own conditions -------------------------------------------------------------------------------------------

/** Something about Bellwether itself that somebody must mend. Kind and subject are its identity. */
export type Condition = {
  /** What is wrong, in two words or more, `replica-stuck`: a field of a series is never called so. */
  readonly kind: `${string}-${string}`;
  /** What it is about: the name of a replica, of a sampler, of a process, or `spool`. */
  readonly subject: string;
  /** Group that hears of it where no route says otherwise. Absent: whoever hears of Bellwether itself. */
  readonly group?: string;
  readonly severity: "warning" | "critical";
  /** One plain sentence that says what to do. Figures that change at every look are written down at every look. */
  readonly reason: string;
  readonly sinceMs: number;
};

/** The sampler that alerts about Bellwether itself name, and their rule. No definition may be called like the first. */
export const ownSampler = "bellwether";
export const ownRule = "self";

/** Whether an alert is about Bellwether itself: it has no series, no points and no figures. */
export function isOwn({ sampler }: Pick<Alert, "sampler">): boolean {
  return sampler === ownSampler;
}

/** What an own alert is about, for people: `replica stuck (b)`, `spool full`. */
export function ownName({ labels: { condition = "", subject = "" } }: Pick<Alert, "labels">): string {
  const words = condition.split("-");
  return subject === "" || words.includes(subject) ? words.join(" ") : `${words.join(" ")} (${subject})`;
}
