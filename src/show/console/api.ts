/**
 * What the HTTP API answers, as schemas: they check what goes out, make the OpenAPI document, and give the browser
 * its types (it imports types only). Moments are ISO 8601 in UTC; durations are numbers that end in `Ms`.
 */
import { z } from "zod";

const moment = z.iso.datetime().describe("ISO 8601 in UTC");
const number = z.number().nullable();
const text = z.string();

const level = z.enum(["normal", "warning", "critical", "unknown"]);
/** A series whose field no definition judges has the level `unjudged`. */
export const shownLevel = z.enum(["critical", "warning", "unknown", "normal", "unjudged"]);
const severity = z.enum(["warning", "critical"]);
const direction = z.enum(["up", "down"]);
const dataState = z.enum(["value", "zero", "missing", "late", "source-down"]);
const slotState = z.enum(["due", "leased", "done", "failed", "caught-up"]);
const alertState = z.enum(["pending", "firing", "recovering", "resolved"]);
const incidentState = z.enum(["open", "acknowledged", "resolved"]);
const outboxState = z.enum(["owed", "sending", "sent", "failed", "unknown", "cancelled"]);

/** Who does something. */
export const personName = z.string().trim().min(1).max(100).describe("Name of the person");

/** RFC 9457. */
export const problem = z.object({
  type: text,
  title: text,
  status: z.int(),
  detail: text,
  fix: text.optional().describe("What the reader can do about it"),
  code: text.optional().describe("Stable code of the problem"),
  instance: text.optional(),
  errors: z
    .array(z.object({ path: text, detail: text }))
    .optional()
    .describe("Each fault of the request"),
  acknowledgedBy: text.nullish().describe("On 409 of an acknowledgement: who"),
  acknowledgedAt: moment.nullish().describe("On 409 of an acknowledgement: when"),
});

function pageOf<Item extends z.ZodType>(item: Item) {
  return z.object({ items: z.array(item), next: text.nullable().describe("Cursor of the next page; null at the end") });
}

// ---- overview and series --------------------------------------------------------------------------------------

const seriesParts = {
  series: text.describe('Text of the series: `orders{country="Germany"}.amount`'),
  measurement: text,
  tags: z.record(text, text),
  field: text,
  sampler: text,
  title: text.describe("Title of the sampler"),
  zone: text.describe("IANA time zone of the sampler"),
  stepMs: z.number(),
  spacingMs: z.number().describe("Usual time from one slot to the next"),
};

const overviewItem = z.object({
  ...seriesParts,
  level: shownLevel,
  at: moment.nullable().describe("Start of the latest slot known"),
  observed: number,
  expected: number,
  lower: number,
  upper: number,
  reason: text,
  alert: z.object({ state: alertState, severity, incident: text.nullable() }).nullable(),
  spark: z
    .object({ observed: z.array(number), expected: z.array(number), levels: z.array(shownLevel) })
    .describe("The latest points, oldest first, 60 at most"),
});
const stale = z.boolean().describe("True: a copy that is behind was read, so the newest points may be missing");
export const overview = pageOf(overviewItem).extend({
  counts: z.record(shownLevel, z.int()).describe("Series that match the search, by level"),
  total: z.int().describe("Series that match the search and the levels"),
  samplers: z.array(z.object({ name: text, title: text })),
  stale,
});

