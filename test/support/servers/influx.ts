/** Debian's InfluxDB 1.x as a process of its own, to be killed, stopped, filled and restored. */
import type { ChildProcess } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { influxd } from "../debian.ts";
import { end, freePort, spawnBound } from "./process.ts";

/** `section.key` -> value: `{ "http.max-body-size": 1_000 }`. Goes over what is set here. */
export type Overrides = Readonly<Record<string, string | number | boolean>>;

type InfluxUser = {
  readonly name: string;
  readonly password: string;
  /** Database -> right. */
  readonly rights: Readonly<Record<string, "read" | "write" | "all">>;
};

export type InfluxOptions = {
  /** Where files go; the folder stays at the end. Default: a new folder that goes at the end. */
  readonly dir?: string;
  /** Made whenever the server starts without data. */
  readonly databases?: readonly string[];
  /** The administrator, which turns authentication on. Default: everybody may do everything. */
  readonly admin?: { readonly name: string; readonly password: string };
  /** Further users, made as the databases are. */
  readonly users?: readonly InfluxUser[];
  readonly overrides?: Overrides;
};

type InfluxSeries = {
  readonly name: string;
  readonly tags?: Readonly<Record<string, string>>;
  readonly columns: readonly string[];
  readonly values: readonly (readonly (string | number | boolean | null)[])[];
};

/** A body of `/query`: one result for each statement. */
export type InfluxResults = { readonly results: readonly { readonly series?: readonly InfluxSeries[] }[] };

const startMsMax = 30_000;

/** Starts a server on free loopback ports and waits until it answers. */
export async function startInflux(options: InfluxOptions = {}): Promise<Influx> {
  const dir = options.dir ?? (await mkdtemp(join(tmpdir(), "bellwether-influx-")));
  const server = new Influx(dir, options, await freePort(), await freePort());
  await server.start();
  return server;
}

export class Influx implements AsyncDisposable {
  readonly dir: string;
  readonly port: number;
  readonly #rpcPort: number;
  readonly #options: InfluxOptions;
  #overrides: Overrides;
  #child: ChildProcess | null = null;
  #fresh = true;

