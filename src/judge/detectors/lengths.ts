/** How much longer each sum of evidence is than the one before. */
const growth = 1.27;

/** The length of the next sum, in slots; the longest is always among them. */
export function nextLength(length: number, longest: number): number {
  const next = Math.max(length + 1, Math.round(length * growth));
  return length < longest ? Math.min(next, longest) : next;
}
