/** What the subcommands of `replicas` have in common. */
import type { TimeWindow } from "../../core/model.ts";
import { dayMs } from "../../core/time.ts";
import type { Desk } from "../../desk.ts";
import type { Settings } from "../../settings.ts";
import type { Mirror } from "../../store/mirror.ts";
import { type CommonOptions, checkOrder, openDesk, settingsOf, timeOf, usage } from "../context.ts";

export type SpanOptions = CommonOptions & { readonly from?: string; readonly to?: string; readonly deep?: boolean };

/** @throws Problems if the settings name no InfluxDBs */
export function checkCopies({ influx }: Settings): void {
  if (influx.length > 0) return;
  throw usage("series are kept in one place, so there are no copies", {
    where: "INFLUX_URLS",
    fix: "name two InfluxDBs: a=http://user:password@host:8086/database b=http://...",
  });
}

/** @throws Problems if there is no copy of that name */
export function checkTarget(settings: Settings, name: string | undefined): void {
  if (name === undefined || settings.influx.some((target) => target.name === name)) return;
  throw usage(`there is no copy ${JSON.stringify(name)}`, {
    where: "--target",
    fix: `one of ${settings.influx.map((target) => target.name).join(", ")}`,
  });
}

/** Looks on beside a running process. */
export async function openCopies(options: CommonOptions): Promise<{ desk: Desk; mirror: Mirror }> {
  checkCopies(settingsOf(options).settings);
  const desk = await openDesk(options);
  return { desk, mirror: desk.mirror as Mirror };
}

/** The day before `--to`, where nothing else is said. */
export function spanOf({ from, to }: SpanOptions, nowMs: number): TimeWindow {
  const toMs = timeOf("--to", to ?? "now", nowMs);
  const fromMs = from === undefined ? toMs - dayMs : timeOf("--from", from, nowMs);
  checkOrder(fromMs, toMs, to === undefined);
  return { fromMs, toMs };
}
