/**
 * What a server's words mean, as tables: InfluxDB 1.x, 2.x and 3.x say the same things with other codes and texts.
 * The first row that fits decides. Pure.
 */
import type { Answer, Culprit, FieldKind } from "../../core/ports.ts";

/** How an HTTP request ended. `body` as it came: JSON in all but odd cases. */
export type Reply = { readonly status: number; readonly body: string };

/** Characters of a server's text that are passed on. */
const textCharsMax = 300;

type WriteRow = {
  readonly status: RegExp;
  readonly text?: RegExp;
  readonly kind: Answer["kind"];
  readonly culprit?: (text: string, body: unknown) => Culprit | null;
};

const writeRows: readonly WriteRow[] = [
  { status: /^2/, kind: "stored" },
  { status: /^413/, kind: "size" },
  { status: /^40[134]/, kind: "operator" },
  { status: /^5/, text: /no space left/i, kind: "stuck" },
  // 1.x calls it a fault of its own, and relays have repeated such writes for ever.
  { status: /^5/, text: /(?:retention policy|database) not found/i, kind: "operator" },
  { status: /^(?:5|408|429)/, kind: "unknown" },
  { status: /^4/, text: /cache-max-memory-size|timeout/i, kind: "unknown" },
  { status: /^4/, text: /max-(?:values|series)-per|limit exceeded|would exceed/i, kind: "operator" },
  { status: /^4/, text: /field type conflict/i, kind: "refused", culprit: conflictingField },
  { status: /^4/, text: /partial write of line protocol/i, kind: "refused", culprit: originalLine },
  { status: /^4/, text: /unable to parse '/, kind: "refused", culprit: quotedLine },
  { status: /^4/, text: /(?:beyond|outside) retention policy/i, kind: "expired" },
  { status: /^4/, kind: "refused" },
];

export function answerOf(reply: Reply): Answer {
  const body = parsed(reply.body);
  const text = textOf(reply.body, body);
  const row = writeRows.find(
    ({ status, text: wanted }) => status.test(`${reply.status}`) && (wanted?.test(text) ?? true),
  );
  const reason = cut(text === "" ? `HTTP ${reply.status}` : `${text} (HTTP ${reply.status})`);
  switch (row?.kind) {
    case "stored":
      return { kind: "stored" };
    case "refused":
      return { kind: "refused", reason, culprit: row.culprit?.(text, body) ?? null };
    case "expired":
      return { kind: "expired", reason, beforeMs: boundMs(text) };
    default:
      return { kind: row?.kind ?? "unknown", reason };
  }
}

/** Names are given as they are, whatever is in them: the last ` on measurement "` parts the two. */
function conflictingField(text: string): Culprit | null {
  const found = /input field "(.*)" on measurement "(.*)" is type (\w+), already exists as type/s.exec(text);
  if (found === null) return null;
  const [, field, measurement, type] = found as unknown as [string, string, string, string];
  return { kind: "field", measurement, field, given: fieldKinds[type] ?? null };
}

/** The first line that is quoted; several faults follow each other, and a line may hold line breaks and quotes. */
function quotedLine(text: string): Culprit | null {
  const [first] = text.slice(text.indexOf("unable to parse '") + 17).split(/\nunable to parse '/);
  const end = first?.lastIndexOf("': ") ?? -1;
  return end < 0 ? null : { kind: "line", text: (first as string).slice(0, end) };
}

/** InfluxDB 3.x lists the lines. */
function originalLine(_: string, body: unknown): Culprit | null {
  const [first] = (body as { data?: { original_line?: unknown }[] } | undefined)?.data ?? [];
  return typeof first?.original_line === "string" ? { kind: "line", text: first.original_line } : null;
}

/** InfluxDB 2.x says from when on it keeps points; 1.x does not. */
function boundMs(text: string): number | null {
  const found = /Lower Bound at (\d{4}-\d\d-\d\dT[\d:.]+Z)/.exec(text);
  const timeMs = Date.parse(found?.[1] ?? "");
  return Number.isNaN(timeMs) ? null : timeMs;
}

/** Kinds of fields by the names that servers have for them. */
export const fieldKinds: Readonly<Record<string, FieldKind>> = { float: "number", string: "text", boolean: "boolean" };

export type Fault = { readonly retryable: boolean; readonly fix: string };

type FaultRow = Fault & { readonly status: RegExp; readonly text?: RegExp };

const faultRows: readonly FaultRow[] = [
  { status: /^401/, retryable: false, fix: "check its user and password, or its token" },
  {
    status: /./,
    text: /authorization failed|create admin user first/i,
    retryable: false,
    fix: "check its user and password",
  },
  { status: /^403/, retryable: false, fix: "give its user the right that the text names" },
  {
    status: /./,
    text: /not authorized|permission denied|forbidden/i,
    retryable: false,
    fix: "give its user the right that the text names",
  },
  {
    status: /./,
    text: /not found|no dbrp mapping/i,
    retryable: false,
    fix: "make the database and its retention policies, or give its user the right to",
  },
  {
    status: /./,
    text: /not implemented|error parsing query/i,
    retryable: false,
    fix: "use a version that knows such a query: 1.6 or later, 2.x, 3.x",
  },
  { status: /^4(?!08|29)/, retryable: false, fix: "see the server's log" },
  { status: /./, retryable: true, fix: "see whether the server runs, and its log" },
];

/** What to make of a question that was not answered. @param status of HTTP, 200 if the error was in the body */
export function faultOf(status: number, text: string): Fault {
  const row = faultRows.find((each) => each.status.test(`${status}`) && (each.text?.test(text) ?? true));
  return row as FaultRow;
}

/** Abilities that a generation lacks. */
export function isNotImplemented(text: string): boolean {
  return /not implemented|unimplemented|unsupported statement/i.test(text);
}

/** What a body says is wrong: `error` in 1.x and 3.x, `message` in 2.x. */
export function textOf(body: string, json: unknown = parsed(body)): string {
  const { error, message } = (json ?? {}) as { error?: unknown; message?: unknown };
  const said = error ?? message;
  return typeof said === "string" ? said : body.trim();
}

export function cut(text: string): string {
  return text.length <= textCharsMax ? text : `${text.slice(0, textCharsMax - 3)}...`;
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}
