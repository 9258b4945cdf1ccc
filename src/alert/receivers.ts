/** Who hears a notice, through what and when: groups and their steps become messages owed. */
import type { Definitions, Group, Person } from "../core/definitions.ts";
import type { Incident, NoticeKind, OutboxItem } from "../core/model.ts";
import { stepOf } from "../state/outbox.ts";

/** The most people one notice is written to; those beyond are named in the audit log. */
export const noticeRecipientsMax = 500;

/** A notice about to be written. */
export type Notice = {
  readonly incident: Incident;
  readonly kind: NoticeKind;
  /** 1 for the first notice of its incident. */
  readonly number: number;
  readonly nowMs: number;
};

export type Owed = {
  readonly items: readonly OutboxItem[];
  /** Everybody and everything that could not be written to, as sentences. */
  readonly missed: readonly string[];
};

type Receiver = { readonly step: string; readonly notifier: string; readonly to: string; readonly name: string };

/**
 * What is owed to groups: to one that hears of the incident for the first time every step, each due when its wait
 * since then is over; to one that already heard, the steps reached so far, at once.
 * @param written what was written for this incident before
 */
export function owedToGroups(
  notice: Notice,
  groups: readonly string[],
  written: readonly OutboxItem[],
  definitions: Definitions,
  newId: () => string,
): Owed {
  const { incident, nowMs } = notice;
  const missed: string[] = [];
  const due = new Map<string, { receiver: Receiver; dueMs: number }>();
  for (const name of groups) {
    const group = findGroup(definitions, name);
    if (group === null) {
      missed.push(`group ${name || "(none)"} is not defined, nobody in it was told`);
      continue;
    }
    const startMs = firstToldMs(incident.id, name, written);
    for (const [index, { waitMs }] of group.steps.entries()) {
      const atMs = (startMs ?? nowMs) + waitMs;
      // Acknowledging stops escalation: only steps that were reached before it are spoken to.
      const untilMs = incident.acknowledgedMs ?? (startMs === null ? Number.POSITIVE_INFINITY : nowMs);
      if (waitMs > 0 && atMs > untilMs) continue;
      for (const receiver of receiversOf(group, index, definitions, missed)) {
        const dueMs = Math.max(atMs, nowMs);
        const key = JSON.stringify([receiver.notifier, receiver.to, dueMs]);
        if (!due.has(key)) due.set(key, { receiver, dueMs });
      }
    }
  }
  return bounded([...due.values()], missed, notice, newId);
}

/** What is owed to exactly those who heard, or are about to hear, of the incident before: for its recovery. */
export function owedToHearers(notice: Notice, written: readonly OutboxItem[], newId: () => string): Owed {
  const due = new Map<string, { receiver: Receiver; dueMs: number }>();
  for (const item of written) {
    if (item.incidentId !== notice.incident.id || !heard(item, notice.nowMs)) continue;
    const receiver = { step: "told", notifier: item.notifier, to: item.recipient, name: item.recipientName };
    due.set(JSON.stringify([item.notifier, item.recipient]), { receiver, dueMs: notice.nowMs });
  }
  return bounded([...due.values()], [], notice, newId);
}

/**
 * What was cancelled while its incident still stands and nobody has acknowledged, which only a silence does, and has
 * not been written again since: due when it was, or now.
 */
export function owedAgain(notice: Notice, written: readonly OutboxItem[], newId: () => string): readonly OutboxItem[] {
  const own = written.filter((item) => item.incidentId === notice.incident.id && stepOf(item) !== null);
  const target = (item: OutboxItem): string =>
    JSON.stringify([item.notifier, item.recipient, stepOf(item)?.group, stepOf(item)?.index]);
  const newest = new Map<string, OutboxItem>();
  for (const item of own.toSorted((a, b) => a.createdMs - b.createdMs)) newest.set(target(item), item);
  return [...newest.values()]
    .filter((item) => item.state === "cancelled" && item.kind !== "still")
    .map((item) => {
      const { group, index } = stepOf(item) as { group: string; index: number };
      const step = `${group}.${index}`;
      const receiver = { step, notifier: item.notifier, to: item.recipient, name: item.recipientName };
      return owed(notice, receiver, Math.max(item.dueMs, notice.nowMs), newId());
    });
}

/** Sent, perhaps sent, or being sent; one that waits for its first attempt in the future is about to be cancelled. */
function heard(item: OutboxItem, nowMs: number): boolean {
  if (item.state === "owed") return item.attempts > 0 || item.dueMs <= nowMs;
  return item.state === "sent" || item.state === "sending" || item.state === "unknown";
}

function bounded(
  due: readonly { receiver: Receiver; dueMs: number }[],
  missed: readonly string[],
  notice: Notice,
  newId: () => string,
): Owed {
  const items = due.slice(0, noticeRecipientsMax).map(({ receiver, dueMs }) => owed(notice, receiver, dueMs, newId()));
  const beyond = due.length - items.length;
  const cut = `${beyond} more were not written to: one notice goes to at most ${noticeRecipientsMax}`;
  return { items, missed: beyond > 0 ? [...missed, cut] : missed };
}

function owed(notice: Notice, receiver: Receiver, dueMs: number, id: string): OutboxItem {
  return {
    id,
    noticeKey: `${notice.incident.id}:${notice.number}:${receiver.step}`,
    incidentId: notice.incident.id,
    kind: notice.kind,
    notifier: receiver.notifier,
    recipient: receiver.to,
    recipientName: receiver.name,
    state: "owed",
    dueMs,
    attempts: 0,
    leaseOwner: null,
    leaseUntilMs: null,
    createdMs: notice.nowMs,
    sentMs: null,
    receipt: null,
    error: null,
  };
}

/** When a group was first written to; null if it never was. Told from the step in {@link OutboxItem.noticeKey}. */
function firstToldMs(incidentId: string, group: string, written: readonly OutboxItem[]): number | null {
  const times = written
    .filter((item) => item.incidentId === incidentId && item.kind !== "resolved")
    .filter((item) => stepOf(item)?.group === group)
    .map((item) => item.createdMs);
  return times.length === 0 ? null : Math.min(...times);
}

/** A group by name, or a person as a group of one who is told at once by e-mail; null if neither is defined. */
function findGroup(definitions: Definitions, name: string): Group | null {
  const group = definitions.groups.get(name);
  if (group !== undefined) return group;
  const person = definitions.people.get(name);
  if (person === undefined) return null;
  const steps = [{ notifier: "email", to: null, waitMs: 0 }];
  return { id: name, title: person.name, members: [name], steps, place: person.place };
}

function receiversOf(group: Group, index: number, definitions: Definitions, missed: string[]): Receiver[] {
  const { notifier, to } = group.steps[index] as Group["steps"][number];
  const step = `${group.id}.${index}`;
  if (to !== null) return [{ step, notifier, to, name: group.title }];
  if (group.members.length === 0) missed.push(`group ${group.id} has no members, nobody was told by ${notifier}`);
  return group.members.flatMap((id) => {
    const person = definitions.people.get(id);
    const address = person === undefined ? null : addressOf(person, notifier);
    if (person !== undefined && address !== null) return [{ step, notifier, to: address, name: person.name }];
    missed.push(`${id} of group ${group.id} has no address for ${notifier}`);
    return [];
  });
}

/** A person's own address for a notifier; null where a person has none. */
function addressOf(person: Person, notifier: string): string | null {
  if (notifier === "email") return person.email;
  return notifier === "sms" || notifier === "voice" ? person.phone : null;
}
