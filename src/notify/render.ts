/** What a message says. Pure: rows and definitions in; subject, text, HTML and facts out. */
import { contributionText } from "../core/contribution.ts";
import type { Definitions } from "../core/definitions.ts";
import { type Alert, type Incident, isOwn, type Message, type OutboxItem, ownName } from "../core/model.ts";
import { formatTimeUtc } from "../core/time.ts";
import { stepOf } from "../state/outbox.ts";
import { type Html, html } from "./html.ts";
import { durationText, numberText, oneLine, ordinalText, slotText, timeText } from "./words.ts";

/** How many alerts a message describes; the rest is a number and a link. */
export const alertsShownMax = 20;

/** `stale`: drawn from a copy that is behind, so its newest points may be missing; the message says so. */
export type NoticeChart = { readonly png: Uint8Array; readonly stale: boolean };

export type NoticeFacts = {
  readonly item: OutboxItem;
  readonly incident: Incident;
  /** All of the incident, resolved ones too. */
  readonly alerts: readonly Alert[];
  readonly definitions: Definitions;
  /** Where readers reach the console, `http://127.0.0.1:8080`. */
  readonly baseUrl: string;
  /** Wall clock where a sampler is no longer defined. */
  readonly zone: string;
  readonly nowMs: number;
  readonly chart?: NoticeChart | undefined;
};

/** One line of the table: a name, what it says, and perhaps where it leads. */
type Line = { readonly name: string; readonly text: string; readonly href?: string | undefined };

export function renderNotice(facts: NoticeFacts): Message {
  const { item, incident, baseUrl } = facts;
  const over = item.kind === "resolved";
  const standing = facts.alerts.filter((alert) => alert.state === "firing" || alert.state === "recovering");
  const [main, ...others] = worstFirst(over || standing.length === 0 ? facts.alerts : standing);
  const meanwhile = !over && incident.state === "resolved" ? " It has recovered in the meantime." : "";
  const lead = main === undefined ? incident.title : sentence(main, facts);
  const opening = `${prefix(facts)}${lead}${meanwhile}`;
  const lines = main === undefined ? [] : alertLines(main, facts);
  const links = linkLines(incident, baseUrl, over);
  const listed = others.slice(0, alertsShownMax - 1).map((alert) => sentence(alert, facts));
  const beyond = others.length - listed.length;
  if (beyond > 0) listed.push(`and ${beyond} more, see the incident`);
  return {
    id: item.id,
    to: item.recipient,
    kind: item.kind,
    severity: incident.severity,
    subject: subject(facts, main),
    text: plainText(opening, lines, links, over ? "Also recovered" : "Also firing", listed),
    html: page(facts, opening, lines, links, over ? "Also recovered" : "Also firing", listed).text,
    chart: facts.chart?.png,
    facts: machineFacts(facts, worstFirst(facts.alerts)),
  };
}

/** A message that proves that a notifier works. */
export function renderTest(item: OutboxItem, baseUrl: string, nowMs: number): Message {
  const text = `This is a test message to ${oneLine(item.recipientName)}. If you can read it, messages reach you.`;
  return {
    id: item.id,
    to: item.recipient,
    kind: "test",
    severity: "warning",
    subject: "[test] Bellwether reaches you",
    text: `${text}\n\nConsole  ${baseUrl}\n`,
    html: html`<!doctype html><html lang="en"><body>
<p>${text}</p><p><a href="${baseUrl}">${baseUrl}</a></p></body></html>`.text,
    facts: { kind: "test", at: formatTimeUtc(nowMs) },
  };
}

/** The same message, marked: an attempt before may have arrived. */
export function markRepeat(message: Message): Message {
  return { ...message, subject: `${message.subject} (repeat)`, text: `(repeat) ${message.text}` };
}

/**
 * Critical first, then what is furthest from its expectation, as a part of it. A total of which it is known what explains
 * it comes before the series that it is the sum of.
 */
export function worstFirst(alerts: readonly Alert[]): Alert[] {
  const part = ({ worstObserved: observed, worstExpected: expected }: Alert): number =>
    observed === null || expected === null ? 0 : Math.abs(observed - expected) / Math.max(Math.abs(expected), 1);
  const rank = (alert: Alert): number => (alert.severity === "critical" ? 1 : 0);
  const sorted = alerts.toSorted((a, b) => rank(b) - rank(a) || part(b) - part(a) || a.series.localeCompare(b.series));
  const total = sorted.find((alert) => alert.explained != null && about(alert) === about(sorted[0] as Alert));
  return total === undefined ? sorted : [total, ...sorted.filter((alert) => alert !== total)];
}