const mark = z.object({
  incident: text,
  title: text,
  severity,
  state: incidentState,
  from: moment,
  to: moment.nullable().describe("Null while it stands"),
});
const calendarDays = z.object({
  type: z.enum(["weekend", "holiday", "workday"]).describe("`workday`: a weekend that is worked"),
  name: text.nullable().describe("What the calendar calls a holiday or a workday"),
  from: moment,
  to: moment,
});
const campaign = z.object({
  title: text,
  from: moment,
  to: moment,
  uplift: z
    .object({ min: z.number(), max: z.number() })
    .nullable()
    .describe("Times what is expected without it; null: another day is what it is compared with"),
  like: z
    .object({ day: text, scale: z.number() })
    .nullable()
    .describe("Day that its first day is compared with, and times what was seen then"),
});
const calendar = z.object({
  days: z
    .array(calendarDays)
    .nullable()
    .describe("Days that are not plain weekdays, those in a row as one; null: the window is longer than 92 days"),
  campaigns: z.array(campaign).describe("Those that mean this series, the first 100"),
  campaignsLeft: z.int().describe("How many more there are"),
});
export const points = z.object({
  ...seriesParts,
  judged: z.boolean(),
  stale,
  from: moment,
  to: moment,
  slotsPerPoint: z.int().describe("1: every slot; n: of every n slots the lowest, the highest and the worst are kept"),
  at: z.array(moment),
  observed: z.array(number),
  expected: z.array(number),
  lower: z.array(number),
  upper: z.array(number),
  forecast: z.array(number),
  level: z.array(shownLevel),
  marks: z.array(mark).describe("Incidents of this series in the window"),
  calendar: calendar.describe("What the calendar of the sampler says of the window; without one, weekends are known"),
});

// ---- explain --------------------------------------------------------------------------------------------------

const slot = z.object({
  sampler: text,
  start: moment,
  end: moment,
  state: slotState,
  due: moment,
  catchUp: z.boolean(),
  attempts: z.int(),
  startedAt: moment.nullable(),
  finishedAt: moment.nullable(),
  rows: z.int().nullable(),
  points: z.int().nullable(),
  dataState: dataState.nullable(),
  serverMs: number.describe("How long the system that was asked worked, or was waited for; null: not known"),
  rowsRead: number.describe("Rows that it went through; null: it does not tell"),
  error: text.nullable(),
});

const alert = z.object({
  id: text,
  rule: text,
  sampler: text,
  series: text,
  condition: text.nullable().describe("What is wrong with Bellwether itself; null: a series is"),
  severity,
  state: alertState,
  since: moment,
  firedAt: moment.nullable(),
  resolvedAt: moment.nullable(),
  incident: text.nullable(),
  observed: number,
  expected: number,
  worstObserved: number,
  worstExpected: number,
  lossSoFar: number,
  reason: text,
});

const judgedAs = z.object({
  kind: z.enum(["count", "gauge", "ratio"]),
  kindTold: z.boolean().describe("Whether its values told the kind (`kind: auto`)"),
  range: z
    .object({ least: z.number(), most: z.number() })
    .nullable()
    .describe(
      "What was expected at least and at most, in the field's own unit, where the days do not agree; else null",
    ),
  today: number.describe("What came lately as a part of plan (1 = as planned), of a ratio its odds; null: not known"),
  drift: number.describe("By how many percent the last seven days had more than the seven before; null: not known"),
  trials: z
    .object({
      denominator: text.describe("The field that it was measured on"),
      slot: number.describe("Its count in the slot; null: not known"),
      summed: z.number().describe("Its count in the slots summed"),
    })
    .nullable()
    .describe("Of a ratio with a denominator; else null"),
  jumps: z
    .object({ slots: z.number(), rises: z.number(), drops: z.number() })
    .nullable()
    .describe("Of a gauge: rises and drops beyond what is usual, in how many slots, slowly forgotten; else null"),
  sentences: z.array(text).describe("All of it in sentences"),
});

export const explanation = z.object({
  series: text,
  sampler: text,
  at: moment,
  notes: z.array(text).describe("What is out of the ordinary: no slot then, not yet, never judged, a slot that failed"),
  lines: z.array(text).describe("The whole answer in sentences, most important first"),
  state: dataState,
  level,
  reason: text,
  stored: z.object({ level, reason: text }).nullable().describe("As it was judged at the time; null if it never was"),
  observed: number,
  expected: number,
  lower: number,
  upper: number,
  direction: direction.nullable(),
  evidence: z.number(),
  since: moment.nullable(),
  lossSoFar: number,
  slotsSummed: z.int(),
  forecast: z.object({ value: number, abstained: text.nullable(), grade: text.nullable() }),
  baseline: z.object({
    centre: number,
    spread: number,
    days: z.array(
      z.object({ at: moment, value: number, use: z.enum(["used", "trimmed", "missing", "incident", "campaign"]) }),
    ),
  }),
  judged: judgedAs
    .nullable()
    .describe("As what it was judged, and what of the series itself had a part in it; null if it was not"),
  gates: z.array(
    z.object({
      name: z.enum(["relative", "absolute", "volume", "evidence", "direction"]),
      passed: z.boolean(),
      measured: z.number(),
      needed: z.number(),
    }),
  ),
  slot: slot.nullable(),
  alerts: z.array(alert).describe("Alerts of the series that stood at that time, as they are now"),
  stood: z.array(text).describe("How those alerts stood at that time and how they are now, in sentences"),
  mutes: z.array(text).describe("Silences that held then, in sentences"),
  told: z.array(text).describe("Who was told of those alerts, in sentences, the earliest first; empty: nobody was"),
});

