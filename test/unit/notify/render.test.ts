import { describe, expect, test } from "vitest";
import type { Definitions } from "../../../src/core/definitions.ts";
import type { Alert, Incident, Message, NoticeKind } from "../../../src/core/model.ts";
import { alertsShownMax, type NoticeChart, renderNotice, renderTest } from "../../../src/notify/render.ts";
import { definitions, group, outboxItem, sampler } from "../alert/builders.ts";

const at = (time: string): number => Date.parse(`2026-07-20T${time}Z`);
const baseUrl = "http://console.example:8080";

function alert(fields: Partial<Alert> = {}): Alert {
  return {
    id: "alert-1",
    fingerprint: "f",
    rule: "watch",
    sampler: "shop-orders",
    series: 'orders{country="Germany"}.orders',
    labels: { sampler: "shop-orders", country: "Germany", field: "orders", measurement: "orders" },
    severity: "critical",
    state: "firing",
    recent: "bb",
    sinceMs: at("09:37:00"),
    lastSlotMs: at("09:41:00"),
    stepMs: 60_000,
    firedMs: at("09:39:00"),
    resolvedMs: null,
    incidentId: "incident-1",
    observed: 3,
    expected: 21.4,
    worstObserved: 1,
    worstExpected: 22,
    lossSoFar: 54,
    reason: "3 orders where 12 to 30 are normal",
    version: 1,
    ...fields,
  };
}

function incident(fields: Partial<Incident> = {}): Incident {
  return {
    id: "incident-1",
    groupKey: "k",
    groupLabels: { sampler: "shop-orders" },
    route: "0",
    group: "shop-team",
    title: "Orders placed (Germany)",
    severity: "critical",
    state: "open",
    openedMs: at("09:39:00"),
    resolvedMs: null,
    acknowledgedBy: null,
    acknowledgedMs: null,
    notices: 1,
    lastNoticeMs: at("09:42:00"),
    mutedReason: null,
    version: 1,
    ...fields,
  };
}

type Parts = {
  kind?: NoticeKind;
  number?: number;
  step?: number;
  alerts?: Alert[];
  incident?: Partial<Incident>;
  definitions?: Definitions;
  nowMs?: number;
  chart?: NoticeChart;
};

const usual = definitions({ groups: [group("shop-team", ["ana"], { title: "Shop team" })] });

function render(parts: Parts = {}): Message {
  return renderNotice({
    item: outboxItem(parts.kind ?? "opened", parts.number ?? 1, parts.step),
    incident: incident(parts.incident),
    alerts: parts.alerts ?? [alert()],
    definitions: parts.definitions ?? usual,
    baseUrl,
    zone: "UTC",
    nowMs: parts.nowMs ?? at("09:42:00"),
    chart: parts.chart,
  });
}

test("the first message: what, now, expected, since when, loss, owner, what to do, where to click", () => {
  const message = render();
  expect(message.subject).toBe("[critical] Orders placed (Germany): 3 instead of about 21.4");
  expect(
    message.text,
  ).toBe(`Orders placed (Germany): orders is 3 in the minute from 10:41, expected about 21.4, 86 % below.

Severity     critical
Now          3 orders, the minute from 10:41
Expected     about 21.4
Worst        1, expected about 22
Since        2026-07-20 10:37 (Europe/London)
For          5 min
Loss so far  about 54 orders fewer than expected
Why          3 orders where 12 to 30 are normal
Owner        Shop team
What to do   docs/runbooks/orders.md

Incident     http://console.example:8080/incidents/incident-1
Acknowledge  http://console.example:8080/incidents/incident-1?acknowledge=1
`);
});

test("a repeat says how often and how long", () => {
  const message = render({ kind: "still", number: 3, nowMs: at("10:24:00") });
  expect(message.subject).toBe("[critical] Still, 3rd time, 45 min: Orders placed (Germany): 3 instead of about 21.4");
  expect(message.text).toMatch(/^Still, 3rd time, 45 min: Orders placed \(Germany\): orders is 3/);
});

test("a later step of an escalation says why it comes", () => {
  const message = render({ step: 1 });
  expect(message.subject).toMatch(/^\[critical\] Nobody has acknowledged: Orders placed \(Germany\)/);
  expect(message.text).toMatch(/^Nobody has acknowledged: Orders placed/);
});

test("recovery: value now, worst value, how long, the loss; nothing to acknowledge", () => {
  const over = alert({ state: "resolved", observed: 20, recent: "bbbggg", lastSlotMs: at("10:24:00"), lossSoFar: 812 });
  const message = render({ kind: "resolved", number: 2, alerts: [over], incident: { state: "resolved" } });
  expect(message.subject).toBe("[recovered] Orders placed (Germany), after 45 min");
  expect(message.text).toContain(
    "Recovered: Orders placed (Germany): orders is 20 again, expected about 21.4; it lasted 45 min.",
  );
  expect(message.text).toContain("Worst       1, expected about 22\n");
  expect(message.text).toContain("Loss        about 812 orders fewer than expected\n");
  expect(message.text).not.toContain("Acknowledge");
});

