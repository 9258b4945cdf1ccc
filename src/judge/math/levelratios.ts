/**
 * What must be added to every value so that GM(1,1) may be fitted: the smallest shift >= 0 that makes all values
 * positive and brings each level ratio x(k-1) / x(k) inside (e^(-2/(n+1)), e^(2/(n+1))); 0 if they are there already.
 * Any series passes after a shift that is large enough, so the caller should refuse a shift that dwarfs the values.
 * Source: the admissible range of the class ratio, Liu, S. and Lin, Y. (2010), "Grey Systems: Theory and Applications".
 * Complexity: O(n).
 * @param values at least 2, oldest first
 * @throws Error with fewer values
 * @example levelShift([10, 10, 10, 10]) // => 0
 */
export function levelShift(values: readonly number[]): number {
  const n = values.length;
  if (n < 2) throw new Error(`levelShift requires at least 2 values (got ${n})`);
  // A hair inside the open bounds, so that the shifted ratios are inside them too.
  const high = Math.exp(2 / (n + 1)) * (1 - 1e-9);
  const low = 1 / high;
  let least = values[0] as number;
  let shift = 0;
  for (let k = 1; k < n; k += 1) {
    const u = values[k - 1] as number;
    const v = values[k] as number;
    least = Math.min(least, v);
    // (u + c) / (v + c) must not leave [low, high]: solve for c where it would.
    if (u < v) shift = Math.max(shift, (low * v - u) / (1 - low));
    else if (u > v) shift = Math.max(shift, (u - high * v) / (high - 1));
  }
  if (least + shift > 0) return shift;
  return least === 0 ? Math.max(shift, 1) : Math.max(shift, -2 * least);
}