// ---- incidents, silences --------------------------------------------------------------------------------------

export const incident = z.object({
  id: text,
  title: text,
  severity,
  state: incidentState,
  group: text,
  labels: z.record(text, text),
  opened: moment,
  resolved: moment.nullable(),
  acknowledgedBy: text.nullable(),
  acknowledgedAt: moment.nullable(),
  notices: z.int(),
  mutedReason: text.nullable(),
  version: z.int().describe("Send it with an acknowledgement, so that nobody overwrites another"),
});
export const incidentPage = pageOf(incident);

export const story = incident.extend({
  alerts: z.array(alert),
  transitions: z.array(
    z.object({
      at: moment,
      subject: z.enum(["alert", "incident", "sampler"]),
      subjectId: text,
      from: text.nullable(),
      to: text,
      slot: moment.nullable(),
      reason: text,
    }),
  ),
  deliveries: z.array(
    z.object({
      id: text,
      kind: z.enum(["opened", "update", "still", "resolved", "test"]),
      notifier: text,
      name: text,
      recipient: text.describe("Address, masked"),
      state: outboxState,
      created: moment,
      due: moment,
      sent: moment.nullable(),
      attempts: z.int(),
      error: text.nullable(),
    }),
  ),
});

export const silence = z.object({
  id: text,
  matchers: z.array(text),
  reason: text,
  author: text,
  created: moment,
  starts: moment,
  ends: moment,
  active: z.boolean(),
});
export const silencePage = z.object({ items: z.array(silence) });

// ---- samplers, definitions, slots -----------------------------------------------------------------------------

const definitionProblem = z.object({
  severity: z.enum(["error", "warning"]),
  code: text.nullable(),
  where: text.nullable(),
  path: text.nullable(),
  what: text,
  fix: text.nullable(),
});
export const definitionProblems = z.object({ items: z.array(definitionProblem) });

const usage = z
  .object({
    runs: z.int(),
    failed: z.int(),
    caughtUp: z.int(),
    latenessMsAvg: number.describe("Start after the due time, of live slots; null: none was live"),
    latenessMsMax: number,
    durationMsAvg: number.describe("Of the latest attempt of each; null: none has ended"),
    durationMsMax: number,
    rows: z.number(),
    rowsRead: z.number().describe("Rows that the systems that were asked went through, as far as they tell"),
    serverMs: z.number().describe("How long they worked, or were waited for"),
  })
  .describe("What the slots that were started within the last hour took; counted anew each minute");

const forecastPart = z.object({
  severity: z.enum(["warning", "critical"]),
  notifier: text,
  messages: z.number(),
  people: z.array(text),
});

const shadow = z.object({
  sampler: text,
  began: moment.nullable().describe("Its first slot; null: none was judged yet"),
  until: moment.nullable().describe("Null: until somebody ends it"),
  ended: moment.nullable().describe("Null: it goes on"),
  endedBy: text.nullable(),
  seenMs: z.number().describe("How long was looked at; the counts are of that time"),
  perWeek: z.number().nullable().describe("Times a count, what a week brings; null: less than a day was seen"),
  alerts: z.number(),
  incidents: z.number(),
  messages: z.number().describe("That would have been sent, had nobody acknowledged"),
  people: z.array(text),
  parts: z.array(forecastPart),
});

