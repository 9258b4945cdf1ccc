/** One queue of BullMQ: the jobs of one share, or messages. Nothing here waits for a server that is away. */
import { Job as BullJob, Queue as BullQueue, type IQueueBackend } from "bullmq";
import type { Redis } from "ioredis";
import type { Priority } from "../../core/model.ts";
import type { Job } from "../../core/ports.ts";
import { messageOf } from "../../core/problem.ts";
import { systemClock } from "../../core/time.ts";

export type Taken = {
  readonly lane: Lane;
  readonly job: Job;
  /** Whom the lock belongs to. */
  readonly token: string;
  /** Why it is not to be handled any more; null: it is. */
  readonly givenUp: string | null;
  readonly bull: BullJob<Job>;
};

/** What a lane holds: the rank of its first job (lower goes first), null if none is ready; and how many wait in all. */
type Look = { readonly rank: number | null; readonly waiting: number };

const priorities: Readonly<Record<Priority, number>> = { high: 1, medium: 2, low: 3 };

/** How BullMQ's scripts write a priority and a time into the score of a sorted set; the lower bits keep the order. */
const priorityUnit = 0x1_0000_0000;
const delayUnit = 0x1000;

/** Before every id, so that none is a number, which BullMQ refuses, or the name of one of its own keys. */
const idPrefix = "j-";

type LaneDeps = {
  readonly name: string;
  readonly prefix: string;
  /** Any backend: the lane shares its connection and its settings. */
  readonly root: IQueueBackend;
  readonly client: Redis;
  readonly lockMs: number;
};

export class Lane {
  readonly name: string;
  /** The key that BullMQ puts an entry into when there is something to take, or to take later. */
  readonly marker: string;
  /** When the first delayed job is ready, as far as known; null: none. */
  dueMs: number | null = null;
  readonly #queue: BullQueue<Job>;
  readonly #backend: IQueueBackend;
  readonly #lockMs: number;

  constructor(deps: LaneDeps) {
    const { name, prefix, root, client, lockMs } = deps;
    this.name = name;
    this.#backend = root.forQueue(name);
    this.#lockMs = lockMs;
    const options = { connection: client, prefix, skipMetasUpdate: true };
    this.#queue = new BullQueue<Job>(name, options, () => this.#backend as never);
    this.marker = this.#queue.toKey("marker");
  }

  /** Ignored if the id is known. */
  async add(job: Job, delayMs: number, priority: Priority): Promise<void> {
    await this.#queue.add(job.kind, job, {
      jobId: `${idPrefix}${job.id}`,
      priority: priorities[priority],
      ...(delayMs > 0 ? { delay: Math.ceil(delayMs) } : {}),
      attempts: 1,
      // A finished job that is kept would make its id unwelcome.
      removeOnComplete: true,
      removeOnFail: true,
    });
  }

  /** The first job, locked for `token`; null if none is ready. */
  async take(token: string): Promise<Taken | null> {
    const [data, id, , dueMs] = await this.#backend.moveToActive(token);
    if (!data) {
      this.dueMs = dueMs > 0 ? dueMs : null;
      return null;
    }
    const bull = BullJob.fromJSON<Job>(this.#queue, data, id) as BullJob<Job>;
    return { lane: this, job: bull.data, token, givenUp: bull.deferredFailure ?? null, bull };
  }

  /** Whoever serves the lane may take it again at once. */
  async giveBack({ bull, token }: Taken): Promise<void> {
    await this.#backend.moveJobFromActiveToWait(bull.id as string, token);
  }

  /** Forgets the job. False if the lock was lost: somebody else has it now, or had it, or Redis forgot it. */
  async finish({ bull, token }: Taken): Promise<boolean> {
    try {
      await bull.moveToCompleted(null as never, token, false);
      return true;
    } catch (thrown) {
      if (/^(Missing (key|lock)|Lock mismatch|Job .* is not in the)/.test(messageOf(thrown))) return false;
      throw thrown;
    }
  }

  async extendLocks(jobs: readonly Taken[]): Promise<void> {
    const ids = jobs.map(({ bull }) => bull.id as string);
    const tokens = jobs.map(({ token }) => token);
    await this.#backend.extendLocks(ids, tokens, this.#lockMs);
  }

  /** Jobs whose lock has run out wait again. @returns how many there were */
  async recover(): Promise<number> {
    return (await this.#backend.moveStalledJobsToWait()).length;
  }

  /** BullMQ keeps a log of each queue, 10,000 entries long if nobody says otherwise. */
  async limitEvents(entriesMax: number): Promise<void> {
    await this.#backend.setQueueMeta({ "opts.maxLenEvents": entriesMax });
  }

  /** For {@link look}. */
  get keys(): { readonly wait: string; readonly prioritized: string; readonly delayed: string } {
    const key = (name: string): string => this.#queue.toKey(name);
    return { wait: key("wait"), prioritized: key("prioritized"), delayed: key("delayed") };
  }
}

/** Looks into several lanes in one request, and notes when their delayed jobs are ready. */
export async function look(client: Redis, lanes: readonly Lane[]): Promise<Look[]> {
  const pipeline = client.pipeline();
  for (const { keys } of lanes) {
    pipeline.llen(keys.wait).zcard(keys.prioritized).zcard(keys.delayed);
    pipeline.zrange(keys.prioritized, "0", "0", "WITHSCORES").zrange(keys.delayed, "0", "0", "WITHSCORES");
  }
  const answers = ((await pipeline.exec()) ?? []).map(([error, answer]) => {
    if (error !== null) throw error;
    return answer;
  });
  const nowMs = systemClock.nowMs();
  return lanes.map((lane, index) => {
    const [wait, prioritized, delayed, first, soonest] = answers.slice(index * 5, index * 5 + 5) as [
      number,
      number,
      number,
      string[],
      string[],
    ];
    lane.dueMs = soonest[1] === undefined ? null : Number(soonest[1]) / delayUnit;
    const isDue = lane.dueMs !== null && lane.dueMs <= nowMs;
    // Jobs that were given back, or were lost by a dead worker, stand before all others; of delayed ones the priority
    // shows only when they are taken.
    const isUrgent = wait > 0 || isDue;
    const rank = first[1] === undefined ? null : Math.floor(Number(first[1]) / priorityUnit);
    return { rank: isUrgent ? 0 : rank, waiting: wait + prioritized + delayed };
  });
}
