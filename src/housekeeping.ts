/** What has to be done now and then: forgetting what is older than it is kept for. */
import type { Clock, Log, TimeSeriesStore } from "./core/ports.ts";
import { messageOf } from "./core/problem.ts";
import { hourMs } from "./core/time.ts";
import type { Mailbox } from "./notify/mailbox.ts";
import type { Settings } from "./settings.ts";
import type { State } from "./state/database.ts";

type House = {
  readonly settings: Pick<Settings, "keepPointsMs" | "keepFactsMs">;
  readonly clock: Clock;
  readonly log: Log;
  readonly store: TimeSeriesStore;
  readonly state: State;
  readonly mailbox: Pick<Mailbox, "expire">;
};

/** Once an hour until the signal aborts: points, finished slots, closed alerts and mails beyond their time go. */
export function keepHouse({ settings, clock, log, store, state, mailbox }: House, signal: AbortSignal): Promise<void> {
  return every(hourMs, clock, signal, log, "housekeeping", async () => {
    const nowMs = clock.nowMs();
    const points = await store.expire(nowMs - settings.keepPointsMs);
    const slots = await state.slots.expire(nowMs - settings.keepFactsMs);
    const alerts = await state.alerts.expire(nowMs - settings.keepFactsMs);
    const mails = await mailbox.expire(nowMs - settings.keepFactsMs);
    if (points + slots + alerts + mails > 0)
      log.info({ points, slots, alerts, mails }, "what is too old was forgotten");
  });
}

/** Does `work` every `ms` until the signal aborts; what it throws is logged, and it is done again. */
export async function every(
  ms: number,
  clock: Clock,
  signal: AbortSignal,
  log: Log,
  what: string,
  work: () => Promise<void>,
): Promise<void> {
  while (!signal.aborted) {
    await work().catch((thrown: unknown) => log.error({ err: thrown }, `${what}: ${messageOf(thrown)}`));
    await clock.sleep(ms, signal).catch(() => {});
  }
}
