/**
 * The peers: those written here, and those that the packages of PyPI are, which `pypi.py` runs. Every peer divides its
 * own measure of surprise by its operating point, so a score of 1 is where it calls.
 */
import type { Grid } from "../series.ts";
import { fluxEv } from "./fluxev.ts";
import { holtWinters } from "./holt-winters.ts";
import { pair } from "./pair.ts";
import { spectralResidual } from "./spectral.ts";
import { threeSigma } from "./three-sigma.ts";

/** A score a cell from what that cell and earlier ones hold; 0 where nothing can be said. */
type Judge = (grid: Grid) => Float64Array;

export type Peer = {
  readonly name: string;
  /** What it is, and where it calls an anomaly. One line. */
  readonly what: string;
} & ({ readonly judge: Judge } | { readonly pip: string });

export const peers: readonly Peer[] = [
  {
    name: "pair",
    what: "trimmed seven-day baseline and GM(1,1) of the last 8 points, both off by 50 %; abstaining, it leaves the call to the baseline",
    judge: pair,
  },
  {
    name: "three-sigma",
    what: "mean and deviation of the same time of day, two slots either side, on the last 7 days; beyond 3 sigma",
    judge: threeSigma,
  },
  {
    name: "holt-winters",
    what: "additive, season of a day, with Brutlag's bands: RRDtool's defaults (alpha .1, beta .0035, gamma .1, delta 2, 7 of 9 points outside)",
    judge: holtWinters,
  },
  {
    name: "spectral",
    what: "spectral residual (Ren 2019): window 1,024 up to 5 minutes a slot, else 64; q 3, z 21, 5 points ahead, tau 3",
    judge: spectralResidual,
  },
  {
    name: "fluxev",
    what: "FluxEV's idea (Li 2021): EWMA residual's fluctuation minus the largest at this time on 4 past days, streaming POT by moments at risk .001",
    judge: fluxEv,
  },
  {
    name: "prophet",
    what: "Prophet's defaults, fitted every week to 15-minute means of the last 28 days; beyond 3 sigma of its residuals there",
    pip: "prophet==1.5.0",
  },
  {
    name: "statsmodels",
    what: "STL of 15-minute means of the last 28 days every week, exponential smoothing of what the season leaves; beyond 3 sigma",
    pip: "statsmodels==0.15.0",
  },
  {
    name: "pyod",
    what: "isolation forest over four residuals, fitted every week to the last 28 days; contamination .001 (its default, .1, calls every tenth point)",
    pip: "pyod==3.6.7",
  },
  {
    name: "river",
    what: "HalfSpaceTrees' defaults over the same residuals, learning on; beyond the .999 quantile (a streaming estimate) of its scores",
    pip: "river==0.26.1",
  },
];
