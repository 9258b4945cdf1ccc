/** Who holds which share of the samplers, seen from outside: the leases' table is looked at four times a second. */
import { setTimeout as sleep } from "node:timers/promises";
import { Client } from "pg";
import { shareOf } from "../../src/schedule/share.ts";

const lookMs = 250;

/** From then on a process had the share. The owner's name holds its process number. */
type Holding = { readonly owner: string; readonly sinceMs: number };

export type Move = {
  /** Shares that the killed process had. */
  readonly shares: number;
  /** Until the last of them had another living owner; null: never, as far as was looked. */
  readonly tookMs: number | null;
};

export class ShareWatch {
  readonly #url: string;
  readonly #holdings = new Map<string, Holding[]>();
  readonly #stopping = new AbortController();
  /** Times between two looks that were much longer than they should be. */
  readonly #gaps: { readonly fromMs: number; readonly toMs: number }[] = [];

  constructor(url: string) {
    this.#url = url;
  }

  async begin(): Promise<void> {
    const client = new Client({ connectionString: this.#url });
    client.on("error", () => {});
    await client.connect();
    void this.#run(client);
  }

  end(): void {
    this.#stopping.abort();
  }

  /** The longest time between two looks within that time, ms: what is measured is not more exact. */
  gapMs(fromMs: number, toMs: number): number {
    const those = this.#gaps.filter((gap) => gap.fromMs < toMs && gap.toMs > fromMs);
    return Math.max(2 * lookMs, ...those.map((gap) => gap.toMs - gap.fromMs));
  }

  /** @param pid of a worker that was killed at that moment */
  moveAfter(pid: number, atMs: number): Move {
    const lost = [...this.#holdings.values()].filter((one) => pidOf(at(one, atMs)?.owner ?? "") === pid);
    const taken = lost.map((one) => one.find(({ owner, sinceMs }) => sinceMs > atMs && pidOf(owner) !== pid));
    const took = taken.map((one) => (one === undefined ? null : one.sinceMs - atMs));
    const last = took.reduce(
      (most: number | null, one) => (most === null || one === null ? null : Math.max(most, one)),
      0,
    );
    return { shares: lost.length, tookMs: last };
  }

  /** The process that had a sampler's share at that moment; null: none. */
  holderOf(sampler: string, atMs: number): number | null {
    const name = `share-${String(shareOf(sampler)).padStart(2, "0")}`;
    const holding = at(this.#holdings.get(name) ?? [], atMs);
    return holding === undefined ? null : pidOf(holding.owner);
  }

  async #run(client: Client): Promise<void> {
    let lookedMs = Date.now();
    while (!this.#stopping.signal.aborted) {
      const { rows } = await client
        .query("select name, owner, until_ms::float8 as until_ms from leases where name like 'share-%'")
        .catch(() => ({ rows: [] }));
      const nowMs = Date.now();
      if (nowMs - lookedMs > 2 * lookMs) this.#gaps.push({ fromMs: lookedMs, toMs: nowMs });
      lookedMs = nowMs;
      for (const { name, owner, until_ms } of rows) if (until_ms > nowMs) this.#note(name, owner, nowMs);
      await sleep(lookMs, undefined, { signal: this.#stopping.signal }).catch(() => {});
    }
    await client.end().catch(() => {});
  }

  #note(name: string, owner: string, nowMs: number): void {
    const those = this.#holdings.get(name) ?? [];
    if (those.at(-1)?.owner !== owner) those.push({ owner, sinceMs: nowMs });
    this.#holdings.set(name, those);
  }
}

function at(holdings: readonly Holding[], atMs: number): Holding | undefined {
  return holdings.findLast(({ sinceMs }) => sinceMs <= atMs);
}

/** `machine-PID-unique`, where machines' names may hold dashes. */
export function pidOf(owner: string): number {
  return Number(owner.split("-").at(-2));
}
