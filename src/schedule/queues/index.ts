import { BullmqQueue, type BullmqQueueOptions } from "./bullmq.ts";
import { MemoryQueue, type MemoryQueueOptions } from "./memory.ts";

export { checkRedis } from "./bullmq.ts";

/** Kind of queue -> how it is made. */
export const queues = {
  memory: (options: MemoryQueueOptions): MemoryQueue => new MemoryQueue(options),
  bullmq: (options: BullmqQueueOptions): BullmqQueue => new BullmqQueue(options),
} as const;
