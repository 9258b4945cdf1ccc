/**
 * The same algorithm as a bare loop over arrays, gaps and masked slots included: no verdicts, no reasons, no store,
 * nothing but numbers, written straight down. For counts at 1 minute with the default settings in UTC; it opens no
 * incidents, so it is given clean data.
 */
const day = 1440;
const days = 7;
const points = 8;

const sorted = new Float64Array(days);
const totals = new Float64Array(days);
const present = new Float64Array(days);
const sums = new Float64Array(days);
const recent = new Float64Array(points);

function sortInto(values: Float64Array, count: number): void {
  for (let i = 0; i < count; i += 1) {
    const value = values[i] as number;
    let j = i - 1;
    while (j >= 0 && (sorted[j] as number) > value) {
      sorted[j + 1] = sorted[j] as number;
      j -= 1;
    }
    sorted[j + 1] = value;
  }
}

function evidence(x: number, m: number, v: number): number {
  const r = (m * m) / (v - m);
  const d = (x - m) / (m + r);
  const ratio = Math.abs(d) < 0.5 ? Math.log1p(d) : Math.log((x + r) / (m + r));
  return Math.max(0, (x === 0 ? 0 : x * Math.log(x / m)) - (x + r) * ratio);
}

/** GM(1,1) of the points before `slot`, with its checks; NaN where it abstains. */
function forecast(values: Float64Array, masked: Uint8Array, slot: number): number {
  const bound = Math.exp(2 / (points + 1)) * (1 - 1e-9);
  let size = 0;
  let shift = 0;
  let least = Number.POSITIVE_INFINITY;
  let flat = true;
  let cell = slot - 1;
  for (let k = points - 1; k >= 0 && cell >= slot - 2 * points; cell -= 1) {
    if (Number.isNaN(values[cell]) || masked[cell] !== 0) continue;
    recent[k] = values[cell] as number;
    k -= 1;
  }
  const ahead = slot - 1 - newestOf(values, masked, slot);
  for (let k = 0; k < points; k += 1) {
    const v = recent[k] as number;
    size += Math.abs(v) / points;
    least = Math.min(least, v);
    if (k === 0) continue;
    const u = recent[k - 1] as number;
    if (u !== v) flat = false;
    if (u < v) shift = Math.max(shift, (v / bound - u) / (1 - 1 / bound));
    else if (u > v) shift = Math.max(shift, (u - bound * v) / (bound - 1));
  }
  if (flat) return recent[0] as number;
  if (least + shift <= 0) shift = least === 0 ? Math.max(shift, 1) : Math.max(shift, -2 * least);
  if (shift > size) return Number.NaN;
  const first = (recent[0] as number) + shift;
  let sum = first;
  let sz = 0;
  let szz = 0;
  let sx = 0;
  let szx = 0;
  for (let k = 1; k < points; k += 1) {
    const x = (recent[k] as number) + shift;
    const z = sum + x / 2;
    sum += x;
    sz += z;
    szz += z * z;
    sx += x;
    szx += z * x;
  }
  const m = points - 1;
  const a = (sz * sx - m * szx) / (m * szz - sz * sz);
  const b = (sx + a * sz) / m;
  if (Math.abs(a) > 0.8) return Number.NaN;
  const factor = -Math.expm1(a) * (first - b / a);
  let errors = 0;
  let squares = 0;
  let inputs = 0;
  for (let k = 1; k < points; k += 1) {
    const e = (recent[k] as number) + shift - factor * Math.exp(-a * k);
    errors += e;
    squares += e * e;
  }
  const mean = sum / points;
  for (let k = 0; k < points; k += 1) inputs += ((recent[k] as number) + shift - mean) ** 2;
  const s1 = Math.sqrt(inputs / points);
  const centre = errors / points;
  const c = Math.sqrt(Math.max(0, squares / points - centre * centre)) / s1;
  let small = 0;
  for (let k = 0; k < points; k += 1) {
    const e = k === 0 ? 0 : (recent[k] as number) + shift - factor * Math.exp(-a * k);
    if (Math.abs(e - centre) < 0.6745 * s1) small += 1;
  }
  return c <= 0.65 && small / points >= 0.7 ? factor * Math.exp(-a * (points + ahead)) - shift : Number.NaN;
}

