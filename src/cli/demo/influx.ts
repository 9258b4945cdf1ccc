/** Two InfluxDBs of the demo's own: local processes with folders below its data, for the time that it runs. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { delimiter, join } from "node:path";
import { Problem } from "../../core/problem.ts";
import { deadline, secondMs, stopwatch, systemClock } from "../../core/time.ts";

const database = "bellwether";
const startMsMax = 30 * secondMs;
const stopMsMax = 5 * secondMs;
const lookMs = 100;

export type LocalInfluxes = AsyncDisposable & {
  /** What `INFLUX_URLS` takes. */
  readonly urls: string;
};

/** @throws Problem if there is no influxd, or it does not start */
export async function startLocalInfluxes(dataDir: string): Promise<LocalInfluxes> {
  const program = findInfluxd();
  const servers: LocalInflux[] = [];
  const end = async (): Promise<void> => {
    await Promise.all(servers.map((server) => server.stop()));
  };
  try {
    for (const name of ["a", "b"])
      servers.push(await LocalInflux.start(program, name, join(dataDir, `influx-${name}`)));
  } catch (thrown) {
    await end();
    throw thrown;
  }
  const urls = servers.map(({ name, port }) => `${name}=http://127.0.0.1:${port}/${database}`).join(" ");
  return { urls, [Symbol.asyncDispose]: end };
}

function findProgram(name: string): string | undefined {
  const folders = (process.env.PATH ?? "").split(delimiter);
  return folders.map((folder) => join(folder, name)).find(existsSync);
}

function findInfluxd(): string {
  const found = findProgram("influxd");
  if (found !== undefined) return found;
  throw new Problem("there is no influxd on this machine", {
    where: "--influx",
    fix: "install InfluxDB 1.x (Debian: apt-get install influxdb), or set INFLUX_URLS to servers that run",
  });
}

class LocalInflux {
  readonly name: string;
  readonly port: number;
  readonly #child: ChildProcess;

  private constructor(name: string, port: number, child: ChildProcess) {
    this.name = name;
    this.port = port;
    this.#child = child;
  }

  static async start(program: string, name: string, dir: string): Promise<LocalInflux> {
    mkdirSync(dir, { recursive: true });
    const config = join(dir, "influxdb.conf");
    endLeftOver(join(dir, "pid"), config);
    const [port, rpcPort] = [await freePort(), await freePort()];
    writeFileSync(config, configOf(dir, port, rpcPort));
    const log = openSync(join(dir, "influxd.log"), "a");
    // A demo that is killed takes its servers along, where the system can do that; else the next one ends them.
    const setpriv = process.platform === "linux" ? findProgram("setpriv") : undefined;
    const [command, ...args] = [
      ...(setpriv === undefined ? [] : [setpriv, "--pdeathsig", "TERM"]),
      program,
      "-config",
      config,
    ];
    const child = spawn(command as string, args, { stdio: ["ignore", log, log] });
    writeFileSync(join(dir, "pid"), String(child.pid ?? ""));
    const server = new LocalInflux(name, port, child);
    try {
      await server.#answers(join(dir, "influxd.log"));
      return server;
    } catch (thrown) {
      await server.stop();
      throw thrown;
    }
  }

  async #answers(log: string): Promise<void> {
    for (const elapsedMs = stopwatch(); elapsedMs() < startMsMax && this.#child.exitCode === null; ) {
      const signal = deadline(secondMs);
      const answer = await fetch(`http://127.0.0.1:${this.port}/ping`, { signal }).catch(() => null);
      if (answer?.ok) return;
      await systemClock.sleep(lookMs, deadline(startMsMax));
    }
    throw new Problem(`influxd ${this.name} does not start`, { where: log, fix: "its last lines say why" });
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = new Promise((resolve) => this.#child.once("exit", resolve));
    this.#child.kill("SIGTERM");
    const late = systemClock.sleep(stopMsMax, deadline(stopMsMax * 2)).then(() => this.#child.kill("SIGKILL"));
    await Promise.race([gone, late]);
    await gone;
  }
}

/** A demo that was killed leaves its servers behind; a process that took their number since is not theirs. */
function endLeftOver(pidFile: string, config: string): void {
  if (!existsSync(pidFile)) return;
  const pid = Number(readFileSync(pidFile, "utf8"));
  const commandLine = `/proc/${pid}/cmdline`;
  if (!(pid > 1) || !existsSync(commandLine) || !readFileSync(commandLine, "utf8").includes(config)) return;
  process.kill(pid, "SIGKILL");
}

function configOf(dir: string, port: number, rpcPort: number): string {
  return `reporting-disabled = true
bind-address = "127.0.0.1:${rpcPort}"
[meta]
  dir = ${JSON.stringify(join(dir, "meta"))}
[data]
  dir = ${JSON.stringify(join(dir, "data"))}
  wal-dir = ${JSON.stringify(join(dir, "wal"))}
  query-log-enabled = false
  max-series-per-database = 0
  max-values-per-tag = 0
[http]
  bind-address = "127.0.0.1:${port}"
  log-enabled = false
[monitor]
  store-enabled = false
`;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
