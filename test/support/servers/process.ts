/** Processes and ports of the servers that tests start. */
import { type ChildProcess, type SpawnOptions, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";

/**
 * Starts a program that the kernel kills when this process ends, in whatever way it ends: an exit handler would not run
 * after SIGKILL, and a stopped child would not hear SIGTERM. The pid is the program's own.
 */
export function spawnBound(command: string, args: readonly string[], options: SpawnOptions): ChildProcess {
  return spawn("setpriv", ["--pdeathsig", "KILL", command, ...args], options);
}

/** Sends a signal and waits until the process is gone; one that does not go in `patienceMs` is killed. */
export async function end(child: ChildProcess, signal: "SIGTERM" | "SIGKILL", patienceMs = 10_000): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, "exit");
  child.kill(signal);
  const timer = setTimeout(() => child.kill("SIGKILL"), patienceMs);
  await gone;
  clearTimeout(timer);
}

/**
 * A loopback port that nobody listens on. It lies below the range that the kernel hands out to clients: there, somebody's
 * connection could take the port of a server that is down, and a client that tries again and again would in the end
 * be connected to itself.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 15_000 + Math.floor(Math.random() * 17_000);
    const server = createServer();
    const free = await new Promise<boolean>((resolve) => {
      server.once("error", () => resolve(false)).listen(port, "127.0.0.1", () => resolve(true));
    });
    if (!free) continue;
    server.close();
    await once(server, "close");
    return port;
  }
}