test("closed because nobody watches it any more is no recovery", () => {
  const closed = alert({ state: "resolved", recent: "bbu", reason: "no definition judges it any more" });
  const message = render({ kind: "resolved", number: 2, alerts: [closed], incident: { state: "resolved" } });
  expect(message.subject).toBe("[closed] Orders placed (Germany), no longer watched");
  expect(message.text).toContain("No longer watched: Orders placed (Germany): orders was 3, expected about 21.4.");
  expect(message.text).toContain("Why         no definition judges it any more\n");
  expect(message.text).not.toMatch(/recover/i);
});

test("too much is not too little", () => {
  const message = render({ alerts: [alert({ observed: 60, expected: 20, lossSoFar: -120, worstObserved: 70 })] });
  expect(message.text).toContain("200 % above.");
  expect(message.text).toContain("about 120 orders more than expected");
});

test("several alerts: the worst leads, a bounded number is listed, the rest is counted", () => {
  const many = Array.from({ length: 40 }, (_, index) =>
    alert({
      id: `a${index}`,
      severity: "warning",
      labels: { country: `C${index}`, field: "orders" },
      worstObserved: 15,
    }),
  );
  const worst = alert({ labels: { country: "Worst", field: "orders" }, severity: "critical" });
  const message = render({ alerts: [...many, worst], incident: { title: "Orders placed: 41 series" } });
  expect(message.subject).toBe("[critical] Orders placed: 41 series");
  expect(message.text).toMatch(/^Orders placed \(Worst\):/);
  expect(message.text.match(/^- /gm)).toHaveLength(alertsShownMax);
  expect(message.text).toContain("- and 21 more, see the incident\n");
  expect(message.facts.alertsTotal).toBe(41);
  expect(message.facts.alerts).toHaveLength(alertsShownMax);
});

test("a message that comes late says that it has recovered, and who has taken it on", () => {
  const late = render({ alerts: [alert({ state: "resolved" })], incident: { state: "resolved" } });
  expect(late.text).toContain("It has recovered in the meantime.");
  const taken = render({
    kind: "update",
    incident: { state: "acknowledged", acknowledgedBy: "Bo", acknowledgedMs: at("09:50:00") },
  });
  expect(taken.text).toContain("by Bo, 2026-07-20 10:50 (Europe/London)");
  expect(taken.text).not.toContain("?acknowledge=1");
});

test("without a value or an expectation it says so", () => {
  const message = render({ alerts: [alert({ observed: null, expected: null, worstObserved: null, lossSoFar: null })] });
  expect(message.text).toContain("orders is no value in the minute from 10:41.");
  expect(message.text).toContain("Expected     not known");
  expect(message.text).not.toContain("Loss");
});

test("the definition may be gone: names and the default zone are left", () => {
  const message = render({ definitions: definitions({ samplers: [] }) });
  expect(message.text).toMatch(/^shop-orders: orders is 3 in the minute from 09:41/);
});

test("the chart is shown only where there is one, and says where it may lack points", () => {
  const png = new Uint8Array([1]);
  const sound = render({ chart: { png, stale: false } });
  expect(sound.chart).toBe(png);
  expect(sound.html).toContain('src="cid:chart"');
  expect(sound.html).not.toContain("copy is behind");
  expect(render({ chart: { png, stale: true } }).html).toContain("One copy is behind: the chart may lack the newest");
  expect(render().html).not.toContain("<img");
});

test("facts for machines: ids, labels, times in UTC", () => {
  expect(render().facts).toMatchObject({
    kind: "opened",
    notice: 1,
    incident: { id: "incident-1", openedAt: "2026-07-20T09:39:00Z", url: `${baseUrl}/incidents/incident-1` },
    alerts: [{ series: 'orders{country="Germany"}.orders', since: "2026-07-20T09:37:00Z", observed: 3, lossSoFar: 54 }],
  });
  expect(JSON.parse(JSON.stringify(render().facts))).toEqual(render().facts);
});

