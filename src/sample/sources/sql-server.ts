/** A source over a server, whatever its kind: looks at the account, asks for the plan, reads. */
import type { TimeWindow } from "../../core/model.ts";
import type { Source, SourceAnswer, SourceDeps, SourceFacts } from "../../core/ports.ts";
import { Problem } from "../../core/problem.ts";
import type { Share } from "../../core/shares.ts";
import { minuteMs, stopwatch, timedOut } from "../../core/time.ts";
import { type TimeForm, timeValue } from "./sql-bounds.ts";
import { checkedQuery } from "./sql-checked.ts";
import { type Ceilings, judgePlan, type Plan, type TimeFacts, type Verdict } from "./sql-guard.ts";
import type { Dialect } from "./sql-parse.ts";
import { cutAt, noPlace } from "./sql-problems.ts";
import type { Session, Sessions, Statement } from "./sql-sessions.ts";
import { boundQuery, type SlotBound } from "./sql-text.ts";

/** How long a plan that was let through stands for those of the next slots, and one that was refused. */
const allowedMs = 10 * minuteMs;
const refusedMs = minuteMs;

/** Verdicts that are kept. */
const verdictsMax = 20;

/** How long an account that reads only is trusted to stay so. */
const vettedMs = 60 * minuteMs;

export type ServerQuery = {
  readonly where: string;
  readonly query: string;
  readonly dialect: Exclude<Dialect, "sqlite">;
  readonly rowsMax: number;
  readonly ceilings: Ceilings;
  readonly time: TimeForm;
  readonly zone: string;
};

/** A query that may be sent, with marks in place of the slot's bounds. */
type Checked = { readonly text: string; readonly names: readonly SlotBound[]; readonly time: TimeFacts };

type Kept<T> = { readonly ageMs: () => number; readonly value: T };

/** What was found about an account, once for all samplers of its connection. */
const accounts = new WeakMap<object, Kept<readonly string[]>>();

export class ServerSource<Raw extends object> implements Source {
  readonly #asked: ServerQuery;
  readonly #deps: SourceDeps;
  readonly #share: Share<Sessions<Raw>>;
  #checked: Promise<Checked> | null = null;
  /** Length of the window, ms -> verdict: a day's plan says nothing about a minute's. */
  readonly #verdicts = new Map<number, Kept<Verdict>>();

  constructor(asked: ServerQuery, deps: SourceDeps, share: Share<Sessions<Raw>>) {
    this.#asked = asked;
    this.#deps = deps;
    this.#share = share;
  }

