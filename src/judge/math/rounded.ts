/**
 * To nine digits: what is remembered from slot to slot is stored as text, and nobody needs more of it.
 * @example rounded(1 / 3) // => 0.333333333
 */
export function rounded(value: number): number {
  return Number(value.toPrecision(9));
}