/** What a total and the series that it is the sum of have in common. */
function about({ sampler, labels }: Alert): string {
  return JSON.stringify([sampler, labels.field, labels.direction]);
}

/** `United Kingdom explains 92 % of the drop`; null where nothing is known of that. */
function whereText({ explained }: Alert): string | null {
  return explained == null ? null : oneLine(contributionText(explained), 300);
}

function samplerOf(alert: Alert, facts: NoticeFacts) {
  return facts.definitions.samplers.get(alert.sampler);
}

function zoneOf(alert: Alert, facts: NoticeFacts): string {
  return samplerOf(alert, facts)?.zone ?? facts.zone;
}

/** `Orders placed (Germany)`. */
function nameOf(alert: Alert, facts: NoticeFacts): string {
  if (isOwn(alert)) return oneLine(`Bellwether: ${ownName(alert)}`);
  const sampler = samplerOf(alert, facts);
  const title = facts.definitions.rules.get(alert.rule)?.title ?? sampler?.title ?? alert.sampler;
  const values = (sampler?.point.tags ?? []).flatMap((tag) => alert.labels[tag] ?? []);
  return oneLine(values.length === 0 ? title : `${title} (${values.join(", ")})`);
}

/** What, how much, where it should be; of Bellwether itself, what is wrong and what to do. */
function sentence(alert: Alert, facts: NoticeFacts): string {
  if (isOwn(alert)) return ownSentence(alert, facts);
  const zone = zoneOf(alert, facts);
  const field = oneLine(alert.labels.field ?? "value");
  const name = nameOf(alert, facts);
  if (alert.state === "resolved") {
    if (isUnwatched(alert)) return `${name}: ${field} was ${numberText(alert.observed)}${aboutText(alert.expected)}.`;
    const lasted = durationText(badMs(alert));
    return `${name}: ${field} is ${numberText(alert.observed)} again${aboutText(alert.expected)}; it lasted ${lasted}.`;
  }
  const slot = slotText(alert.lastSlotMs, alert.stepMs, zone);
  return `${name}: ${field} is ${numberText(alert.observed)} in ${slot}${aboutText(alert.expected)}${offText(alert)}${after(whereText(alert))}.`;
}

function after(text: string | null): string {
  return text === null ? "" : `; ${text}`;
}

function ownSentence(alert: Alert, facts: NoticeFacts): string {
  const name = nameOf(alert, facts);
  if (alert.state === "resolved") return `${name} is over; it lasted ${durationText(badMs(alert))}.`;
  return `${name} - ${oneLine(alert.reason, 1000).replace(/\.$/, "")}.`;
}

function aboutText(expected: number | null): string {
  return expected === null ? "" : `, expected about ${numberText(expected)}`;
}

function offText({ observed, expected }: Alert): string {
  if (observed === null || expected === null || expected === 0 || observed === expected) return "";
  const percent = Math.round((Math.abs(observed - expected) / Math.abs(expected)) * 100);
  return `, ${numberText(percent)} % ${observed < expected ? "below" : "above"}`;
}

/** Closed without a good slot: nothing judges it any more, and what became of it nobody knows. */
function isUnwatched(alert: Alert): boolean {
  return alert.state === "resolved" && !alert.recent.slice(alert.recent.lastIndexOf("b")).includes("g");
}

/** From the first bad slot to the first good one after the last bad one, or to the end of an own condition. */
function badMs(alert: Alert): number {
  const slotsSince = alert.recent.length - 1 - alert.recent.lastIndexOf("b");
  const goodFromMs = alert.lastSlotMs - (slotsSince - 1) * alert.stepMs;
  return Math.max(goodFromMs - alert.sinceMs, alert.stepMs);
}

