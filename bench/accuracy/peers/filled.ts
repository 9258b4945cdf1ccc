/** Gaps filled with the last value before them, for those who need a value in every cell; leading ones with 0. */
export function filled(values: Float64Array): Float64Array {
  let last = 0;
  return values.map((value) => {
    if (!Number.isNaN(value)) last = value;
    return last;
  });
}
