/** What the servers that tests start have in common: a folder, a port, and a process that can be ended in every way. */
import type { ChildProcess, SpawnOptions } from "node:child_process";
import { execFile } from "node:child_process";
import { closeSync, existsSync, openSync, readFileSync } from "node:fs";
import { chown, mkdir, mkdtemp, readFile, rename, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { end, spawnBound } from "./process.ts";

const startMsMax = 60_000;
const goneMsMax = 10_000;
/** `nobody`: there on every Debian, and the owner of nothing. */
const nobody = 65_534;

/** For servers that refuse to run as root: who they run as where this process is root, else nobody else. */
export const unprivileged: { readonly uid?: number; readonly gid?: number } =
  process.getuid?.() === 0 ? { uid: nobody, gid: nobody } : {};

/** A new folder under the system's for temporary files, which the server may write. */
export async function serverFolder(name: string): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), `bellwether-${name}-`));
  if (unprivileged.uid !== undefined) await chown(dir, nobody, nobody);
  return dir;
}

type Launch = { readonly command: string; readonly args: readonly string[]; readonly options?: SpawnOptions };

/** One server process on one folder and port, which outlive its restarts. */
export abstract class OwnServer implements AsyncDisposable {
  readonly name: string;
  readonly dir: string;
  readonly port: number;
  readonly #keepsDir: boolean;
  #child: ChildProcess | null = null;

  /** @param keepsDir the folder stays at the end */
  constructor(name: string, dir: string, port: number, keepsDir: boolean) {
    this.name = name;
    this.dir = dir;
    this.port = port;
    this.#keepsDir = keepsDir;
  }

  /** How it is started on what lies in its folder. */
  protected abstract launch(): Promise<Launch>;
  /** Whether it answers; a throw means no. */
  protected abstract answers(): Promise<boolean>;

  /** @throws Error while the server is down */
  get pid(): number {
    const pid = this.#child?.pid;
    if (pid === undefined) throw new Error(`${this.name} is not running`);
    return pid;
  }

  get isRunning(): boolean {
    return this.#child !== null;
  }

  /** What it has written to its log, the last 4,000 characters. */
  async log(): Promise<string> {
    return (await readFile(this.#logFile, "utf8")).slice(-4_000);
  }

  /** Starts it, again on the same folder and port if it was there before, and waits until it answers. */
  async start(): Promise<void> {
    if (this.#child !== null) throw new Error(`${this.name} is running`);
    const { command, args, options } = await this.launch();
    const log = openSync(this.#logFile, "a");
    this.#child = spawnBound(command, args, { ...options, stdio: ["ignore", log, log] });
    closeSync(log);
    const child = this.#child;
    const untilMs = Date.now() + startMsMax;
    while (Date.now() < untilMs) {
      if (await this.answers().catch(() => false)) return;
      if (child.exitCode !== null || child.signalCode !== null) break;
      await sleep(20);
    }
    await this.kill();
    throw new Error(`${this.name} did not start:\n${await this.log()}`);
  }

  /** SIGTERM: it closes its files and ends. A paused server is resumed first. */
  async stop(): Promise<void> {
    this.resume();
    await this.#end("SIGTERM");
  }

  /** SIGKILL, and its children too: it ends as it stands. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** Kills it and starts it again, on the same folder and port. */
  async restart(): Promise<void> {
    await this.kill();
    await this.start();
  }

  /** It goes on accepting connections, as the kernel does that, and answers none. */
  pause(): void {
    for (const pid of family(this.pid)) signal(pid, "SIGSTOP");
  }

  resume(): void {
    const pid = this.#child?.pid;
    if (pid !== undefined) for (const each of family(pid)) signal(each, "SIGCONT");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    if (!this.#keepsDir) await rm(this.dir, { recursive: true, force: true });
  }

  get #logFile(): string {
    return join(this.dir, `${this.name}.log`);
  }

  async #end(how: "SIGTERM" | "SIGKILL"): Promise<void> {
    const child = this.#child;
    if (child?.pid === undefined) return;
    const children = family(child.pid).filter((pid) => pid !== child.pid);
    await end(child, how);
    // Children hold the port and the folder for a moment longer.
    for (const pid of children) signal(pid, "SIGKILL");
    const untilMs = Date.now() + goneMsMax;
    while (children.some((pid) => isAlive(pid)) && Date.now() < untilMs) await sleep(5);
    this.#child = null;
  }
}

/** A process and all that it started, itself last: a parent cannot start another while they are signalled. */
function family(pid: number): number[] {
  const file = `/proc/${pid}/task/${pid}/children`;
  if (!existsSync(file)) return [pid];
  const children = readFileSync(file, "utf8").split(" ").filter(Boolean).map(Number);
  return [...children.flatMap(family), pid];
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== "ESRCH") throw thrown;
  }
}

/** A zombie is not: it holds nothing any more. */
function isAlive(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) [ZX]/s.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}

/**
 * Copies a data folder that was made once: making it takes the server's own tool seconds. Two processes may both find
 * none; each makes its own then, and the first to give it its name wins.
 * @param key what it depends on, version and settings: letters, digits, `.` and `-`
 * @param make fills a folder that is there and empty
 */
export async function copyTemplate(
  key: string,
  target: string,
  make: (folder: string) => Promise<void>,
): Promise<void> {
  const root = join(tmpdir(), `bellwether-templates-${process.getuid?.()}`);
  const template = join(root, key);
  if (!existsSync(template)) {
    await mkdir(root, { recursive: true });
    const fresh = await serverFolder("template");
    try {
      await make(fresh);
      await rename(fresh, template);
    } catch (thrown) {
      await rm(fresh, { recursive: true, force: true });
      if (!/^(ENOTEMPTY|EEXIST)$/.test(String((thrown as NodeJS.ErrnoException).code))) throw thrown;
    }
  }
  await run("cp", ["-a", "--reflink=auto", template, target]);
}

/** Changes whenever the program does. */
export async function versionKey(program: string): Promise<string> {
  const { size, mtimeMs } = await stat(program);
  return `${size}-${Math.floor(mtimeMs)}`;
}

/** @throws Error with what the program wrote */
export async function run(command: string, args: readonly string[], options: SpawnOptions = {}): Promise<string> {
  const { uid, gid, env, cwd } = options;
  const defined = Object.fromEntries(Object.entries({ uid, gid, env, cwd }).filter(([, value]) => value !== undefined));
  const { stdout } = await promisify(execFile)(command, [...args], defined);
  return String(stdout);
}
