/**
 * Which shares of all samplers this process works on. A share is a lease in SQL: one worker has it at a time, renews it
 * while it lives, and keeps the history of the share's series in memory. A dead worker's shares run out and are taken by
 * the others; a new worker is made room for.
 */
import { counter, gauge } from "../core/measure.ts";
import type { Clock, Log, Measure, Measured } from "../core/ports.ts";
import { shareCount } from "../core/ports.ts";
import { messageOf } from "../core/problem.ts";
import { secondMs } from "../core/time.ts";
import { within } from "../core/within.ts";
import type { Leases } from "../state/leases.ts";

/** How long a lease holds without being renewed, and how often it is; a dead worker's share moves within the sum. */
const leaseMs = 10 * secondMs;
const lookMs = 2 * secondMs;
/** A lease that could not be renewed is given up so long before it runs out for the others: clocks differ a little. */
const marginMs = 2 * secondMs;
/** A look that takes longer is given up for another, which has its time before the leases run out. */
const lookMsMax = 4 * secondMs;
/** How long one look waits for what was stored to arrive, and after how long others know of a copy that is behind. */
const arrivalMs = secondMs;
const toldBehindMs = 15 * secondMs;

export type ShareKeeperDeps = {
  readonly clock: Clock;
  readonly leases: Pick<Leases, "take" | "renew" | "release" | "list">;
  /** Names this worker; different for each process. */
  readonly owner: string;
  /** Workers that live, this one included. */
  readonly workers: () => Promise<number>;
  readonly log: Log;
  /** What has changed in {@link ShareKeeper.held}. Called before a lost share can be anybody else's. */
  readonly onChange: (gained: readonly number[], lost: readonly number[]) => void;
  /** Shares of which a slot is being run; they are given away when it has ended. */
  readonly busy: () => ReadonlySet<number>;
  /**
   * Waits until others can read all that was stored here before the call, at most so long; false: they cannot yet. Who
   * takes a share reads what its last slot left, and would judge on without it.
   */
  readonly arrived: (timeoutMs: number) => Promise<boolean>;
};

export class ShareKeeper implements Measured {
  readonly #deps: ShareKeeperDeps;
  /** Shares that are worked on, to the end of their leases. */
  readonly #held = new Map<number, number>();
  /** No longer worked on since a time, and given away once nothing runs there and others can read what did. */
  readonly #leaving = new Map<number, number>();
  /** Counts looks: one that was given up changes nothing when it answers after all. */
  #looks = 0;
  #moves = 0;
  #faults = 0;

  constructor(deps: ShareKeeperDeps) {
    this.#deps = deps;
  }

