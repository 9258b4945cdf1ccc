/** Elasticsearch as a process of its own, to be killed, stopped and started again. See `elasticsearch/README.md`. */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { whyMissing } from "../debian.ts";
import { java, maven } from "../java.ts";
import { OwnServer } from "./own.ts";
import { freePort } from "./process.ts";

export type ElasticsearchOptions = {
  /** With ES|QL: 350 MB and 7 to 11 s to start in place of 230 MB and 2.5 s. Default false. */
  readonly esql?: boolean;
  /** True: the test kills or pauses it, so that a server elsewhere will not do. Default false. */
  readonly own?: boolean;
  /** `search.max_buckets` -> value. */
  readonly settings?: Readonly<Record<string, string | number | boolean>>;
};

/** A server that runs already takes the place of one that is started here, where a test does not end it. */
const elsewhere = process.env.BELLWETHER_TEST_ELASTICSEARCH_URL;
const sources = join(import.meta.dirname, "elasticsearch");
const javaFiles = ["ClasspathPlugins.java", "EsNode.java"].map((name) => join(sources, name));
const esqlPlugins = [
  "+org.elasticsearch.xpack.core.XPackPlugin",
  "+org.elasticsearch.xpack.esql.core.plugin.EsqlCorePlugin",
  "+org.elasticsearch.xpack.esql.plugin.EsqlPlugin",
  "xpack.security.enabled=false",
];
const resolveMsMax = 300_000;

/** Null if one can be started, else the reason. The first time it resolves and compiles what is needed. */
export async function whyNoElasticsearch({
  esql = false,
  own = false,
}: ElasticsearchOptions = {}): Promise<string | null> {
  if (elsewhere !== undefined && !own) return null;
  const missing = whyMissing(java) ?? whyMissing(maven);
  if (missing !== null) return missing;
  try {
    await classPath(esql);
    return null;
  } catch (thrown) {
    return (thrown as Error).message;
  }
}

/** Starts a server on a free loopback port and waits until it answers, and what was stored can be searched. */
export async function startElasticsearch(options: ElasticsearchOptions = {}): Promise<Elasticsearch> {
  const dir = await mkdtemp(join(tmpdir(), "bellwether-elasticsearch-"));
  const server = new Elasticsearch(dir, await freePort(), options);
  await server.start();
  return server;
}

export class Elasticsearch extends OwnServer {
  readonly #options: ElasticsearchOptions;
  readonly #elsewhere: string | null;

  constructor(dir: string, port: number, options: ElasticsearchOptions) {
    super("elasticsearch", dir, port, false);
    this.#options = options;
    this.#elsewhere = options.own === true ? null : (elsewhere ?? null);
  }

  get url(): string {
    return this.#elsewhere ?? `http://127.0.0.1:${this.port}`;
  }

  /** Whether it has the script language that sleeps. */
  get sleeps(): boolean {
    return this.#elsewhere === null;
  }