function alertLines(alert: Alert, facts: NoticeFacts): Line[] {
  const { definitions } = facts;
  const zone = zoneOf(alert, facts);
  const sampler = samplerOf(alert, facts);
  const field = oneLine(alert.labels.field ?? "");
  const over = alert.state === "resolved";
  const severity: Line = { name: "Severity", text: facts.incident.severity };
  const times: Line[] = [
    { name: "Since", text: timeText(alert.sinceMs, zone) },
    { name: over ? "Lasted" : "For", text: durationText(over ? badMs(alert) : facts.nowMs - alert.sinceMs) },
  ];
  if (isOwn(alert)) {
    const reason: Line = { name: over ? "Why" : "What to do", text: oneLine(alert.reason, 1000) };
    return [severity, ...times, ...acknowledgedLines(alert, facts), reason];
  }
  const lines: Line[] = [
    severity,
    { name: "Now", text: `${numberText(alert.observed)} ${field}, ${slotText(alert.lastSlotMs, alert.stepMs, zone)}` },
    { name: "Expected", text: alert.expected === null ? "not known" : `about ${numberText(alert.expected)}` },
    { name: "Worst", text: `${numberText(alert.worstObserved)}, expected about ${numberText(alert.worstExpected)}` },
    ...times,
  ];
  if (alert.lossSoFar !== null) {
    lines.push({ name: over ? "Loss" : "Loss so far", text: lossText(alert.lossSoFar, field) });
  }
  lines.push({ name: "Why", text: oneLine(alert.reason, 1000) });
  const where = whereText(alert);
  if (where !== null) lines.push({ name: "Where", text: where });
  lines.push(...acknowledgedLines(alert, facts));
  if (sampler !== undefined) lines.push({ name: "Owner", text: ownerText(sampler.owner, definitions) });
  const runbook = definitions.rules.get(alert.rule)?.runbook ?? sampler?.runbook ?? null;
  if (runbook !== null) lines.push({ name: "What to do", text: oneLine(runbook), href: webAddress(runbook) });
  return lines;
}

function acknowledgedLines(alert: Alert, facts: NoticeFacts): Line[] {
  const { acknowledgedMs, acknowledgedBy } = facts.incident;
  if (acknowledgedMs === null || alert.state === "resolved") return [];
  const when = timeText(acknowledgedMs, zoneOf(alert, facts));
  return [{ name: "Acknowledged", text: `by ${oneLine(acknowledgedBy ?? "")}, ${when}` }];
}

/** `sum of expected minus observed`: positive is missing, negative is too much. */
function lossText(loss: number, field: string): string {
  return `about ${numberText(Math.abs(loss))} ${field} ${loss >= 0 ? "fewer" : "more"} than expected`;
}

function ownerText(owner: string, definitions: Definitions): string {
  return oneLine(definitions.groups.get(owner)?.title ?? definitions.people.get(owner)?.name ?? owner);
}

