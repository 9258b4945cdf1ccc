import { describe, expect, test } from "vitest";
import { storedRows } from "../../src/backtest.ts";
import { contributionText } from "../../src/core/contribution.ts";
import type { Verdict } from "../../src/core/model.ts";
import type { TimeSeriesStore } from "../../src/core/ports.ts";
import { verdictPoint } from "../../src/judge/stored.ts";
import { stores } from "../../src/store/stores/index.ts";
import { explainTotals } from "../../src/totals.ts";
import { SimulatedClock } from "../support/clock.ts";
import { minuteMs, sampler, verdict } from "./alert/builders.ts";
import { quiet } from "./alert/world.ts";
import { judgingOf } from "./judge/support.ts";

const clock = new SimulatedClock("2026-11-20T09:00:00Z");
const nowMs = clock.nowMs();
const orders = sampler({ point: { measurement: "orders", tags: ["country"], fields: ["orders"], total: ["orders"] } });
const openStore = () => stores.sqlite.create({ file: ":memory:" }, { clock, log: quiet });

/** A slot so many minutes ago: what each was, where 100 were expected of the total and 50 of each country. */
const slot = (minutesAgo: number, germany: number, france: number, level: "critical" | "normal" = "critical") => {
  const at = { timeMs: nowMs - minutesAgo * minuteMs, sinceMs: nowMs - 9 * minuteMs };
  return [
    verdict({ ...at, level, tags: {}, observed: germany + france, expected: 100 }),
    verdict({ ...at, level: "normal", country: "Germany", observed: germany, expected: 50, sinceMs: null }),
    verdict({ ...at, level: "normal", country: "France", observed: france, expected: 50, sinceMs: null }),
  ];
};
const said = async (store: Pick<TimeSeriesStore, "read"> | undefined, verdicts = slot(0, 45, 40)) => {
  const found = await explainTotals({ store, log: quiet }, orders, verdicts);
  return [...found].map(([series, contribution]) => `${series}: ${contributionText(contribution)}`);
};
/** Nine minutes in which Germany lost nearly all, after an hour in which France did. */
const past = [
  ...Array.from({ length: 60 }, (_, index) => slot(10 + index, 50, 0)),
  ...Array.from({ length: 9 }, (_, index) => slot(1 + index, 2, 50)),
].flat();

describe("what explains a total", () => {
  test("is found in all slots since it is bad, and in none before", async () => {
    await using store = openStore();
    await store.write(past.map((one) => verdictPoint(one)));
    expect(await said(store)).toEqual(["orders.orders: Germany explains 98 % of the drop"]);
  });

  test("is found in the slot alone where no others can be read, or only from a copy that is behind", async () => {
    await using store = openStore();
    await store.write(past.map((one) => verdictPoint(one)));
    const alone = ["orders.orders: spread over all 2 countries"];
    expect(await said(undefined)).toEqual(alone);
    expect(await said({ read: () => Promise.reject(new Error("away")) })).toEqual(alone);
    expect(await said({ read: async (query) => ({ ...(await store.read(query)), stale: true }) })).toEqual(alone);
  });

  test("is not asked for where the total is as expected, nobody is told, or there is none", async () => {
    const read = () => Promise.reject(new Error("nobody should ask"));
    expect(await said({ read }, slot(0, 50, 50, "normal"))).toEqual([]);
    expect(await explainTotals({ store: { read } }, { ...orders, alerts: false }, slot(0, 0, 0))).toEqual(new Map());
    expect(await explainTotals({ store: { read } }, sampler(), slot(0, 0, 0))).toEqual(new Map());
  });

  test("reads no more than so many slots, and values", async () => {
    const windows: number[] = [];
    const store = {
      read: async ({ windows: [asked] }: { windows: readonly { fromMs: number; toMs: number }[] }) => {
        windows.push(((asked?.toMs ?? 0) - (asked?.fromMs ?? 0)) / minuteMs);
        return { series: [], stale: false };
      },
    };
    const long = (count: number) => {
      const at = { timeMs: nowMs, level: "critical" as const, sinceMs: nowMs - 5_000 * minuteMs };
      const series = Array.from({ length: count - 1 }, (_, index) => verdict({ ...at, country: `c${index}` }));
      return [verdict({ ...at, tags: {} }), ...series];
    };
    await said(store, long(3));
    await said(store, long(1_000));
    expect(windows).toEqual([360, 100]);
  });
});

describe("what explains the total of a ratio", () => {
  const ratiosOf = (denominator: string) => {
    const point = { measurement: "orders", tags: ["country"], fields: ["orders", denominator], total: ["orders"] };
    return sampler({ point, judge: { orders: judgingOf({ kind: "ratio", denominator }) } });
  };
  /** The same share is lost in both countries' own terms, but 9 of 10 were tried in Germany. */
  const minute = (ago: number, germany: number, france: number) => {
    const at = { timeMs: nowMs - ago * minuteMs, sinceMs: nowMs - 9 * minuteMs, expected: 0.9 };
    const of = (tags: Record<string, string>, observed: number, tried: number) =>
      verdict({ ...at, tags, observed, trials: { slot: tried, summed: tried }, level: "critical" });
    const both = (90 * germany + 10 * france) / 100;
    return [of({}, both, 100), of({ country: "Germany" }, germany, 90), of({ country: "France" }, france, 10)];
  };
  const found = async (
    store: Pick<TimeSeriesStore, "read"> | undefined,
    verdicts: readonly Verdict[],
    denominator = "tried",
  ) => {
    const [contribution] = (await explainTotals({ store, log: quiet }, ratiosOf(denominator), verdicts)).values();
    return contribution === undefined ? null : contributionText(contribution);
  };

  test("is what came of what was tried, not the share", async () => {
    expect(await found(undefined, minute(0, 0.9, 0.2))).toBe("France explains all of the drop");
    expect(await found(undefined, minute(0, 0.5, 0.5))).toBe("spread over all 2 countries");
    expect(await found(undefined, minute(0, 0.6, 0.9))).toBe("Germany explains all of the drop");
  });

  test.each(["tried", "expected", "observed"])("is found in all slots since it is bad, with %s of each", async (of) => {
    await using store = openStore();
    const past = Array.from({ length: 9 }, (_, index) => minute(1 + index, 0.9, 0)).flat();
    await store.write(past.map((one) => verdictPoint(one)));
    const tried = past.map(({ series, timeMs, trials }) => {
      return { measurement: "orders", tags: series.tags, fields: { [of]: trials?.slot as number }, timeMs };
    });
    // In this slot alone it is Germany.
    const now = minute(0, 0.8, 0.9);
    expect(await found(store, now, of)).toBe("Germany explains all of the drop");
    await store.write(tried);
    expect(await found(store, now, of)).toBe("France explains 90 % of the drop");
  });
});

test("a backtest over stored series makes totals again, and takes none for a row", async () => {
  await using store = openStore();
  const points = [{ country: "Germany" }, { country: "France" }, {}].map((tags, index) => {
    return { measurement: "orders", tags, fields: { orders: index + 1 }, timeMs: nowMs };
  });
  await store.write(points as Parameters<typeof store.write>[0]);
  const window = { fromMs: nowMs, toMs: nowMs + minuteMs };
  const { rows } = await storedRows(store, nowMs).run(orders, window, new AbortController().signal);
  expect(rows.map(({ country }) => country).sort()).toEqual(["France", "Germany"]);
});