function newestOf(values: Float64Array, masked: Uint8Array, slot: number): number {
  let cell = slot - 1;
  while (Number.isNaN(values[cell]) || masked[cell] !== 0) cell -= 1;
  return cell;
}

/** Evidence of each slot from `from` on; the sum of the forecasts keeps them from being left out as unused. */
export function bareLoop(
  values: Float64Array,
  masked: Uint8Array,
  from: number,
): { evidence: Float64Array; forecasts: number } {
  const found = new Float64Array(values.length);
  let forecasts = 0;
  for (let slot = from; slot < values.length; slot += 1) {
    if (Number.isNaN(values[slot])) continue;
    totals.fill(0);
    present.fill(0);
    let observed = 0;
    let slots = 0;
    let slotsBefore = 0;
    let next = 1;
    let best = 0;
    let bestScore = Number.NEGATIVE_INFINITY;
    let enough = false;
    for (let back = 0; back < 32; back += 1) {
      const value = values[slot - back] as number;
      if (!Number.isNaN(value)) {
        observed += value;
        slots += 1;
        for (let d = 0; d < days; d += 1) {
          const cell = slot - back - (d + 1) * day;
          const past = values[cell] as number;
          if (Number.isNaN(past) || masked[cell] !== 0) continue;
          (totals[d] as number) += past;
          (present[d] as number) += 1;
        }
      }
      if (back + 1 !== next) continue;
      next *= 2;
      if (slots === slotsBefore) continue;
      slotsBefore = slots;
      let n = 0;
      for (let d = 0; d < days; d += 1) {
        const count = present[d] as number;
        if (2 * count > slots)
          sums[n++] = count === slots ? (totals[d] as number) : ((totals[d] as number) * slots) / count;
      }
      if (n < 4) break;
      sortInto(sums, n);
      let sum = 0;
      for (let i = 1; i < n - 1; i += 1) sum += sorted[i] as number;
      const centre = sum / (n - 2);
      if (centre < 20 && (enough || back < 31)) continue;
      const difference = Math.abs(observed - centre);
      const passes = difference >= 10 && (100 * difference) / centre >= 30 && centre >= 20;
      const first = !enough;
      enough = true;
      if (!first && !passes) continue;
      const known = 2 * (present[days - 1] as number) > slots;
      const high = sorted[n - 2] as number;
      const mean = (sum + (sorted[1] as number) + high) / n;
      let squares = ((sorted[1] as number) - mean) ** 2 + (high - mean) ** 2;
      for (let i = 1; i < n - 1; i += 1) squares += ((sorted[i] as number) - mean) ** 2;
      const scatter = squares / (n - 1) / ((n - 2) / n) ** 2;
      const variance = Math.max(centre, 0.1, scatter) * (1 + 1 / n) + ((known ? 0.05 : 0.25) * centre) ** 2;
      const last = ((totals[days - 1] as number) * slots) / (present[days - 1] as number);
      const lastVariance = 2 * Math.max(last, 0.5) + (0.1 * last) ** 2;
      const baseline = observed === centre ? 0 : evidence(observed, Math.max(centre, 0.1), variance);
      const nats = known ? Math.min(baseline, evidence(observed, Math.max(last, 0.5), lastVariance)) : baseline;
      const score = passes ? nats : -1;
      if (score > bestScore) {
        bestScore = score;
        best = nats;
      }
    }
    found[slot] = best;
    const ahead = forecast(values, masked, slot);
    if (!Number.isNaN(ahead)) forecasts += ahead;
  }
  return { evidence: found, forecasts };
}
