import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Row, TimeWindow } from "../../src/core/model.ts";
import type { Source } from "../../src/core/ports.ts";
import { Problem } from "../../src/core/problem.ts";
import { deadline } from "../../src/core/time.ts";

/** What every source is seeded with: two invoices in the first minute, one at its very end, one in the third. */
export const invoices = [
  { invoiced_at: "2026-11-20T09:00:00Z", country: "Germany", amount: 10.5 },
  { invoiced_at: "2026-11-20T09:00:59Z", country: "Germany", amount: 2.25 },
  { invoiced_at: "2026-11-20T09:01:00Z", country: "France", amount: 7 },
  { invoiced_at: "2026-11-20T09:02:30Z", country: "Germany", amount: 1 },
] as const;

const minute = (time: string): TimeWindow => {
  const fromMs = Date.parse(`2026-11-20T${time}:00Z`);
  return { fromMs, toMs: fromMs + 60_000 };
};

export type SourceCase = {
  name: string;
  /** Seeds the table and gets ready. */
  setUp(): Promise<void>;
  tearDown(): Promise<void>;
  /** Orders and amount by country in the window, ordered by country; at most `rowsMax` rows. */
  byCountry(rowsMax?: number): Source;
  /** Reads something that is not there. */
  unknownTable(): Source;
  /** Never answers by itself. */
  hanging(): Source;
  /** Where the data lies cannot be reached. */
  unreachable(): Source;
  /** Whether anything is working on a read right now, as the system it works on tells. */
  isWorking(): Promise<boolean>;
  /** Whether rows that were gone through are counted. Default false. */
  countsRows?: boolean;
  /** Codes of Problems where they are not those of `sql`. */
  codes?: Partial<Record<keyof typeof sqlCodes, string>>;
};

const sqlCodes = { tooMany: "SQL-007", cut: "SQL-008", unknown: "SQL-013", unreachable: "SQL-015" } as const;

const never = new AbortController().signal;

/** What every source promises, whatever its kind. */
export function sourceContract(subject: SourceCase): void {
  const codes = { ...sqlCodes, ...subject.codes };
  describe(`source contract: ${subject.name}`, () => {
    beforeAll(() => subject.setUp());
    afterAll(() => subject.tearDown());

    const read = async (source: Source, window: TimeWindow, signal = never): Promise<readonly Row[]> => {
      await using held = source;
      return (await held.read(window, signal)).rows;
    };
    const problemOf = async (work: Promise<unknown>): Promise<Problem> => {
      const thrown = await work.then(
        () => undefined,
        (reason: unknown) => reason,
      );
      expect(thrown).toBeInstanceOf(Problem);
      return thrown as Problem;
    };

    test("a window holds its start and not its end", async () => {
      expect(await read(subject.byCountry(), minute("09:00"))).toEqual([
        { country: "Germany", orders: 2, amount: 12.75 },
      ]);
      expect(await read(subject.byCountry(), minute("09:01"))).toEqual([{ country: "France", orders: 1, amount: 7 }]);
    });

    test("a window without rows is an empty answer", async () => {
      expect(await read(subject.byCountry(), minute("08:00"))).toEqual([]);
    });

    test("reading the same window again gives the same rows", async () => {
      await using source = subject.byCountry();
      const first = (await source.read(minute("09:02"), never)).rows;
      expect((await source.read(minute("09:02"), never)).rows).toEqual(first);
    });

    test("reads at the same time do not mix", async () => {
      await using source = subject.byCountry();
      const answers = await Promise.all(
        ["09:00", "09:01", "09:02", "08:00"].map((time) => source.read(minute(time), never)),
      );
      expect(answers.map(({ rows }) => rows.map((row) => row.orders))).toEqual([[2], [1], [1], []]);
    });

    test("one row more than allowed is a Problem, not a cut", async () => {
      const hour = { fromMs: minute("09:00").fromMs, toMs: minute("09:59").toMs };
      expect(await read(subject.byCountry(2), hour)).toHaveLength(2);
      const problem = await problemOf(read(subject.byCountry(1), hour));
      expect(problem).toMatchObject({ code: codes.tooMany, retryable: false });
    });

    test("what is not there is a Problem that names it, and is not worth retrying", async () => {
      const problem = await problemOf(read(subject.unknownTable(), minute("09:00")));
      expect(problem).toMatchObject({ code: codes.unknown, retryable: false });
      expect(problem.message).toContain("nothing_here");
    });

    test("what cannot be reached is a Problem worth retrying", async () => {
      expect(await problemOf(read(subject.unreachable(), minute("09:00")))).toMatchObject({
        code: codes.unreachable,
        retryable: true,
      });
    });

    test("a read past its deadline is cut, is worth retrying, and its work ends", async () => {
      await using source = subject.hanging();
      const reading = problemOf(source.read(minute("09:00"), deadline(700)));
      await expect.poll(() => subject.isWorking(), { timeout: 5_000 }).toBe(true);
      expect(await reading).toMatchObject({ code: codes.cut, retryable: true });
      await expect.poll(() => subject.isWorking(), { timeout: 5_000 }).toBe(false);
    });

    test("an aborted read throws the signal's reason, its work ends, and the next read works", async () => {
      await using source = subject.hanging();
      const stopping = new AbortController();
      const reading = source.read(minute("09:00"), stopping.signal).catch((reason: unknown) => reason);
      await expect.poll(() => subject.isWorking(), { timeout: 5_000 }).toBe(true);
      const reason = new Error("stopping");
      stopping.abort(reason);
      expect(await reading).toBe(reason);
      await expect.poll(() => subject.isWorking(), { timeout: 5_000 }).toBe(false);
      expect(await read(subject.byCountry(), minute("09:01"))).toHaveLength(1);
    });

    test("what a read took is told", async () => {
      await using source = subject.byCountry();
      const { cost } = await source.read(minute("09:00"), never);
      expect(cost.serverMs).toBeGreaterThan(0);
      expect(cost.serverMs).toBeLessThan(10_000);
      if (subject.countsRows === true) expect(cost.rowsRead).toBeGreaterThanOrEqual(2);
      else expect(cost.rowsRead).toBeNull();
    });

    test("what answers is told, without a read, and nothing is wrong with it", async () => {
      await using source = subject.byCountry();
      const facts = await source.inspect(minute("09:00"), never);
      expect(facts.server).toMatch(/^\S.* at \S+$/);
      expect(facts.problems).toEqual([]);
      expect(facts.tables.map(({ name }) => name)).toEqual([expect.stringMatching(/invoices$/)]);
      expect(Math.abs(facts.clockAheadMs ?? 0)).toBeLessThan(5_000);
    });

    test("what cannot be reached cannot be asked about itself either", async () => {
      await using source = subject.unreachable();
      expect(await problemOf(source.inspect(minute("09:00"), never))).toMatchObject({
        code: codes.unreachable,
        retryable: true,
      });
    });

    test("a signal that has aborted already asks nobody", async () => {
      const reason = new Error("too late");
      await expect(read(subject.byCountry(), minute("09:00"), AbortSignal.abort(reason))).rejects.toBe(reason);
    });
  });
}
