/** The bounds of a slot as a database writes times. */
import { z } from "zod";
import { secondMs } from "../../core/time.ts";
import { isZone, msToWall } from "../../core/zone.ts";

export const zone = z
  .string()
  .refine(isZone, "SCH-004 unknown zone. Fix: use an IANA name such as Europe/London")
  .default("UTC");

export type TimeForm = "text" | "timestamp" | "timestamptz" | "epoch-s" | "epoch-ms";

/**
 * A moment as a value to be bound: whole numbers as bigint, which SQLite takes for integers; otherwise text, of a zone's
 * wall clock, or with the offset of UTC (`timestamptz`). Milliseconds are left out where there are none.
 */
export function timeValue(timeMs: number, form: TimeForm, zone: string): string | bigint {
  if (form === "epoch-ms") return BigInt(timeMs);
  if (form === "epoch-s") return BigInt(Math.floor(timeMs / secondMs));
  if (form === "timestamptz") return `${wallClock(timeMs, "UTC")}+00`;
  return wallClock(timeMs, zone);
}

function wallClock(timeMs: number, zone: string): string {
  return new Date(msToWall(timeMs, zone))
    .toISOString()
    .replace("T", " ")
    .replace(/(\.000)?Z$/, "");
}