  override async start(): Promise<void> {
    if (this.#elsewhere === null) await super.start();
  }

  /** @throws Error with the server's text for a status of 400 and more */
  async call<T = Record<string, unknown>>(method: string, path: string, body?: unknown): Promise<T> {
    const type = typeof body === "string" ? "application/x-ndjson" : "application/json";
    const response = await fetch(`${this.url}/${path}`, {
      method,
      headers: body === undefined ? {} : { "content-type": type },
      body: body === undefined ? null : typeof body === "string" ? body : JSON.stringify(body),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text.slice(0, 2_000)}`);
    return (text === "" ? {} : JSON.parse(text)) as T;
  }

  /** Puts documents into an index that exists, so that the next search finds them. */
  async add(index: string, documents: readonly object[]): Promise<void> {
    const lines = documents.map((document) => `{"index":{}}\n${JSON.stringify(document)}\n`).join("");
    const { errors, items } = await this.call<{ errors: boolean; items: unknown[] }>(
      "POST",
      `${index}/_bulk?refresh=true`,
      lines,
    );
    if (errors) throw new Error(`not all documents were taken: ${JSON.stringify(items).slice(0, 2_000)}`);
  }

  /** Searches under way, as the server lists its tasks, those of ES|QL among them. */
  async searches(): Promise<readonly { readonly action: string; readonly cancelled: boolean; opaqueId?: string }[]> {
    type Task = { action: string; cancelled?: boolean; headers?: Record<string, string> };
    const path = "_tasks?actions=indices:data/read/search*,indices:data/read/esql*&detailed=true&group_by=none";
    const { tasks } = await this.call<{ tasks: Task[] | Record<string, Task> }>("GET", path);
    return Object.values(tasks).map(({ action, cancelled = false, headers }) => {
      const opaqueId = headers?.["X-Opaque-Id"];
      return opaqueId === undefined ? { action, cancelled } : { action, cancelled, opaqueId };
    });
  }

  protected override async launch() {
    const { esql = false, settings = {} } = this.#options;
    const args = ["-Xms512m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", await classPath(esql)];
    args.push("org.elasticsearch.node.EsNode", join(this.dir, "home"), String(this.port));
    args.push(...Object.entries(settings).map(([key, value]) => `${key}=${value}`), ...(esql ? esqlPlugins : []));
    return { command: java.find() as string, args, options: { env: { PATH: process.env.PATH } } };
  }

  protected override async answers(): Promise<boolean> {
    const health = `${this.url}/_cluster/health?wait_for_status=green&timeout=2s`;
    return (await fetch(health, { signal: AbortSignal.timeout(5_000) })).status === 200;
  }
}

/** Of one process: two test files in it resolve once. */
const prepared = new Map<boolean, Promise<string>>();

function classPath(esql: boolean): Promise<string> {
  const known = prepared.get(esql) ?? prepare(esql);
  prepared.set(esql, known);
  return known;
}

/**
 * Jars by Maven, classes by javac, once for each version of the files that say so; what is there already is used.
 * @returns the class path @throws Error with the last lines of what Maven said
 */
async function prepare(esql: boolean): Promise<string> {
  const pom = join(sources, esql ? "pom-esql.xml" : "pom.xml");
  const hash = createHash("sha256");
  for (const file of [pom, ...javaFiles]) hash.update(readFileSync(file));
  const caches = process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache");
  const cache = join(caches, "bellwether", `elasticsearch-${hash.digest("hex").slice(0, 12)}`);
  const listed = join(cache, "classpath");
  await mkdir(join(cache, "classes"), { recursive: true });
  if (!isWhole(listed)) {
    console.log(`resolving Elasticsearch${esql ? " with ES|QL" : ""} for the tests (once) ...`);
    await resolve(cache, pom);
  }
  return `${join(cache, "classes")}:${readFileSync(listed, "utf8").trim()}`;
}

/** Whether the list is there and every jar that it names. */
function isWhole(listed: string): boolean {
  return existsSync(listed) && readFileSync(listed, "utf8").trim().split(":").every(existsSync);
}

/** $1 cache folder, $2 Maven, $3 pom, the rest Java files. What another process did meanwhile is not done again. */
const script = `
  set -eu
  cache=$1 maven=$2 pom=$3
  shift 3
  whole=yes
  for jar in $(cat "$cache/classpath" 2>/dev/null | tr ':' ' ') "$cache/classpath"; do [ -e "$jar" ] || whole=no; done
  [ $whole = no ] || exit 0
  "$maven" -B -ntp -q -f "$pom" dependency:build-classpath -Dmdep.outputFile="$cache/jars"
  javac -nowarn -d "$cache/classes" -cp "$(cat "$cache/jars")" "$@"
  mv "$cache/jars" "$cache/classpath"
`;

/** Under a lock of the kernel's, which goes with its holder: two processes do not resolve at the same time. */
async function resolve(cache: string, pom: string): Promise<void> {
  const args = [join(cache, "lock"), "sh", "-c", script, "sh", cache, maven.find() as string, pom, ...javaFiles];
  const child = spawn("flock", args, { stdio: ["ignore", "pipe", "pipe"], timeout: resolveMsMax });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (piece) => (said += piece));
  const [code] = (await once(child, "close")) as [number | null];
  if (code === 0) return;
  const reason = /\[ERROR\] (.+)/.exec(said)?.[1] ?? `it ended with ${code}: ${said.trim().slice(-200)}`;
  throw new Error(`Elasticsearch could not be resolved by Maven: ${reason}`);
}
