/** A file system of a few megabytes, to be filled to the last byte. */
import { spawnSync } from "node:child_process";
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statfsSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const prefix = "bellwether-disk-";
const ballast = "ballast";
/** Less than this is not to be had: memory goes out by pages. */
const pageBytes = 4_096;

/** Null if this process may mount file systems, else the reason, for those whose tests are skipped. */
export function whyNoSmallDisk(): string | null {
  try {
    smallDisk(pageBytes)[Symbol.dispose]();
    return null;
  } catch (thrown) {
    return thrown instanceof Error ? thrown.message : String(thrown);
  }
}

/**
 * Mounts a file system of its own, kept in memory, on a new folder.
 * @param sizeBytes rounded up to pages of 4,096
 * @throws Error with mount's text where this process may not
 */
export function smallDisk(sizeBytes: number): SmallDisk {
  unmountLeftOver();
  const dir = mkdtempSync(join(tmpdir(), `${prefix}${process.pid}-`));
  try {
    run("mount", "-t", "tmpfs", "-o", `size=${sizeBytes},mode=0777`, "bellwether", dir);
  } catch (thrown) {
    rmdirSync(dir);
    throw thrown;
  }
  return new SmallDisk(dir);
}

export class SmallDisk implements Disposable {
  readonly dir: string;

  constructor(dir: string) {
    this.dir = dir;
  }

  get freeBytes(): number {
    const { bavail, bsize } = statfsSync(this.dir);
    return bavail * bsize;
  }

  /** Writes ballast until not one byte is left; also when others made room since. */
  fill(): void {
    const file = openSync(join(this.dir, ballast), "a");
    for (let pieceBytes = 1_048_576; pieceBytes >= 1; ) {
      try {
        writeSync(file, Buffer.alloc(pieceBytes));
      } catch (thrown) {
        if ((thrown as NodeJS.ErrnoException).code !== "ENOSPC") throw thrown;
        pieceBytes >>= 1;
      }
    }
    closeSync(file);
  }

  /** Removes the ballast. */
  free(): void {
    rmSync(join(this.dir, ballast), { force: true });
  }

  /** A larger or a smaller disk under the same files. @throws Error if they need more than that */
  resize(sizeBytes: number): void {
    run("mount", "-o", `remount,size=${sizeBytes}`, this.dir);
  }

  /** Goes with all its files, also if somebody still has one open. */
  [Symbol.dispose](): void {
    unmount(this.dir);
  }
}

/** Disks of processes that were killed before they could unmount them. */
function unmountLeftOver(): void {
  const mounts = readFileSync("/proc/mounts", "utf8");
  for (const [, dir = "", pid] of mounts.matchAll(new RegExp(`^bellwether (\\S+/${prefix}(\\d+)-\\S+) tmpfs`, "gm"))) {
    if (existsSync(`/proc/${pid}`)) continue;
    try {
      unmount(dir);
    } catch {
      // Another process was faster.
    }
  }
}

function unmount(dir: string): void {
  run("umount", "--lazy", dir);
  rmdirSync(dir);
}

function run(command: string, ...args: string[]): void {
  const { status, stderr, error } = spawnSync(command, args, { encoding: "utf8" });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(stderr.trim());
}