describe("what data says is text, never code (S12)", () => {
  const hostile = [
    "<img src=x onerror=alert(1)>",
    "</td></tr></table><script>alert(1)</script>",
    '" onmouseover="alert(1)',
    "<a href='http://evil.example'>click</a>",
    "&lt;b&gt;",
  ];

  test.each(hostile)("%s, as tag, title, reason, owner, runbook and acknowledger", (text) => {
    const message = render({
      definitions: definitions({
        samplers: [sampler({ title: text, runbook: text, owner: "shop-team" })],
        groups: [group("shop-team", [], { title: text })],
      }),
      alerts: [alert({ reason: text, labels: { country: text, field: text } })],
      incident: { title: text, acknowledgedBy: text, acknowledgedMs: at("09:50:00") },
    });
    const elements = [...message.html.matchAll(/<\/?([a-z]+)/g)].map(([, name]) => name);
    const harmless = render({ incident: { acknowledgedBy: "x", acknowledgedMs: at("09:50:00") } });
    const wanted = [...harmless.html.matchAll(/<\/?([a-z]+)/g)].map(([, name]) => name);
    expect(elements).toEqual(wanted);
    expect(message.html).not.toMatch(/<[^>]*\son\w+=/);
  });

  test.each([
    ["javascript:alert(1)", null],
    ["JaVaScRiPt:alert(1)", null],
    ["data:text/html,x", null],
    ["docs/runbooks/orders.md", null],
    ["//evil.example/x", null],
    ["https://wiki.example/runbook?a=1&b=2", "https://wiki.example/runbook?a=1&amp;b=2"],
    ["https://wіki.example/", "https://xn--wki-jhd.example/"],
    ["http://good.example@evil.example/", "http://good.example@evil.example/"],
  ])("runbook %s links to %s", (runbook, href) => {
    const message = render({ definitions: definitions({ samplers: [sampler({ runbook })] }) });
    const links = [...message.html.matchAll(/href="([^"]*)"/g)].map(([, link]) => link as string);
    const others = links.filter((link) => !link.startsWith(`${baseUrl}/incidents/incident-1`));
    expect(others).toEqual(href === null ? [] : [href]);
    // Shown as what it really is: a host that only looks like another one cannot hide behind its text.
    if (href !== null) expect(message.html).toContain(`>${href}</a>`);
  });

  test("line breaks and control characters end in neither subject nor lines (TPL-002)", () => {
    const country = "Germany\r\nBcc: all@shop.example\u2028\u0000x";
    const message = render({ alerts: [alert({ labels: { country, field: "orders" } })] });
    expect(message.subject).toBe("[critical] Orders placed (Germany Bcc: all@shop.example x): 3 instead of about 21.4");
    expect(message.text.split("\n")).toHaveLength(render().text.split("\n").length);
  });

  test("a subject stays short", () => {
    const message = render({ alerts: [alert({ labels: { country: "x".repeat(5_000), field: "orders" } })] });
    expect([...message.subject].length).toBeLessThanOrEqual(200);
  });

  test("there is always a text part", () => {
    for (const kind of ["opened", "update", "still", "resolved"] as const) {
      expect(render({ kind, alerts: [] }).text).not.toBe("");
    }
    expect(renderTest({ ...outboxItem("test", 1), incidentId: null }, baseUrl, 0).text).toContain(
      "test message to Ana",
    );
  });
});

describe("a total and what explains it", () => {
  const explained = {
    direction: "down" as const,
    tags: ["country"],
    by: [{ tags: { country: "<b>United\nKingdom" }, share: 0.92 }],
    spread: null,
    against: [],
    unknown: 0,
  };
  const labels = { sampler: "shop-orders", field: "orders", measurement: "orders" };
  const total = alert({
    id: "t",
    series: "orders.orders",
    labels,
    severity: "warning",
    observed: 60,
    expected: 100,
    explained,
  });

  test("leads before its series, however bad they are", () => {
    const message = render({ alerts: [alert(), total] });
    expect(message.subject).toBe("[critical] Orders placed: 40 % below; <b>United Kingdom explains 92 % of the drop");
    expect(message.text).toMatch(
      /^Orders placed: orders is 60 in .*, 40 % below; <b>United Kingdom explains 92 % of the drop\.\n/,
    );
    expect(message.text).toContain("Also firing:\n- Orders placed (Germany): orders is 3");
    expect(message.html).not.toContain("<b>United");
    expect(message.facts.alerts).toMatchObject([{ series: "orders.orders", explained }, { explained: null }]);
  });

  test("leaves the title to the incident where others are in it", () => {
    const other = alert({ id: "o", sampler: "shop-logins", labels: { ...labels, sampler: "shop-logins" } });
    expect(render({ alerts: [total, other], incident: { title: "Two samplers" } }).subject).toContain("Two samplers");
  });

  test("its recovery says what it was", () => {
    const over = { state: "resolved" as const, recent: "bbggg", observed: 99 };
    const message = render({
      kind: "resolved",
      alerts: [alert(over), { ...total, ...over }],
      incident: { state: "resolved" },
    });
    expect(message.subject).toMatch(/^\[recovered\] Orders placed, after/);
    expect(message.text).toMatch(/Where +<b>United Kingdom explains 92 % of the drop/);
  });
});