/** A runbook is a link only if it is an http(s) address; its host is shown as it is really called (punycode). */
function webAddress(text: string): string | undefined {
  if (!/^https?:\/\//i.test(text) || !URL.canParse(text)) return undefined;
  return new URL(text).href;
}

function linkLines(incident: Incident, baseUrl: string, over: boolean): Line[] {
  const url = `${baseUrl}/incidents/${encodeURIComponent(incident.id)}`;
  const acknowledge = `${url}?acknowledge=1`;
  const lines: Line[] = [{ name: "Incident", text: url, href: url }];
  if (!over && incident.state === "open") lines.push({ name: "Acknowledge", text: acknowledge, href: acknowledge });
  return lines;
}

/** How the message opens: nothing for the first, then what makes it different from the one before. */
function prefix({ item, incident, alerts, nowMs }: NoticeFacts): string {
  switch (item.kind) {
    case "still":
      return `Still, ${ordinalText(noticeNumber(item))} time, ${durationText(nowMs - incident.openedMs)}: `;
    case "update":
      return "Update: ";
    case "resolved":
      return alerts.some(isUnwatched) ? "No longer watched: " : "Recovered: ";
    default:
      return (stepOf(item)?.index ?? 0) > 0 ? "Nobody has acknowledged: " : "";
  }
}

/** The number of a notice within its incident, from `<incident>:<number>:<step>`. */
function noticeNumber(item: OutboxItem): number {
  return Number(/:(\d+):/.exec(item.noticeKey.slice(item.incidentId?.length ?? 0))?.[1] ?? 1);
}

function subject(facts: NoticeFacts, main: Alert | undefined): string {
  const { item, incident } = facts;
  const where = main === undefined ? null : whereText(main);
  const whole = main !== undefined && where !== null && facts.alerts.every((alert) => about(alert) === about(main));
  const title = main !== undefined && (facts.alerts.length === 1 || whole) ? nameOf(main, facts) : incident.title;
  if (item.kind === "resolved" && facts.alerts.some(isUnwatched))
    return oneLine(`[closed] ${title}, no longer watched`);
  if (item.kind === "resolved") {
    const lastedMs = Math.max(0, ...facts.alerts.map(badMs));
    return oneLine(`[recovered] ${title}, after ${durationText(lastedMs)}`);
  }
  if (whole) {
    const off = offText(main).replace(/^, /, "");
    return oneLine(`[${incident.severity}] ${prefix(facts)}${title}: ${off === "" ? where : `${off}; ${where}`}`);
  }
  const instead =
    main === undefined || facts.alerts.length > 1 || main.observed === null || main.expected === null
      ? ""
      : `: ${numberText(main.observed)} instead of about ${numberText(main.expected)}`;
  return oneLine(`[${incident.severity}] ${prefix(facts)}${title}${instead}`);
}

function plainText(opening: string, lines: Line[], links: Line[], heading: string, listed: string[]): string {
  const width = Math.max(...[...lines, ...links].map((line) => line.name.length)) + 2;
  const table = (rows: Line[]): string => rows.map(({ name, text }) => `${name.padEnd(width)}${text}\n`).join("");
  const also = listed.length === 0 ? "" : `\n${heading}:\n${listed.map((text) => `- ${text}\n`).join("")}`;
  return `${opening}\n\n${table(lines)}${also}\n${table(links)}`;
}

const colours = { critical: "#b3261e", warning: "#9a6700", over: "#1a7f37" };

function page(
  facts: NoticeFacts,
  opening: string,
  lines: Line[],
  links: Line[],
  heading: string,
  listed: string[],
): Html {
  const colour = facts.item.kind === "resolved" ? colours.over : colours[facts.incident.severity];
  const row = ({ name, text, href }: Line): Html => html`<tr>
<td style="padding:3px 16px 3px 0;color:#57606a;vertical-align:top;white-space:nowrap">${name}</td>
<td style="padding:3px 0;overflow-wrap:anywhere">
${href === undefined ? text : html`<a href="${href}">${href}</a>`}</td></tr>`;
  const chart = html`<p><img src="cid:chart" width="600" alt="Chart of the values, what was expected, and what was
wrong" style="width:100%;max-width:600px;height:auto;border:0"></p>`;
  const behind = html`<p style="color:#57606a">One copy is behind: the chart may lack the newest points.</p>`;
  const also = html`<p style="margin-bottom:4px">${heading}:</p>
<ul style="margin:0;padding-left:20px">${listed.map((text) => html`<li>${text}</li>`)}</ul>`;
  return html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${oneLine(opening)}</title></head>
<body style="margin:0;padding:16px;background:#ffffff;color:#1f2328;
font:15px/1.5 system-ui,'Segoe UI',Arial,sans-serif">
<div style="max-width:640px;border-left:4px solid ${colour};padding-left:16px">
<p style="margin-top:0;font-size:17px;font-weight:600">${opening}</p>
${facts.chart === undefined ? null : chart}
${facts.chart?.stale === true ? behind : null}
<table role="presentation" style="border-collapse:collapse">${lines.map(row)}${links.map(row)}</table>
${listed.length === 0 ? null : also}
</div></body></html>`;
}

function machineFacts(facts: NoticeFacts, alerts: readonly Alert[]): Record<string, unknown> {
  const { item, incident, baseUrl } = facts;
  const time = (timeMs: number | null): string | null => (timeMs === null ? null : formatTimeUtc(timeMs));
  return {
    kind: item.kind,
    notice: noticeNumber(item),
    incident: {
      id: incident.id,
      title: incident.title,
      severity: incident.severity,
      state: incident.state,
      group: incident.group,
      labels: incident.groupLabels,
      openedAt: time(incident.openedMs),
      resolvedAt: time(incident.resolvedMs),
      acknowledgedBy: incident.acknowledgedBy,
      url: `${baseUrl}/incidents/${encodeURIComponent(incident.id)}`,
    },
    alertsTotal: alerts.length,
    alerts: alerts.slice(0, alertsShownMax).map((alert) => ({
      series: alert.series,
      rule: alert.rule,
      labels: alert.labels,
      severity: alert.severity,
      state: alert.state,
      since: time(alert.sinceMs),
      observed: alert.observed,
      expected: alert.expected,
      worstObserved: alert.worstObserved,
      worstExpected: alert.worstExpected,
      lossSoFar: alert.lossSoFar,
      reason: alert.reason,
      explained: alert.explained ?? null,
    })),
  };
}
