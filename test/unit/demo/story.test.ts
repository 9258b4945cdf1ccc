import { describe, expect, test } from "vitest";
import { shopZone } from "../../../src/cli/demo/drawing.ts";
import { judgeStory, liveFromMs, type Observed, type Phase, story, storyEvents } from "../../../src/cli/demo/story.ts";
import type { Alert, Direction, Incident, OutboxItem } from "../../../src/core/model.ts";
import { minuteMs } from "../../../src/core/time.ts";
import { localTime } from "../../../src/core/zone.ts";

const uk = 'orders{country="United Kingdom"}.orders';

/** An incident as the book gives it; only what the story looks at is real. */
function observed(
  group: string,
  movements: readonly [series: string, direction: Direction, firedMs: number | null][],
  resolvedMs: number | null,
  mails: readonly [kind: OutboxItem["kind"], name: string, state?: OutboxItem["state"]][],
): Observed {
  return {
    incident: { group, resolvedMs } as Incident,
    alerts: movements.map(
      ([series, direction, firedMs]) =>
        ({ series, firedMs, labels: { direction }, reason: "because" }) as unknown as Alert,
    ),
    outbox: mails.map(
      ([kind, recipientName, state = "sent"]) => ({ kind, recipientName, state, notifier: "email" }) as OutboxItem,
    ),
  };
}

function phase(name: string): Phase {
  return story.find((each) => each.name === name) as Phase;
}

const both = (group: string): [OutboxItem["kind"], string][] =>
  ["opened", "resolved"].flatMap((kind) =>
    (group === "on-call" ? ["Elena Duarte", "Tom Ashworth"] : ["Priya Nair", "Tom Ashworth"]).map(
      (name) => [kind, name] as [OutboxItem["kind"], string],
    ),
  );

/** The story as it should come true. */
function ideal(): Observed[] {
  const [payments, down, rush] = [phase("uk-payments"), phase("shop-down"), phase("rush")];
  const at = (ms: number, minutes: number) => ms + minutes * minuteMs;
  return [
    observed("on-call", [[uk, "down", at(payments.fromMs, 4)]], at(payments.toMs, 6), both("on-call")),
    observed(
      "on-call",
      [
        [uk, "down", at(down.fromMs, 3)],
        ["cancellations.cancelled", "down", at(down.fromMs, 15)],
      ],
      at(down.toMs, 15),
      both("on-call"),
    ),
    observed("shop-team", [[uk, "up", at(rush.fromMs, 5)]], at(rush.toMs, 5), both("shop-team")),
  ];
}

function changed(index: number, change: (was: Observed) => Observed): Observed[] {
  return ideal().map((each, at) => (at === index ? change(each) : each));
}

describe("the story as data", () => {
  test("begins when the shop goes live, has no gaps, and fits into a weekday's business hours", () => {
    expect(story[0]?.fromMs).toBe(liveFromMs);
    for (const [index, each] of story.slice(1).entries()) expect(each.fromMs).toBe(story[index]?.toMs);
    const [first, last] = [localTime(liveFromMs, shopZone), localTime((story.at(-1) as Phase).toMs, shopZone)];
    expect([first.weekday, first.minuteOfDay]).toEqual([3, 10 * 60 + 45]);
    expect(last.minuteOfDay).toBeLessThanOrEqual(17 * 60);
  });

  test("holds an outage of one country, one of everything and a rush, each followed by calm", () => {
    expect(storyEvents.map((event) => event.kind)).toEqual(["no-payments", "shop-down", "rush"]);
    for (const [index, each] of story.entries()) {
      expect(each.event === null).toBe(each.expect === null);
      if (each.event === null) continue;
      expect([each.event.fromMs, each.event.toMs]).toEqual([each.fromMs, each.toMs]);
      expect(story[index + 1]?.event).toBeNull();
    }
  });

  test("slots of five minutes are whole in every event", () => {
    for (const event of storyEvents)
      expect([event.fromMs % (5 * minuteMs), event.toMs % (5 * minuteMs)]).toEqual([0, 0]);
  });
});

