/**
 * Processor time of this process that a run takes, in ms: the least of five, since what else the machine does can only
 * add to it. For ratios of two costs (what eight times the input costs), never to be compared with a number of ms.
 */
export async function costOf(run: () => unknown): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 5; round += 1) {
    const before = process.cpuUsage();
    await run();
    const { user, system } = process.cpuUsage(before);
    least = Math.min(least, (user + system) / 1_000);
  }
  return least;
}

/** How many times as much a run on an input eight times as large costs: 8 where cost is linear, 64 where it is quadratic. */
export async function growthOf(run: (size: number) => unknown, size: number): Promise<number> {
  const small = await costOf(() => run(size));
  return (await costOf(() => run(8 * size))) / small;
}

/** Between linear and quadratic, with room for caches that are too small for the larger input. */
export const nearlyLinear = 24;
