/** A process whose system calls fail where a test wants it: a full or a dying disk, without either. */
import { type ChildProcess, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { strace, whyMissing } from "../debian.ts";
import { spawnBound } from "./process.ts";

export type Tracing = {
  /** Only calls on these files are touched. They need not be there yet; their folders must, by their real names. */
  readonly files: readonly string[];
  /**
   * As strace takes them: `fsync:error=EIO:when=3+`. The count of `when` is of each thread by itself, over calls on
   * the files named. Our SQLite syncs by `fsync`, never by `fdatasync`, and writes by `pwrite64`.
   */
  readonly inject: readonly string[];
};

export type Traced = {
  /** Its standard streams are those of the program, its end is that of the program. */
  readonly child: ChildProcess;
  /** Of the program, not of strace: where signals go. */
  readonly pid: number;
  /** The calls on the files, one a line, `(INJECTED)` where one was made to fail. Complete when the child is gone. */
  readonly calls: () => string;
};

/** Null if this process may trace others, else the reason, for those whose tests are skipped. */
export function whyNoStrace(): string | null {
  const missing = whyMissing(strace);
  if (missing !== null) return missing;
  const { status, stderr } = spawnSync(strace.find() as string, ["-o", "/dev/null", "true"], { encoding: "utf8" });
  return status === 0 ? null : `strace may not trace here: ${stderr.trim()}`;
}

/** Starts a program under strace and waits until it runs. Both end with this process. */
export async function startTraced(
  { files, inject }: Tracing,
  command: string,
  args: readonly string[],
): Promise<Traced> {
  const dir = mkdtempSync(join(tmpdir(), "bellwether-strace-"));
  const log = join(dir, "calls");
  const pidFile = join(dir, "pid");
  const filters = [
    ...["-e", `trace=${inject.map((each) => each.split(":")[0]).join(",")}`],
    ...inject.flatMap((each) => ["-e", `inject=${each}`]),
    ...files.flatMap((file) => ["-P", file]),
  ];
  // The program takes the place of the shell that wrote its own pid, and ends with strace as that ends with us.
  const script = 'echo $$ > "$0.new" && mv "$0.new" "$0" && exec "$@"';
  const traced = ["setpriv", "--pdeathsig", "KILL", "sh", "-c", script, pidFile, command, ...args];
  // The quick way, by a filter in the kernel, loses signals that are to be injected.
  const quick = inject.some((each) => each.includes(":signal=")) ? [] : ["--seccomp-bpf"];
  const options = ["-f", ...quick, "-qq", "-e", "signal=none", "-o", log, ...filters];
  const child = spawnBound(strace.find() as string, [...options, ...traced], { stdio: "pipe" });
  let calls: string | null = null;
  const gone = once(child, "exit").then(() => {
    calls = existsSync(log) ? readFileSync(log, "utf8") : "";
    rmSync(dir, { recursive: true });
  });
  while (!existsSync(pidFile)) {
    const ended = await Promise.race([gone.then(() => true), sleep(10, false)]);
    if (ended) throw new Error(`strace ended with ${child.exitCode}: ${child.stderr?.read()}`);
  }
  return { child, pid: Number(readFileSync(pidFile, "utf8")), calls: () => calls ?? readFileSync(log, "utf8") };
}
