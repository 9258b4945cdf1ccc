import { minuteMs } from "../../../src/core/time.ts";
import type { Grid } from "../series.ts";
import { filled } from "./filled.ts";
import { Fourier } from "./fourier.ts";

/** The paper's: width of the mean of log amplitudes, points of the local mean, points put ahead, their slope, tau. */
const q = 3;
const z = 21;
const ahead = 5;
const slopePoints = 5;
const tau = 3;

/**
 * Spectral residual: what is left of the amplitudes after their local mean, turned back into time, stands out where
 * the series does.
 * Source: Ren, H. et al. (2019), "Time-Series Anomaly Detection Service at Microsoft", KDD. Windows of 1,440 points at
 * a minute and 64 at an hour there; 1,024 here is the power of two next to the first.
 */
export function spectralResidual({ values, stepMs }: Grid): Float64Array {
  const size = stepMs <= 5 * minuteMs ? 1_024 : 64;
  const scores = new Float64Array(values.length);
  const known = filled(values);
  const fourier = new Fourier(size);
  const window = new Float64Array(size);
  const reach = size - ahead;
  for (let cell = reach - 1; cell < values.length; cell += 1) {
    if (Number.isNaN(values[cell])) continue;
    window.set(known.subarray(cell - reach + 1, cell + 1));
    window.fill(pointAhead(known, cell - 1), reach);
    toResidual(window, fourier);
    let mean = 0;
    for (let at = reach - 1 - z; at < reach - 1; at += 1) mean += fourier.length(at) / z;
    scores[cell] = mean > 0 ? Math.max(0, (fourier.length(reach - 1) - mean) / mean / tau) : 0;
  }
  return scores;
}

/**
 * The mean slope towards a point, drawn on from `slopePoints` before the next. As in the authors' code (microsoft/
 * anomalydetector) that is the point before the newest: drawn on from an anomaly, the points ahead would hide it.
 */
function pointAhead(known: Float64Array, cell: number): number {
  const newest = known[cell] as number;
  let slope = 0;
  for (let back = 1; back <= slopePoints; back += 1) {
    slope += (newest - (known[cell - back] as number)) / back / slopePoints;
  }
  return (known[cell - slopePoints + 1] as number) + slope * slopePoints;
}

/** Leaves the saliency map in the transform: the length of each of its numbers. */
function toResidual(window: Float64Array, fourier: Fourier): void {
  const size = window.length;
  const { re, im } = fourier;
  re.set(window);
  im.fill(0);
  fourier.transform();
  // The second half mirrors the first, so logs of the first half, and of those at its edges, are all there is.
  const logs = new Float64Array(size / 2 + 1);
  for (let k = 0; k <= size / 2; k += 1) logs[k] = Math.log(fourier.length(k) + 1e-8);
  for (let k = 0; k < size; k += 1) {
    let mean = 0;
    for (let back = 0; back < q; back += 1) {
      const at = (k - back + size) % size;
      mean += (logs[Math.min(at, size - at)] as number) / q;
    }
    // The amplitude e^(log - mean) at the old phase: the number over its length, e^log, times that.
    const factor = Math.exp(-mean);
    re[k] = (re[k] as number) * factor;
    im[k] = (im[k] as number) * factor;
  }
  fourier.inverse();
}