const sampler = z.object({
  name: text,
  title: text,
  owner: text,
  group: text,
  purpose: text.nullable(),
  runbook: text.nullable(),
  place: text,
  zone: text,
  schedule: text.describe("In words: `every 1m`, `cron 0 5 * * *, the hour before`"),
  active: text.nullable().describe("In words; null = always"),
  graceMs: z.number().describe("How long an empty slot is late before it is missing"),
  resample: z.int().describe("Slots before the newest that are read once more with each one"),
  historyMs: z.number().describe("How far back slots were read, for the record, before its first one"),
  source: text,
  measurement: text,
  tags: z.array(text),
  fields: z.array(text),
  judged: z.array(text),
  priority: z.enum(["low", "medium", "high"]),
  alerts: z.boolean(),
  shadow: shadow.nullable().describe("Null: it has no shadow period"),
  next: z.object({ start: moment, end: moment, due: moment }).nullable(),
  lateMs: z.number().describe("How long its oldest waiting slot is overdue; 0 = on time"),
  lastError: z.object({ at: moment, slot: moment, error: text }).nullable(),
  usage: usage.nullable().describe("Null: nothing ran within the last hour"),
  slots: z.array(slot).describe("The latest, newest first, 20 at most"),
});
export const samplerPage = pageOf(sampler);
export const slotPage = pageOf(slot);

// ---- processes ------------------------------------------------------------------------------------------------

const processItem = z.object({
  id: text.describe("Its name among all, the same after a restart"),
  roles: z.array(text).describe("What it does: `scheduler`, `worker`, `console`"),
  host: text,
  pid: z.int(),
  version: text,
  started: moment,
  seen: moment.describe("When it last said that it lives"),
  alive: z.boolean().describe("False: it has not said so for too long, and did not end in order"),
});
export const processes = z.object({ items: z.array(processItem) });

// ---- copies ---------------------------------------------------------------------------------------------------

const bucket = text.describe("Retention policy; empty: the one of raw points");
const bytes = z.number().describe("Bytes");

const lane = z.object({
  bucket,
  state: z.enum(["idle", "sending", "failing", "stuck", "parked"]),
  reason: text.nullable(),
  since: moment.nullable(),
  requests: z.int(),
  points: z.int(),
  failures: z.int(),
  requestMs: z.number().describe("Spent on all of its requests"),
});
const pointAccount = z
  .object({
    bucket,
    spooled: z.int(),
    acknowledged: z.int(),
    pending: z.int(),
    shelved: z.int(),
    expired: z.int(),
    oldest: moment.nullable().describe("When the oldest pending point was spooled"),
  })
  .describe("spooled = acknowledged + pending + shelved + expired");