  constructor(dir: string, options: InfluxOptions, port: number, rpcPort: number) {
    this.dir = dir;
    this.port = port;
    this.#rpcPort = rpcPort;
    this.#options = options;
    this.#overrides = options.overrides ?? {};
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** @throws Error while the server is down */
  get pid(): number {
    const pid = this.#child?.pid;
    if (pid === undefined) throw new Error("influxd is not running");
    return pid;
  }

  /** `http://user:password@127.0.0.1:PORT/database`; without authentication there is no user. */
  urlWith(database: string, user: { name: string; password: string } | undefined = this.#options.admin): string {
    const url = new URL(`${this.url}/${database}`);
    url.username = encodeURIComponent(user?.name ?? "");
    url.password = encodeURIComponent(user?.password ?? "");
    return url.href;
  }

  /**
   * Starts it, again on the same folder and ports if it was there before.
   * @param overrides take the place of those given before
   */
  async start(overrides: Overrides = this.#overrides): Promise<void> {
    if (this.#child !== null) throw new Error("influxd is running");
    this.#overrides = overrides;
    await mkdir(this.#data, { recursive: true });
    await writeFile(join(this.dir, "influxd.conf"), configText(this.#config()));
    const log = openSync(join(this.dir, "influxd.log"), "a");
    const args = ["-config", join(this.dir, "influxd.conf")];
    this.#child = spawnBound(influxd.find() as string, args, { stdio: ["ignore", log, log] });
    closeSync(log);
    await this.#answering(this.#child);
    if (this.#fresh) await this.#furnish();
    this.#fresh = false;
  }

  /** SIGTERM: it closes its files and ends. A paused server is resumed first. */
  async stop(): Promise<void> {
    this.resume();
    await this.#end("SIGTERM");
  }

  /** SIGKILL: it ends as it stands. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** It goes on accepting connections, as the kernel does that, and answers none. */
  pause(): void {
    process.kill(this.pid, "SIGSTOP");
  }

  resume(): void {
    this.#child?.kill("SIGCONT");
  }

  /** Loses its data, users and databases with it. Only while it is stopped; what the options name is made at the start. */
  async wipe(): Promise<void> {
    this.#mustBeDown();
    await rm(this.#data, { recursive: true, force: true });
    this.#fresh = true;
  }

  /** Copies the data into a folder that need not be there. Only while it is stopped. */
  async snapshotTo(folder: string): Promise<void> {
    this.#mustBeDown();
    await cp(this.#data, folder, { recursive: true });
  }

  /** Takes the data of a snapshot in place of its own. Only while it is stopped. */
  async restoreFrom(folder: string): Promise<void> {
    await this.wipe();
    await cp(folder, this.#data, { recursive: true });
    this.#fresh = false;
  }

  /**
   * InfluxQL, several statements parted by `;`, as the administrator. Times are in ms.
   * @throws Error with the server's text, also where it answers 200 and the error is in the body
   */
  async query(q: string, db = ""): Promise<InfluxResults> {
    const response = await fetch(`${this.url}/query`, {
      method: "POST",
      headers: this.#headers(),
      body: new URLSearchParams({ q, db, epoch: "ms" }),
    });
    const text = await response.text();
    const body = JSON.parse(text) as { error?: string; results?: { error?: string }[] };
    const error = body.error ?? body.results?.find((result) => result.error !== undefined)?.error;
    if (error !== undefined) throw new Error(`${error} (${response.status}, to ${JSON.stringify(q)})`);
    return body as InfluxResults;
  }

  /** How many values of a field there are, in all series of the default retention policy. */
  async count(db: string, measurement: string, field: string): Promise<number> {
    const { results } = await this.query(`select count("${field}") from "${measurement}"`, db);
    return Number(results[0]?.series?.[0]?.values[0]?.[1] ?? 0);
  }

  /** Line protocol with times in ms, as the administrator; the answer as it comes. */
  async write(db: string, lines: string, rp = ""): Promise<Response> {
    const parameters = new URLSearchParams({ db, rp, precision: "ms" });
    return fetch(`${this.url}/write?${parameters}`, { method: "POST", headers: this.#headers(), body: lines });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    if (this.#options.dir === undefined) await rm(this.dir, { recursive: true, force: true });
  }

  get #data(): string {
    return join(this.dir, "db");
  }

  #headers(): Record<string, string> {
    const { admin } = this.#options;
    if (admin === undefined) return {};
    return { authorization: `Basic ${Buffer.from(`${admin.name}:${admin.password}`).toString("base64")}` };
  }

  #config(): Overrides {
    return {
      "meta.dir": join(this.#data, "meta"),
      "meta.logging-enabled": false,
      "data.dir": join(this.#data, "data"),
      "data.wal-dir": join(this.#data, "wal"),
      "data.query-log-enabled": false,
      "monitor.store-enabled": false,
      "http.bind-address": `127.0.0.1:${this.port}`,
      "http.auth-enabled": this.#options.admin !== undefined,
      "http.log-enabled": false,
      "continuous_queries.log-enabled": false,
      "logging.level": "warn",
      // Under the name that InfluxData's builds have, and in the sense that Debian's build has.
      "reporting-disabled": true,
      "reporting-enabled": false,
      "bind-address": `127.0.0.1:${this.#rpcPort}`,
      ...this.#overrides,
    };
  }

  async #answering(child: ChildProcess): Promise<void> {
    const untilMs = Date.now() + startMsMax;
    while (Date.now() < untilMs) {
      const up = await fetch(`${this.url}/ping`, { signal: AbortSignal.timeout(2_000) }).catch(() => null);
      if (up?.status === 204) return;
      if (child.exitCode !== null || child.signalCode !== null) break;
      await sleep(20);
    }
    await this.kill();
    const log = await readFile(join(this.dir, "influxd.log"), "utf8");
    throw new Error(`influxd did not start:\n${log.slice(-2_000)}`);
  }

  /** Users first: while there is none, only the making of an administrator is let through. */
  async #furnish(): Promise<void> {
    const { admin, users = [], databases = [] } = this.#options;
    if (admin !== undefined) {
      await this.query(`create user "${admin.name}" with password '${admin.password}' with all privileges`);
    }
    for (const database of databases) await this.query(`create database "${database}"`);
    for (const { name, password, rights } of users) {
      await this.query(`create user "${name}" with password '${password}'`);
      for (const [database, right] of Object.entries(rights)) {
        await this.query(`grant ${right} on "${database}" to "${name}"`);
      }
    }
  }

  async #end(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    const child = this.#child;
    if (child === null) return;
    await end(child, signal);
    this.#child = null;
  }

  #mustBeDown(): void {
    if (this.#child !== null) throw new Error("influxd is running: stop or kill it first");
  }
}

/** Keys without a section come first, as TOML wants it. */
function configText(config: Overrides): string {
  const sections = new Map<string, string[]>([["", []]]);
  for (const [path, value] of Object.entries(config)) {
    const dot = path.lastIndexOf(".");
    const lines = sections.get(path.slice(0, Math.max(dot, 0))) ?? [];
    lines.push(`${path.slice(dot + 1)} = ${JSON.stringify(value)}`);
    sections.set(path.slice(0, Math.max(dot, 0)), lines);
  }
  return [...sections]
    .map(([name, lines]) => [...(name === "" ? [] : [`[${name}]`]), ...lines, ""].join("\n"))
    .join("\n");
}