  /** Shares that are worked on now. */
  held(): ReadonlySet<number> {
    return new Set([...this.#held.keys()].filter((share) => this.holds(share)));
  }

  /** By the clock, too: a process that was paused, or a renewal that hangs, must not outlive the lease. */
  holds(share: number): boolean {
    return (this.#held.get(share) ?? 0) - marginMs > this.#deps.clock.nowMs();
  }

  /** Takes and renews until the signal aborts. What is held then, {@link release} gives back. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#deps;
    while (!signal.aborted) {
      const startedMs = clock.nowMs();
      try {
        await within(clock, lookMsMax, "the leases of shares", this.#look());
      } catch (thrown) {
        this.#faults += 1;
        this.#giveUpExpiring();
        log.warn({ err: thrown }, `cannot renew the shares of this worker: ${messageOf(thrown)}`);
      }
      // After a look that was given up there is no time to lose.
      const restMs = Math.min(lookMs, Math.max(0, startedMs + lookMs - clock.nowMs()));
      await clock.sleep(restMs, signal).catch(() => {});
    }
  }

  /**
   * Lets others go on, as soon as they can read what the last slots left. After these have ended.
   * @param waitMs how long that may take; others have the shares after it all the same
   */
  async release(waitMs: number): Promise<void> {
    const names = this.#leases();
    this.#looks += 1;
    this.#held.clear();
    this.#leaving.clear();
    if (names.length === 0) return;
    await this.#deps.arrived(waitMs);
    await this.#deps.leases.release(names, this.#deps.owner);
  }

  measures(): Measure[] {
    return [
      gauge("shares_held", "Shares of the samplers that this worker runs.", this.held().size),
      gauge("shares_max", "Shares there are.", shareCount),
      counter("shares_moved", "Shares taken or given away by this worker.", this.#moves),
      counter("shares_faults", "Looks at the leases of shares that failed.", this.#faults),
    ];
  }

  async #look(): Promise<void> {
    const look = ++this.#looks;
    await this.#renew(look);
    await this.#giveAway(look);
    const { leases, owner, clock, workers } = this.#deps;
    const nowMs = clock.nowMs();
    const rows = await leases.list(leasePrefix);
    const count = Math.max(1, await workers());
    if (this.#isGivenUp(look)) return;
    const others = rows.filter((row) => row.owner !== null && row.owner !== owner && row.untilMs > nowMs);
    const taken = new Set(others.map((row) => shareOfLease(row.name)));
    const { take, leave } = dealShares(new Set(this.#held.keys()), taken, count, owner);
    if (leave.length > 0) this.#lose(leave, true);
    const free = take.filter((share) => !this.#leaving.has(share));
    if (free.length === 0) return;
    const untilMs = nowMs + leaseMs;
    const won = await leases.take(free.map(leaseName), owner, nowMs, untilMs);
    if (!this.#isGivenUp(look)) this.#gain(won.map(shareOfLease), untilMs);
  }

  #leases(): string[] {
    return [...this.#held.keys(), ...this.#leaving.keys()].map(leaseName);
  }

  #isGivenUp(look: number): boolean {
    return look !== this.#looks;
  }

  async #renew(look: number): Promise<void> {
    const { leases, owner, clock } = this.#deps;
    const names = this.#leases();
    if (names.length === 0) return;
    const untilMs = clock.nowMs() + leaseMs;
    const kept = new Set((await leases.renew(names, owner, untilMs)).map(shareOfLease));
    if (this.#isGivenUp(look)) return;
    for (const share of this.#leaving.keys()) if (!kept.has(share)) this.#leaving.delete(share);
    const lost = [...this.#held.keys()].filter((share) => !kept.has(share));
    for (const share of kept) if (this.#held.has(share)) this.#held.set(share, untilMs);
    if (lost.length > 0) this.#lose(lost, false);
  }

  async #giveAway(look: number): Promise<void> {
    const { busy, arrived, clock, leases, owner } = this.#deps;
    const running = busy();
    const idle = [...this.#leaving].filter(([share]) => !running.has(share));
    if (idle.length === 0 || this.#isGivenUp(look)) return;
    const knownMs = (await arrived(arrivalMs)) ? Number.POSITIVE_INFINITY : clock.nowMs() - toldBehindMs;
    const free = idle.filter(([, sinceMs]) => sinceMs <= knownMs).map(([share]) => share);
    if (free.length === 0 || this.#isGivenUp(look)) return;
    await leases.release(free.map(leaseName), owner);
    if (!this.#isGivenUp(look)) for (const share of free) this.#leaving.delete(share);
  }

  /** The database does not answer: before others may take a share, it is no longer worked on here. */
  #giveUpExpiring(): void {
    const lost = [...this.#held.keys()].filter((share) => !this.holds(share));
    if (lost.length > 0) this.#lose(lost, false);
  }

  #gain(shares: readonly number[], untilMs: number): void {
    if (shares.length === 0) return;
    for (const share of shares) this.#held.set(share, untilMs);
    this.#moves += shares.length;
    this.#deps.log.info({ shares: this.#held.size }, `this worker took ${shares.length} shares of the samplers`);
    this.#deps.onChange(shares, []);
  }

  #lose(shares: readonly number[], willingly: boolean): void {
    for (const share of shares) {
      this.#held.delete(share);
      if (willingly) this.#leaving.set(share, this.#deps.clock.nowMs());
    }
    this.#moves += shares.length;
    const how = willingly ? "makes room for others: it leaves" : "has lost";
    this.#deps.log.info({ shares: this.#held.size }, `this worker ${how} ${shares.length} shares of the samplers`);
    this.#deps.onChange([], shares);
  }
}

/**
 * What one worker should take or leave so that all have about the same number. Pure.
 * @param taken shares of other workers
 * @param owner decides where the search for free ones begins, so that two workers seldom want the same
 */
export function dealShares(
  held: ReadonlySet<number>,
  taken: ReadonlySet<number>,
  workers: number,
  owner: string,
): { readonly take: readonly number[]; readonly leave: readonly number[] } {
  const fair = Math.ceil(shareCount / workers);
  if (held.size > fair) return { take: [], leave: [...held].sort((a, b) => a - b).slice(fair) };
  const start = [...owner].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % shareCount, 0);
  const all = Array.from({ length: shareCount }, (_, index) => (start + index) % shareCount);
  const free = all.filter((share) => !held.has(share) && !taken.has(share));
  return { take: free.slice(0, fair - held.size), leave: [] };
}

const leasePrefix = "share-";

function leaseName(share: number): string {
  return `${leasePrefix}${String(share).padStart(2, "0")}`;
}

function shareOfLease(name: string): number {
  return Number(name.slice(leasePrefix.length));
}
