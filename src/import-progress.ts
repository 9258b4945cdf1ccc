/** How far an import is, on the disk: a file that is whole or not there, whenever the process or the machine ends. */
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";
import { dirname } from "node:path";

/** What became of the field values of one measurement. */
export type ImportCounts = {
  /** All that were read; the others add up to it. */
  read: number;
  /** Handed over as they are. */
  raw: number;
  /** Too old for that, and summed up. */
  summed: number;
  /** Too old, and no numbers, so that they have no sum: left where they were. */
  unsummed: number;
  /** Older than anything is kept: left where they were. */
  tooOld: number;
  /** What cannot be stored there, for a reason of its own. */
  refused: number;
};

export type ImportProgress = {
  /** What is imported, from which points to which; another one begins anew. */
  readonly plan: string;
  /** All before it is done, epoch ms; null: nothing is. */
  reachedMs: number | null;
  /** The first point that was met, epoch ms. */
  firstMs: number | null;
  readonly counts: Record<string, ImportCounts>;
  /** Values that cannot be stored, by reason. */
  readonly refused: Record<string, number>;
  staleSpans: number;
  done: boolean;
};

export function beginProgress(plan: string): ImportProgress {
  return { plan, reachedMs: null, firstMs: null, counts: {}, refused: {}, staleSpans: 0, done: false };
}

export function noCounts(): ImportCounts {
  return { read: 0, raw: 0, summed: 0, unsummed: 0, tooOld: 0, refused: 0 };
}

/** What is left of an earlier run of the same plan; null if there was none, or nothing can be read of it. */
export function readProgress(file: string, plan: string): ImportProgress | null {
  try {
    const progress = JSON.parse(readFileSync(file, "utf8")) as ImportProgress;
    return progress.plan === plan ? progress : null;
  } catch {
    return null;
  }
}

/** Written beside it, and renamed once it is on the disk. */
export function keepProgress(file: string, progress: ImportProgress): void {
  const fresh = `${file}.new`;
  const handle = openSync(fresh, "w", 0o600);
  try {
    writeSync(handle, JSON.stringify(progress));
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
  renameSync(fresh, file);
  const folder = openSync(dirname(file), "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