describe("whether the story came true", () => {
  test("yes: everything was found, told, and told as over", () => {
    const outcome = judgeStory(story, ideal());
    expect(outcome.cameTrue).toBe(true);
    expect(outcome.facts.phases[0]).toEqual({
      name: "uk-payments",
      cameTrue: true,
      foundAfterMs: 4 * minuteMs,
      told: ["Elena Duarte", "Tom Ashworth"],
      recoveredAfterMs: 6 * minuteMs,
      toldRecovery: ["Elena Duarte", "Tom Ashworth"],
    });
    expect(outcome.lines[0]).toBe(
      "✓ Payments fail for one country: found after 4m, Elena Duarte and Tom Ashworth got a mail; " +
        "its end was seen 6m after it, Elena Duarte and Tom Ashworth heard of it",
    );
    expect(outcome.lines.at(-1)).toBe("✓ Nobody was told of anything else");
  });

  const no: [name: string, seen: Observed[], line: RegExp][] = [
    ["nothing was seen", [], /not found in time, nobody was mailed/],
    [
      "found too late",
      changed(0, (was) => ({ ...was, alerts: [{ ...was.alerts[0], firedMs: phase("uk-payments").toMs } as Alert] })),
      /not found in time/,
    ],
    [
      "one of two series was not found",
      changed(1, (was) => ({ ...was, alerts: was.alerts.slice(0, 1) })),
      /Everything stops: not found in time/,
    ],
    [
      "told to another group",
      changed(2, (was) => ({ ...was, incident: { ...was.incident, group: "on-call" } })),
      /A rush: not found/,
    ],
    [
      "the mail was not sent",
      changed(0, (was) => ({ ...was, outbox: was.outbox.map((item) => ({ ...item, state: "failed" })) })),
      /nobody was mailed/,
    ],
    [
      "one of two was not told of the end",
      changed(0, (was) => ({ ...was, outbox: was.outbox.slice(0, -1) })),
      /✗ Payments.*Elena Duarte heard of it/,
    ],
    [
      "the incident still stands",
      changed(2, (was) => ({ ...was, incident: { ...was.incident, resolvedMs: null } })),
      /its end was not seen in time/,
    ],
    [
      "it ended while the event went on",
      changed(0, (was) => ({ ...was, incident: { ...was.incident, resolvedMs: phase("uk-payments").toMs - 1 } })),
      /its end was not seen/,
    ],
    [
      "an alert in the normal hour",
      [...ideal(), observed("on-call", [[uk, "down", liveFromMs + minuteMs]], null, [])],
      /✗ Unexpected: 10:46 orders.*down: because/,
    ],
    [
      "a country that nothing happened to",
      [
        ...ideal(),
        observed("on-call", [['orders{country="Germany"}.orders', "down", phase("uk-payments").fromMs + 1]], null, []),
      ],
      /✗ Unexpected: 11:45/,
    ],
    [
      "the right series in the wrong direction",
      [...ideal(), observed("shop-team", [[uk, "up", phase("uk-payments").fromMs + 1]], null, [])],
      /✗ Unexpected/,
    ],
  ];
  for (const [name, seen, line] of no) {
    test(`no: ${name}`, () => {
      const outcome = judgeStory(story, seen);
      expect(outcome.cameTrue).toBe(false);
      expect(outcome.lines.join("\n")).toMatch(line);
    });
  }

  test("alerts that never fired, and the same movement once more within its event, are no surprise", () => {
    const more = [
      observed("shop-team", [[uk, "up", phase("rush").fromMs + 15 * minuteMs]], null, []),
      observed("shop-team", [[uk, "down", null]], null, []),
    ];
    expect(judgeStory(story, [...ideal(), ...more]).cameTrue).toBe(true);
  });
});
