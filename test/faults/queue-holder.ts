/** A process that takes one job and loses it: `node queue-holder.ts URL PREFIX SHARE wait|block`. */
import { queues } from "../../src/schedule/queues/index.ts";
import { NotedLog } from "../unit/schedule/support.ts";

const [url = "", prefix = "", share = "", how = ""] = process.argv.slice(2);
const queue = queues.bullmq({ url, prefix, log: new NotedLog(), drainMs: 0 });
queue.work("sample", 1, async (job) => {
  process.stdout.write(`${job.id}\n`);
  if (how === "wait") return new Promise(() => {});
  const untilMs = performance.now() + 20_000;
  while (performance.now() < untilMs);
});
queue.serve(new Set([Number(share)]));
