/** Which series explain what is wrong with their total, as `relate/contribution.ts` found it, and how that is said. */
import type { Direction, Tags } from "./model.ts";

/** A part of the difference between what the total was expected to be and what it was; 1 = all of it. */
export type Share = { readonly tags: Tags; readonly share: number };

export type Contribution = {
  /** Where the total went. */
  readonly direction: Direction;
  /** Names of the tags that tell the series apart. */
  readonly tags: readonly string[];
  /** The fewest that explain most of it, the largest first; empty where no few do. */
  readonly by: readonly Share[];
  /** Where it is spread: how many of how many series went the way of the total. Null where it is not. */
  readonly spread: { readonly moved: number; readonly of: number } | null;
  /** Those that went far the other way; shares below zero, the largest first. */
  readonly against: readonly Share[];
  /** How many series have no expectation yet, so that their part is not known. */
  readonly unknown: number;
};

/**
 * In words that follow "Orders are 41 % below": `United Kingdom explains 92 % of the drop`, `spread over all 38
 * countries`. Values of tags are given as they are: whoever shows them makes them one line, and escapes them.
 */
export function contributionText({ direction, tags, by, spread, against, unknown }: Contribution): string {
  const move = direction === "down" ? "drop" : "rise";
  const others = against.map((one) => `${nameOf(one.tags)} went against it (${percent(-one.share)})`);
  const [first] = by;
  if (first !== undefined) return [explains(by, move), ...others].join("; ");
  if (spread !== null) {
    const all = spread.moved === spread.of ? `all ${spread.of}` : `${spread.moved} of ${spread.of}`;
    return [`spread over ${all} ${kindOf(tags)}`, ...others].join("; ");
  }
  const why = unknown === 0 ? "" : `; ${unknown} without an expectation yet`;
  return [`no few ${kindOf(tags)} explain the ${move}${why}`, ...others].join("; ");
}

function explains(by: readonly Share[], move: string): string {
  const whole = by.reduce((sum, { share }) => sum + share, 0);
  const part = whole >= 0.995 ? `all of the ${move}` : `${percent(whole)} of the ${move}`;
  const [only, ...more] = by;
  if (more.length === 0) return `${nameOf((only as Share).tags)} explains ${part}`;
  const names = by.map(({ tags, share }) => `${nameOf(tags)} (${percent(share)})`);
  return `${names.slice(0, -1).join(", ")} and ${names.at(-1)} explain ${part}`;
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

function nameOf(tags: Tags): string {
  return Object.values(tags).join(", ");
}

/** `countries`, `payment methods`; `series` where several tags tell them apart. */
function kindOf(tags: readonly string[]): string {
  const [only] = tags;
  if (only === undefined || tags.length > 1) return "series";
  const word = only.replaceAll("_", " ");
  if (/[^aeiou]y$/.test(word)) return `${word.slice(0, -1)}ies`;
  if (/(x|ch|sh)$/.test(word)) return `${word}es`;
  return word.endsWith("s") ? word : `${word}s`;
}
