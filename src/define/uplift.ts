/** Times the usual expectation: 2.5, or a range where nobody knows it better. */
import { z } from "zod";
import { fault } from "./fault.ts";
import { isNumber, number, type Report, tooHigh, tooLow } from "./scalars.ts";

export const upliftMin = 0.01;
export const upliftMax = 100;

export const uplift = z.union(
  [number(upliftMin, upliftMax), z.strictObject({ min: z.number(), max: z.number() })],
  fault("RUL-002", `wants a number from ${upliftMin} to ${upliftMax}, or a range`, "write 2.5 or { min: 1.8, max: 3 }"),
);

/** What the schema leaves open of a range that stands at the key `uplift`. */
export function checkUplift(written: unknown, path: readonly (string | number)[], report: Report): void {
  const { min, max } = Object(written) as { min?: unknown; max?: unknown };
  if (!isNumber(min) || !isNumber(max)) return;
  for (const [key, value] of Object.entries({ min, max })) {
    const what = `wants a number from ${upliftMin} to ${upliftMax}`;
    if (value < upliftMin) report([...path, key], tooLow(what, upliftMin));
    if (value > upliftMax) report([...path, key], tooHigh(what, upliftMax));
  }
  if (min > max) report([...path, "min"], fault("RUL-002", `more than max, which is ${max}`, "exchange them"));
}