const replicaFacts = z.object({
  version: text,
  started: moment.nullable(),
  clockAheadMs: number,
  databaseExists: z.boolean(),
  rights: z.enum(["admin", "all", "write", "read", "none", "unknown"]),
  diskBytes: number.describe("What its data take on its disk"),
});
const replica = z.object({
  name: text,
  place: text.describe("Address, without user and password"),
  well: z.boolean().nullable().describe("Whether a canary went in and came out again; null: nobody has asked yet"),
  reason: text.nullable(),
  faults: z.array(text).describe("What is wrong with its set-up"),
  facts: replicaFacts.nullable(),
  lanes: z.array(lane),
  accounts: z.array(pointAccount),
  lagPoints: z.int().describe("Points that it is yet to be sent, of all buckets"),
  lagMs: z.number().describe("Age of the oldest of them"),
  dirtyWindows: z.int().describe("Windows of five minutes in which its answers were unclear"),
  shelf: z.int().describe("Different points that it refused"),
  doubt: z
    .object({ reason: text, comparedBackTo: moment.nullable() })
    .nullable()
    .describe("Why all that it stores is being compared; null: it is not"),
  repaired: moment.nullable().describe("When points were last written to it by repair"),
});
export const replicas = z.object({
  spool: z.object({
    bytes,
    bytesMax: bytes,
    freeBytes: bytes.describe("Free on the disk that it lies on"),
    gaps: z.int().describe("Slots that there was no room for, and that have not been sampled again"),
    unsealedWindows: z.int().describe("Windows of five minutes yet to be compared"),
    differingWindows: z.int().describe("Windows that differ, and nothing tells which copy is right"),
    undecided: z.array(text).describe("How, of some of them"),
    repairFault: text.nullable().describe("Why the latest comparison was not made; null if it was"),
  }),
  replicas: z.array(replica),
});
export const shelf = z.object({
  items: z.array(
    z.object({
      id: z.int(),
      target: text,
      bucket,
      line: text.describe("Line protocol, times in ms; long texts among the values are cut short"),
      expired: z.boolean().describe("True: older than the server keeps points"),
      reason: text,
      first: moment,
      last: moment,
      count: z.int().describe("How often it was refused"),
    }),
  ),
  total: z.int(),
});
export const comparison = z.object({
  from: moment,
  to: moment,
  deep: z.boolean(),
  windows: z.int().describe("Windows of five minutes that were looked at, of all measurements together"),
  differingWindows: z.int(),
  differing: z.array(z.object({ measurement: text, start: moment })).describe("The first 500 of them"),
  repaired: z.int().describe("Points written to copies that lacked them or had another value"),
  undecidedValues: z.int(),
  undecided: z.array(text).describe("The first 500 of them, as sentences"),
});
export const requeued = z.object({ taken: z.int(), left: z.int().describe("Points that were refused again") });

// ---- mailbox, health ------------------------------------------------------------------------------------------

const mailParts = { id: text, at: moment, to: text.describe("Address, masked"), subject: text };
export const mailPage = z.object({ items: z.array(z.object(mailParts)) });
export const mail = z.object({ ...mailParts, from: text, text, hasHtml: z.boolean() });

export const health = z.object({
  now: moment.describe("The server's clock, which may run faster than yours in a demonstration"),
  version: text,
  zone: text,
  demo: z.boolean(),
  mailbox: z.boolean().describe("Whether messages go to a folder that /mailbox shows"),
  replicas: z.boolean().describe("Whether series are kept on several servers, which /replicas shows"),
  ready: z.boolean(),
  reasons: z.array(text),
  samplers: z.int(),
  problems: z.int(),
  incidents: z.object({ open: z.int(), acknowledged: z.int() }),
  slots: z.record(slotState, z.int()),
  deliveries: z.partialRecord(outboxState, z.int()),
});

export type Api = {
  Level: z.infer<typeof level>;
  ShownLevel: z.infer<typeof shownLevel>;
  Problem: z.infer<typeof problem>;
  OverviewItem: z.infer<typeof overviewItem>;
  Overview: z.infer<typeof overview>;
  Points: z.infer<typeof points>;
  Mark: z.infer<typeof mark>;
  Calendar: z.infer<typeof calendar>;
  Explanation: z.infer<typeof explanation>;
  Slot: z.infer<typeof slot>;
  Alert: z.infer<typeof alert>;
  Incident: z.infer<typeof incident>;
  IncidentPage: z.infer<typeof incidentPage>;
  Story: z.infer<typeof story>;
  Silence: z.infer<typeof silence>;
  SilencePage: z.infer<typeof silencePage>;
  DefinitionProblem: z.infer<typeof definitionProblem>;
  DefinitionProblems: z.infer<typeof definitionProblems>;
  Sampler: z.infer<typeof sampler>;
  SamplerPage: z.infer<typeof samplerPage>;
  SlotPage: z.infer<typeof slotPage>;
  Usage: z.infer<typeof usage>;
  Process: z.infer<typeof processItem>;
  Processes: z.infer<typeof processes>;
  Replica: z.infer<typeof replica>;
  Replicas: z.infer<typeof replicas>;
  Shelf: z.infer<typeof shelf>;
  Comparison: z.infer<typeof comparison>;
  Requeued: z.infer<typeof requeued>;
  Mail: z.infer<typeof mail>;
  MailPage: z.infer<typeof mailPage>;
  Health: z.infer<typeof health>;
};
