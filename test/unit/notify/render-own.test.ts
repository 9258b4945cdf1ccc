import { describe, expect, test } from "vitest";
import { advanceCondition } from "../../../src/alert/condition.ts";
import type { Alert, Condition, Incident, Message, NoticeKind } from "../../../src/core/model.ts";
import { renderNotice } from "../../../src/notify/render.ts";
import { definitions, outboxItem } from "../alert/builders.ts";

/** Messages about Bellwether itself: there is no number, no expectation, no chart and no series to look at. */

const at = (time: string): number => Date.parse(`2026-07-20T${time}Z`);
const baseUrl = "http://console.example:8080";

const stuck: Condition = {
  kind: "replica-stuck",
  subject: "b",
  severity: "critical",
  reason: "restart influxd b: it goes on refusing writes although its disk has room again",
  sinceMs: at("09:30:00"),
};

function alertOf(condition: Condition, over = false): Alert {
  const fired = advanceCondition(null, condition, at("09:31:00"), () => condition.subject).after as Alert;
  if (!over) return fired;
  const going = advanceCondition(fired, null, at("10:15:00"), () => "").after;
  return advanceCondition(going, null, at("10:15:30"), () => "").after as Alert;
}

type Parts = { kind?: NoticeKind; number?: number; alerts?: Alert[]; incident?: Partial<Incident>; nowMs?: number };

function render({ kind = "opened", number = 1, alerts = [alertOf(stuck)], incident, nowMs }: Parts = {}): Message {
  const whole: Incident = {
    id: "incident-1",
    groupKey: "k",
    groupLabels: { sampler: "bellwether" },
    route: "0",
    group: "shop-team",
    title: "Bellwether: replica stuck (b)",
    severity: "critical",
    state: "open",
    openedMs: at("09:31:00"),
    resolvedMs: null,
    acknowledgedBy: null,
    acknowledgedMs: null,
    notices: 1,
    lastNoticeMs: null,
    mutedReason: null,
    version: 1,
    ...incident,
  };
  return renderNotice({
    item: outboxItem(kind, number),
    incident: whole,
    alerts,
    definitions: definitions(),
    baseUrl,
    zone: "Europe/London",
    nowMs: nowMs ?? at("09:32:00"),
  });
}

test("the first message: what is wrong, since when, what to do, where to click", () => {
  const message = render();
  expect(message.subject).toBe("[critical] Bellwether: replica stuck (b)");
  expect(
    message.text,
  ).toBe(`Bellwether: replica stuck (b) - restart influxd b: it goes on refusing writes although its disk has room again.

Severity     critical
Since        2026-07-20 10:30 (Europe/London)
For          2 min
What to do   restart influxd b: it goes on refusing writes although its disk has room again

Incident     http://console.example:8080/incidents/incident-1
Acknowledge  http://console.example:8080/incidents/incident-1?acknowledge=1
`);
});

test("a repeat says how often and how long; who has it is named", () => {
  const incident = { state: "acknowledged", acknowledgedBy: "Bo", acknowledgedMs: at("09:40:00") } as const;
  const message = render({ kind: "still", number: 3, nowMs: at("10:16:00"), incident });
  expect(message.subject).toBe("[critical] Still, 3rd time, 45 min: Bellwether: replica stuck (b)");
  expect(message.text).toContain("by Bo, 2026-07-20 10:40 (Europe/London)");
  expect(message.text).not.toContain("?acknowledge=1");
});

test("recovery: that it is over, and how long it lasted", () => {
  const message = render({
    kind: "resolved",
    number: 2,
    alerts: [alertOf(stuck, true)],
    incident: { state: "resolved" },
    nowMs: at("10:16:00"),
  });
  expect(message.subject).toBe("[recovered] Bellwether: replica stuck (b), after 45 min");
  expect(message.text).toMatch(/^Recovered: Bellwether: replica stuck \(b\) is over; it lasted 45 min\.\n/);
  expect(message.text).toContain("Lasted    45 min\n");
  expect(message.text).not.toMatch(/What to do|Acknowledge/);
});

test("several: the critical one leads, the others say what to do as well", () => {
  const behind: Condition = {
    kind: "replica-behind",
    subject: "a",
    severity: "warning",
    reason: "see why influxd a is slow.",
    sinceMs: at("09:31:00"),
  };
  const title = "Bellwether: replica behind (a), replica stuck (b)";
  const message = render({ kind: "update", alerts: [alertOf(behind), alertOf(stuck)], incident: { title } });
  expect(message.subject).toBe(`[critical] Update: ${title}`);
  expect(message.text).toMatch(/^Update: Bellwether: replica stuck \(b\) - restart influxd b/);
  expect(message.text).toContain("Also firing:\n- Bellwether: replica behind (a) - see why influxd a is slow.\n");
});

describe("of every kind", () => {
  test.each(["opened", "update", "still", "resolved"] as const)("%s speaks of no numbers and no series", (kind) => {
    const alerts = [alertOf(stuck, kind === "resolved")];
    const message = render({ kind, number: 2, alerts, incident: kind === "resolved" ? { state: "resolved" } : {} });
    const said = `${message.subject}\n${message.text}\n${message.html}`;
    expect(said).not.toMatch(/no value|expected|instead|slot|minute from|null|undefined|NaN|\/series|<img|cid:/i);
    expect(message.chart).toBeUndefined();
    const links = [...message.html.matchAll(/href="([^"]*)"/g)].map(([, link]) => link);
    expect(links.every((link) => link?.startsWith(`${baseUrl}/incidents/incident-1`))).toBe(true);
  });

  test("facts for machines name the condition", () => {
    expect(render().facts).toMatchObject({
      incident: { title: "Bellwether: replica stuck (b)", labels: { sampler: "bellwether" } },
      alerts: [
        {
          labels: { rule: "self", sampler: "bellwether", condition: "replica-stuck", subject: "b" },
          observed: null,
          expected: null,
          reason: stuck.reason,
        },
      ],
    });
  });

  test("what a server answered is text, never code", () => {
    const reason = "influxd b says <script>alert(1)</script>\r\nBcc: all@shop.example";
    const message = render({ alerts: [alertOf({ ...stuck, subject: "<b>\r\nx", reason })] });
    expect(message.html).not.toMatch(/<script|<b>/);
    expect(message.subject).toBe("[critical] Bellwether: replica stuck (<b> x)");
    expect(message.text.split("\n")).toHaveLength(render().text.split("\n").length);
  });
});
