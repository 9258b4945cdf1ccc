import { expect, test } from "vitest";
import type { Desk } from "../../src/desk.ts";
import { SchedulerRole } from "../../src/role-scheduler.ts";
import { MemoryQueue } from "../../src/schedule/queues/memory.ts";
import { SimulatedClock } from "../support/clock.ts";
import { byName, every, memoryState, NotedLog, sampler, settle } from "./schedule/support.ts";

test("alerts are looked at once what was due before the start has run, whatever has become due since", async () => {
  const clock = new SimulatedClock("2026-11-20T09:00:00Z");
  await using state = await memoryState(clock);
  const log = new NotedLog();
  await using queue = new MemoryQueue({ clock, log });
  let looks = 0;
  const desk = {
    ...{
      clock,
      log,
      state,
      alerting: {
        tick: async () => {
          looks += 1;
        },
      },
    },
    settings: { catchUp: { ageMsMax: 86_400_000, slotsMax: 1_500 }, keepFactsMs: 86_400_000 },
  } as unknown as Desk;
  const startMs = clock.nowMs() - 60_000;
  await state.slots.add([{ sampler: "old", startMs, stepMs: 60_000, dueMs: clock.nowMs(), catchUp: false }]);
  const role = new SchedulerRole(desk, queue, () => 0, 1);
  const stop = new AbortController();
  const running = role.run(stop.signal);
  // Nobody runs this one's slots: there is always one that is due.
  const quick = sampler("quick", every(1_000));
  role.takeDefinitions({ samplers: byName(quick) } as Parameters<SchedulerRole["takeDefinitions"]>[0]);

  await clock.advance("20s", settle);
  expect(looks).toBe(0);
  const lease = await state.slots.lease({ sampler: "old", startMs }, "one", clock.nowMs(), clock.nowMs() + 60_000);
  await state.slots.finish({ sampler: "old", startMs }, "one", { state: "done" }, clock.nowMs());
  await clock.advance("10s", settle);
  expect(lease).not.toBeNull();
  expect(await state.slots.ready(clock.nowMs(), 10)).not.toEqual([]);
  expect(looks).toBeGreaterThan(0);
  stop.abort();
  await Promise.all(running);
});
