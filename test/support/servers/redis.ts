/** Debian's Redis as a process of its own, to be killed, paused, filled and replicated. */
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { redis, whyMissing } from "../debian.ts";
import { OwnServer, serverFolder } from "./own.ts";
import { freePort } from "./process.ts";

/** Directive of `redis.conf` -> value: `{ maxmemory: "2mb" }`, `{ replicaof: "127.0.0.1 6379" }`. */
export type RedisConfig = Readonly<Record<string, string>>;

export type RedisOptions = {
  readonly config?: RedisConfig;
  /** Where files go; the folder stays at the end. Default: a new folder that goes at the end. */
  readonly dir?: string;
  /** True: the test kills or pauses it, so that a server elsewhere will not do. Default false. */
  readonly own?: boolean;
};

/** A server that runs already takes the place of one that is started here, where a test does not end it. */
const elsewhere = process.env.BELLWETHER_TEST_REDIS_URL;

/** What is safe for a queue; goes under what a test asks for. */
const defaults: RedisConfig = {
  appendonly: "yes",
  appendfsync: "everysec",
  "maxmemory-policy": "noeviction",
  save: '""',
  "repl-diskless-sync-delay": "0",
};

/** Null if one can be had, else the reason, for those whose tests are skipped. */
export function whyNoRedis({ own = false }: Pick<RedisOptions, "own"> = {}): string | null {
  return elsewhere !== undefined && !own ? null : whyMissing(redis);
}

/** Starts a server on a free loopback port and waits until it answers. */
export async function startRedis(options: RedisOptions = {}): Promise<Redis> {
  const isOwn = elsewhere === undefined || options.own === true || options.config !== undefined;
  const dir = options.dir ?? (await serverFolder("redis"));
  const server = new Redis(dir, await freePort(), options, isOwn ? null : elsewhere);
  await server.start();
  return server;
}

export class Redis extends OwnServer {
  readonly #elsewhere: string | null;
  #config: RedisConfig;

  constructor(dir: string, port: number, options: RedisOptions, elsewhereUrl: string | null) {
    super("redis-server", dir, port, options.dir !== undefined);
    this.#config = options.config ?? {};
    this.#elsewhere = elsewhereUrl;
  }

  /** With the password of `requirepass`, if there is one. */
  get url(): string {
    if (this.#elsewhere !== null) return this.#elsewhere;
    const password = this.#config.requirepass;
    const user = password === undefined ? "" : `:${encodeURIComponent(password)}@`;
    return `redis://${user}127.0.0.1:${this.port}`;
  }

  /** @param config takes the place of what was given before */
  override async start(config: RedisConfig = this.#config): Promise<void> {
    this.#config = config;
    if (this.#elsewhere === null) await super.start();
  }

  protected async launch(): Promise<{ command: string; args: readonly string[] }> {
    const config = { ...defaults, ...this.#config, port: this.port, bind: "127.0.0.1", dir: this.dir, daemonize: "no" };
    const file = join(this.dir, "redis.conf");
    const lines = Object.entries(config).map(([directive, value]) => `${directive} ${value}\n`);
    await writeFile(file, lines.join(""));
    return { command: redis.find() as string, args: [file] };
  }

  /** Up when it says anything but that it is still reading its files; without the password that is a refusal. */
  protected async answers(): Promise<boolean> {
    const socket = connect(this.port, "127.0.0.1").setTimeout(1_000, () => socket.destroy());
    try {
      socket.write("PING\r\n");
      const [answer] = await once(socket, "data");
      return !String(answer).startsWith("-LOADING");
    } finally {
      socket.destroy();
    }
  }
}