  async read(window: TimeWindow, signal: AbortSignal): Promise<SourceAnswer> {
    const statement = await this.#statement(window);
    // What was refused a moment ago need not take a connection to be refused again.
    this.#known(window);
    return this.#session(signal, async (session) => {
      this.#vet(await this.#excess(session));
      await this.#guard(session, statement, window);
      const elapsedMs = stopwatch();
      const { rows, rowsRead } = await session.select(statement, this.#asked.rowsMax);
      return { rows, cost: { serverMs: elapsedMs(), rowsRead } };
    });
  }

  async inspect(window: TimeWindow, signal: AbortSignal): Promise<SourceFacts> {
    const statement = await this.#statement(window);
    return this.#session(signal, async (session) => {
      const { server, clockAheadMs } = await session.about();
      const excess = await session.excess();
      const plan = await session.plan(statement);
      const verdict = await this.#judge(plan);
      const tables = new Map(plan?.scans.map(({ table, tableRows }) => [table, tableRows]));
      return {
        server: `${server} at ${this.#share.thing.dialect.place}`,
        clockAheadMs,
        tables: [...tables].map(([name, rows]) => ({ name, rows })),
        estimate: plan === null ? null : { rows: verdict.rows, cost: plan.cost },
        problems: [
          ...(excess.length === 0 ? [] : [this.#tooWide(excess)]),
          ...(verdict.refusal === null ? [] : [verdict.refusal]),
          ...verdict.warnings,
        ],
      };
    });
  }

  /** Queries under way finish first; the last source of a connection ends its sessions. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#share.giveBack();
  }

  async #session<T>(signal: AbortSignal, work: (session: Session) => Promise<T>): Promise<T> {
    const elapsedMs = stopwatch();
    const held = this.#share.another();
    let begun = false;
    try {
      return await held.thing.session(signal, (session) => {
        begun = true;
        return work(session);
      });
    } catch (thrown) {
      if (!timedOut(signal)) throw thrown;
      const { where } = this.#asked;
      throw !begun && held.thing.isFull
        ? noPlace(elapsedMs(), held.thing.connectionsMax, where)
        : cutAt(elapsedMs(), where);
    } finally {
      await held.giveBack();
    }
  }

  /** @throws Problem for a query that its parser refuses: nothing was sent then */
  async #query(): Promise<Checked> {
    const { query, dialect, where } = this.#asked;
    this.#checked ??= checkedQuery(query, dialect, where).then((parsed) => {
      return { ...boundQuery(parsed.text, dialect === "postgres" ? "numbered" : "plain"), time: parsed };
    });
    return this.#checked;
  }

  async #statement({ fromMs, toMs }: TimeWindow): Promise<Statement> {
    const { time, zone } = this.#asked;
    const { text, names } = await this.#query();
    return {
      text,
      values: names.map((name) => String(timeValue(name === "slot_start" ? fromMs : toMs, time, zone))),
    };
  }

  async #excess(session: Session): Promise<readonly string[]> {
    const { thing } = this.#share;
    const known = accounts.get(thing);
    if (known !== undefined && known.ageMs() < vettedMs) return known.value;
    const value = await session.excess();
    accounts.set(thing, { ageMs: stopwatch(), value });
    if (value.length > 0 && !this.#deps.production) {
      this.#deps.log.warn({ code: "SQL-017", excess: value }, this.#tooWide(value).message);
    }
    return value;
  }

  #vet(excess: readonly string[]): void {
    if (excess.length === 0 || !this.#deps.production) return;
    // Somebody may be mending the account just now.
    accounts.delete(this.#share.thing);
    throw this.#tooWide(excess);
  }

  #tooWide(excess: readonly string[]): Problem {
    return new Problem(`its account may do more than read: ${excess.join(", ")}`, {
      code: "SQL-017",
      where: this.#asked.where,
      fix: "give Bellwether an account of its own that has SELECT on what it reads and nothing else",
      severity: this.#deps.production ? "error" : "warning",
    });
  }

  #hidden(): Problem {
    return new Problem("its account may not see the plan, so that nothing but the time limit bounds the query", {
      code: "SQL-W13",
      where: this.#asked.where,
      fix: "grant SHOW VIEW on the views that it reads, and SELECT on the tables in them",
      severity: "warning",
    });
  }

  /** @throws Problem of a plan that was refused: now, or less than a minute ago */
  async #guard(session: Session, statement: Statement, window: TimeWindow): Promise<void> {
    if (this.#known(window) !== null) return;
    const verdict = await this.#judge(await session.plan(statement));
    this.#keep(lengthOf(window), verdict);
    if (verdict.refusal !== null) throw verdict.refusal;
  }

  /** Null: the plan has to be asked for. @throws Problem of one that was refused a moment ago */
  #known(window: TimeWindow): Verdict | null {
    const known = this.#verdicts.get(lengthOf(window));
    const freshMs = known?.value.refusal === null ? allowedMs : refusedMs;
    if (known === undefined || known.ageMs() >= freshMs) return null;
    if (known.value.refusal !== null) throw known.value.refusal;
    return known.value;
  }

  #keep(lengthMs: number, value: Verdict): void {
    if (this.#verdicts.size >= verdictsMax) this.#verdicts.clear();
    this.#verdicts.set(lengthMs, { ageMs: stopwatch(), value });
  }

  async #judge(plan: Plan | null): Promise<Verdict> {
    if (plan === null) return { rows: 0, refusal: null, warnings: [this.#hidden()] };
    const { time } = await this.#query();
    return judgePlan(plan, this.#asked.ceilings, time, this.#asked.where);
  }
}

function lengthOf({ fromMs, toMs }: TimeWindow): number {
  return toMs - fromMs;
}
