/**
 * One of Bellwether's processes: started as Compose would start it, killed, stopped, and heard to the end. One that ends
 * by itself is started again, as `restart: unless-stopped` has it.
 */
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { stopwatch } from "../../src/core/time.ts";
import { type BellwetherService, projectDir } from "../support/compose.ts";
import { spawnBound } from "../support/servers/process.ts";

const main = join(projectDir, "src/main.ts");
/** Half of a start is compiling its modules. */
const compileCache = join(tmpdir(), "bellwether-compile-cache");
const readyMsMax = 60_000;
const restartMs = 1_000;
/** What is kept of what it says; a run of ten minutes says less. */
const textCharsMax = 20_000_000;

export type Ended = { readonly code: number | null; readonly signal: string | null; readonly tookMs: number };

export type Death = {
  readonly name: string;
  readonly atMs: number;
  readonly code: number | null;
  readonly signal: string | null;
  readonly said: string;
};

export class Service {
  readonly name: string;
  readonly #service: BellwetherService;
  readonly #dir: string;
  #child: ChildProcess | null = null;
  #paused = false;
  /** Standard output and error of all its lives. */
  text = "";
  /** Ends that nobody asked for. */
  readonly deaths: Death[] = [];
  #restart: NodeJS.Timeout | undefined;

  constructor(name: string, service: BellwetherService, dir: string) {
    this.name = name;
    this.#service = service;
    this.#dir = dir;
  }

  get isRunning(): boolean {
    return this.#child !== null && !this.#paused;
  }

  get isPaused(): boolean {
    return this.#paused;
  }

  /** Null while it is down. */
  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#service.environment.BELLWETHER_PORT}`;
  }

  /** In the same folder, under the same name. */
  start(): void {
    if (this.#child !== null) throw new Error(`${this.name} is running`);
    const { PATH = "", HOME = "" } = process.env;
    const child = spawnBound(process.execPath, [main, ...this.#service.args], {
      cwd: this.#dir,
      env: { PATH, HOME, NODE_COMPILE_CACHE: compileCache, ...this.#service.environment },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        if (this.text.length < textCharsMax) this.text += text;
      });
    }
    child.once("close", (code, signal) => {
      if (this.#child !== child) return;
      this.#child = null;
      this.deaths.push({ name: this.name, atMs: Date.now(), code, signal, said: this.text.slice(-600) });
      this.#restart = setTimeout(() => this.start(), restartMs);
    });
  }

  /** Until its probe says that it works. @throws Error if it does not within a minute */
  async ready(): Promise<void> {
    const elapsedMs = stopwatch();
    while (elapsedMs() < readyMsMax) {
      const answer = await fetch(`${this.url}/readyz`, { signal: AbortSignal.timeout(2_000) }).catch(() => null);
      if (answer?.status === 200) return;
      await sleep(100);
    }
    throw new Error(`${this.name} does not become ready:\n${this.text.slice(-3_000)}`);
  }

  kill(): Promise<Ended> {
    return this.#end("SIGKILL", 10_000);
  }

  /** SIGTERM, and twice as long as it may take. */
  stop(): Promise<Ended> {
    return this.#end("SIGTERM", 20_000);
  }

  pause(): void {
    this.#child?.kill("SIGSTOP");
    this.#paused = true;
  }

  resume(): void {
    this.#child?.kill("SIGCONT");
    this.#paused = false;
  }

  async #end(how: "SIGTERM" | "SIGKILL", patienceMs: number): Promise<Ended> {
    clearTimeout(this.#restart);
    const child = this.#child;
    if (child === null) return { code: null, signal: null, tookMs: 0 };
    this.#child = null;
    this.#paused = false;
    const elapsedMs = stopwatch();
    const closed = once(child, "close") as Promise<[number | null, string | null]>;
    child.kill(how);
    const timer = setTimeout(() => child.kill("SIGKILL"), patienceMs);
    const [code, signal] = await closed;
    clearTimeout(timer);
    return { code, signal, tookMs: elapsedMs() };
  }
}
