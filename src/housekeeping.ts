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
};

/** Once an hour until the signal aborts: finished slots and closed alerts beyond their time go. */
export function keepFacts(house: House & { readonly state: State }, signal: AbortSignal): Promise<void> {
  const { settings, clock, log, state } = house;
  return every(hourMs, clock, signal, log, "housekeeping", async () => {
    const beforeMs = clock.nowMs() - settings.keepFactsMs;
    const slots = await state.slots.expire(beforeMs);
    const alerts = await state.alerts.expire(beforeMs);
    if (slots + alerts > 0) log.info({ slots, alerts }, "what is too old was forgotten");
  });
}

/** Once an hour until the signal aborts: points, and mails of the mailbox, beyond their time go. */
export function keepPoints(
  house: House & { readonly store: TimeSeriesStore; readonly mailbox: Pick<Mailbox, "expire"> },
  signal: AbortSignal,
): Promise<void> {
  const { settings, clock, log, store, mailbox } = house;
  return every(hourMs, clock, signal, log, "housekeeping", async () => {
    const nowMs = clock.nowMs();
    const points = await store.expire(nowMs - settings.keepPointsMs);
    const mails = await mailbox.expire(nowMs - settings.keepFactsMs);
    if (points + mails > 0) log.info({ points, mails }, "what is too old was forgotten");
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
