import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Message } from "../../src/core/model.ts";
import type { Notifier } from "../../src/core/ports.ts";
import { Problem } from "../../src/core/problem.ts";

/** A message as it arrived at the far end. */
export type Received = { readonly id: string; readonly subject: string; readonly text: string };

export type NotifierCase = {
  name: string;
  setUp(): Promise<void>;
  tearDown(): Promise<void>;
  /** Forgets what arrived and takes messages again. */
  reset(): Promise<void>;
  open(): Notifier;
  /** An address at the far end. */
  to(): string;
  /** An address that cannot be one. */
  badTo: string;
  /** What arrived, one for each message that its reader sees. */
  received(): Promise<Received[]>;
  /** Nothing answers at the far end. */
  unreachable(): { notifier: Notifier; to: string };
  /** The far end refuses, for now or for good; null where nothing can. */
  refuse: ((how: "now" | "for good") => Promise<void>) | null;
  /** The far end takes everything and never answers; null where nothing can. */
  hang: (() => Promise<void>) | null;
};

const never = new AbortController().signal;

export function message(to: string, fields: Partial<Message> = {}): Message {
  return {
    id: "note-1",
    to,
    kind: "opened",
    severity: "critical",
    subject: "[critical] Orders placed (España): 3 instead of about 21",
    text: "Orders placed: orders is 3 – zu wenig.\n",
    html: '<p>Orders placed: <b>3</b></p><img src="cid:chart">',
    facts: { incident: { id: "incident-1" } },
    ...fields,
  };
}

/** What every notifier promises. */
export function notifierContract(subject: NotifierCase): void {
  describe(`notifier contract: ${subject.name}`, () => {
    beforeAll(() => subject.setUp());
    afterAll(() => subject.tearDown());
    beforeEach(() => subject.reset());

    const send = async (messages: Message[], notifier = subject.open(), signal = never) => {
      await using held = notifier;
      return await Promise.all(messages.map((each) => held.send(each, signal)));
    };
    const problemOf = async (work: Promise<unknown>): Promise<Problem> => {
      const thrown = await work.then(
        () => undefined,
        (reason: unknown) => reason,
      );
      expect(thrown).toBeInstanceOf(Problem);
      return thrown as Problem;
    };

    test("a message arrives whole, and the receipt says so without the recipient's address", async () => {
      const sent = message(subject.to());
      const [receipt] = await send([sent]);
      const [received] = await subject.received();
      expect(received?.subject).toBe(sent.subject);
      expect(received?.text).toContain("orders is 3 – zu wenig.");
      expect(receipt?.id).not.toBe("");
      expect(receipt?.detail).not.toContain(subject.to());
    });

    test("the id travels with the message; sent again, an idempotent notifier gives no second one", async () => {
      await send([message(subject.to())]);
      await send([message(subject.to(), { subject: "again" })]);
      const received = await subject.received();
      expect(new Set(received.map(({ id }) => id))).toEqual(new Set(["note-1"]));
      expect(received).toHaveLength(subject.open().idempotent ? 1 : 2);
    });

    test("twenty at once all arrive", async () => {
      const messages = Array.from({ length: 20 }, (_, index) => message(subject.to(), { id: `many-${index}` }));
      await send(messages);
      expect((await subject.received()).map(({ id }) => id).sort()).toEqual(messages.map(({ id }) => id).sort());
    });

    test("a signal that has aborted sends nothing", async () => {
      await expect(send([message(subject.to())], subject.open(), AbortSignal.abort())).rejects.toThrow();
      expect(await subject.received()).toEqual([]);
    });

    test("an address that is none is refused for good, and not repeated in the error", async () => {
      const problem = await problemOf(send([message(subject.badTo)]));
      expect(problem.retryable).toBe(false);
      expect(problem.message).not.toContain(subject.badTo);
      expect(await subject.received()).toEqual([]);
    });

    test("a far end that is not there may be there later; nothing has arrived", async () => {
      const { notifier, to } = subject.unreachable();
      const problem = await problemOf(send([message(to)], notifier));
      expect(problem).toMatchObject({ retryable: true, uncertain: false });
    });

    // A folder neither refuses nor hangs: there is nothing to test, which is not a test skipped.
    const { refuse, hang } = subject;
    const testIf = (can: unknown, name: string, run: () => Promise<void>) =>
      can === null ? undefined : test(name, run);

    testIf(refuse, "refused for now may be tried again, refused for good may not", async () => {
      await refuse?.("now");
      expect(await problemOf(send([message(subject.to())]))).toMatchObject({ retryable: true, uncertain: false });
      await refuse?.("for good");
      const problem = await problemOf(send([message(subject.to())]));
      expect(problem.retryable).toBe(false);
      expect(problem.message).not.toContain(subject.to());
    });

    testIf(hang, "a far end that never answers ends in time, and may have taken it", async () => {
      await hang?.();
      const startMs = performance.now();
      const problem = await problemOf(send([message(subject.to())]));
      expect(performance.now() - startMs).toBeLessThan(5_000);
      expect(problem).toMatchObject({ retryable: true, uncertain: true });
    });
  });
}
