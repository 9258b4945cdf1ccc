import type { Queue } from "../../core/ports.ts";
import { MemoryQueue, type MemoryQueueOptions } from "./memory.ts";

/** Kind of queue -> how it is made. */
export const queues = {
  memory: (options: MemoryQueueOptions): Queue => new MemoryQueue(options),
} as const;
