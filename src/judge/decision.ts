/** What a decision says. */
import type { DataState, Direction, Gate, JudgeMemory, Level } from "../core/model.ts";
import type { Accepted } from "./accepted.ts";
import type { Ongoing } from "./cells.ts";
import type { Range } from "./detectors/counts.ts";
import type { Outlook } from "./detectors/forecast.ts";
import type { Kind } from "./kind.ts";

/** Numbers only; {@link verdictOf} puts them into words. */
export type Decision = {
  readonly state: DataState;
  readonly level: Level;
  readonly kind: Kind;
  /** Null where there is no value. */
  readonly observed: number | null;
  /** Of the slot alone; null at cold start. */
  readonly expected: number | null;
  readonly lower: number | null;
  readonly upper: number | null;
  readonly outlook: Outlook;
  readonly evidence: number;
  /** Percent by which the slots summed lie above (below: negative) what was expected of them. */
  readonly percent: number;
  readonly slotsSummed: number;
  /** Of a ratio: what it was measured on, in the slot (null = not known) and in the slots summed; null = nobody says. */
  readonly trials: { readonly slot: number | null; readonly summed: number } | null;
  readonly gates: readonly Gate[];
  readonly direction: Direction | null;
  /** The incident that goes on after this slot; null if none does. */
  readonly ongoing: Ongoing | null;
  /** What decided, where the level alone does not tell. */
  readonly because: "latched" | "recovering" | "missing" | "cold" | "accepted" | "drift" | null;
  /** Of a count: what was expected of the slot; null = nothing. */
  readonly range: Range | null;
  readonly memory: JudgeMemory;
  /** By how many percent the last seven days had more than the seven before; null = not known. */
  readonly drift: number | null;
  /** The incident that ends here, for it went on so long; null = none. */
  readonly accepted: Accepted | null;
};

/** @param value NaN = no value */
export function stateOf(value: number): DataState {
  if (Number.isNaN(value)) return "missing";
  return value === 0 ? "zero" : "value";
}
