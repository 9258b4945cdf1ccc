/**
 * Sums of the newest slots, from one slot to the longest sum, and which of them speaks most: reading all lengths at once is
 * Page's CUSUM for every size of trouble. What a sum is, and its evidence, each kind says for itself.
 */

/** The newest slots summed, against what was expected of them. */
export type Reading = {
  /** How many slots back the oldest lies, plus one. */
  readonly reach: number;
  readonly observed: number;
  readonly expected: number;
  /** In nats, >= 0. */
  readonly evidence: number;
};

export type Readings<R extends Reading> = {
  /** The slot alone. */
  readonly plain: R;
  /** What speaks most for more, and for less, than expected, of what is off by enough; null: nothing is. */
  readonly up: R | null;
  readonly down: R | null;
  /** The most evidence of any sum, whether off by enough or not. */
  readonly doubt: number;
};

/** How much longer each sum is than the one before. */
const growth = 1.27;

/**
 * @param longest in slots, at least 1
 * @param read the sum of the newest so many slots; asked for in ascending order
 * @param enough whether a difference is large enough to matter
 */
export function readingsOf<R extends Reading>(
  longest: number,
  read: (length: number) => R,
  enough: (reading: R) => boolean,
): Readings<R> {
  let plain: R | null = null;
  let up: R | null = null;
  let down: R | null = null;
  let doubt = 0;
  for (let length = 1; length <= longest; length = nextLength(length, longest)) {
    const reading = read(length);
    plain ??= reading;
    doubt = Math.max(doubt, reading.evidence);
    if (!enough(reading)) continue;
    if (reading.observed > reading.expected) up = stronger(up, reading);
    else down = stronger(down, reading);
  }
  return { plain: plain as R, up, down, doubt };
}

/** The longest is always among them. */
function nextLength(length: number, longest: number): number {
  const next = Math.max(length + 1, Math.round(length * growth));
  return length < longest ? Math.min(next, longest) : next;
}

function stronger<R extends Reading>(one: R | null, other: R): R {
  return one === null || other.evidence > one.evidence ? other : one;
}

/** What speaks most, whichever way; null: nothing is off by enough. */
export function strongest<R extends Reading>({ up, down }: Pick<Readings<R>, "up" | "down">): R | null {
  if (up === null || down === null) return up ?? down;
  return up.evidence > down.evidence ? up : down;
}
