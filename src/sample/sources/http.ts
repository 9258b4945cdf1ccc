/** Rows from what an HTTP server answers: JSON of any kind, metrics as text, Prometheus' or InfluxDB's query API. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { isLoopback } from "../../core/address.ts";
import type { Connection } from "../../core/definitions.ts";
import type { Row, TimeWindow } from "../../core/model.ts";
import type { Plugin, Source, SourceAnswer, SourceDeps, SourceFacts } from "../../core/ports.ts";
import { messageOf, Problem } from "../../core/problem.ts";
import { type Share, Shares } from "../../core/shares.ts";
import { secondMs, systemClock } from "../../core/time.ts";
import { HttpClient, type Question, type Reply } from "./http-client.ts";
import { formats, refusalOf, rowsOf } from "./http-formats.ts";
import { type ConnectionOptions, connectionOptions, type RequestOptions, requestOptions } from "./http-options.ts";
import { firstPage, nextPage, pagesInCircle, tooManyPages } from "./http-pages.ts";
import { statusProblem } from "./http-problems.ts";
import { select } from "./http-select.ts";
import { bindsSlot, bodyOf, boundsOf, urlOf } from "./http-slot.ts";

const mib = 1024 * 1024;

/**
 * `rows_max` bounds the rows, `body_mib_max` each answer and `pages.max` their number; the caller's signal bounds the
 * time of all together.
 */
const clients = new Shares<HttpClient>();

export const http: Plugin<Source, RequestOptions, SourceDeps> = {
  kind: "http",
  summary: "Rows of what an HTTP server answers: JSON, metrics as text, Prometheus, InfluxDB.",
  example: `http:
  connection: shop-api
  path: /v1/orders
  params: { from: "{slot_start}", to: "{slot_end}" }
  rows: "orders[].{country: country, amount: total}"
`,
  options: requestOptions,
  connections: { http: connectionOptions },
  create: (chosen, deps) => new HttpSource(chosen, deps),
  // Metrics as text are of the moment, whoever asks for them.
  isRepeatable: (chosen) => chosen.format !== "prometheus" && bindsSlot(chosen),
  warnings: (chosen) => {
    if (bindsSlot(chosen) || chosen.format === "prometheus") return [];
    return [
      new Problem("not repeatable: gaps cannot be sampled again", {
        code: "NET-W11",
        path: "path",
        fix: "ask for the slot alone, with {slot_start} and {slot_end}",
        severity: "warning",
      }),
    ];
  },
  batch: (chosen) => JSON.stringify(chosen),
  measures: (deps) => clients.measures(deps),
};

/** A page as it was when its server gave it a mark (ETag). */
type Known = {
  readonly url: string;
  readonly etag: string;
  readonly answer: unknown;
  readonly link: string | undefined;
};

class HttpSource implements Source {
  readonly #chosen: RequestOptions;
  readonly #connection: ConnectionOptions;
  readonly #where: string;
  readonly #production: boolean;
  readonly #share: Share<HttpClient>;
  /** One page, so that it can never be much. */
  #known: Known | null = null;

  constructor(chosen: RequestOptions, deps: SourceDeps) {
    this.#chosen = chosen;
    const connection = connectionOf(chosen.connection, deps.connections);
    this.#connection = connectionOptions.parse(connection.options);
    this.#where = `connection ${connection.name}`;
    this.#production = deps.production;
    const key = JSON.stringify([connection.name, this.#connection]);
    this.#share = clients.share(deps, key, () => clientOf(connection.name, this.#connection, deps));
  }

  async read(window: TimeWindow, signal: AbortSignal): Promise<SourceAnswer> {
    signal.throwIfAborted();
    const share = this.#share.another();
    try {
      return await this.#pages(share.thing, boundsOf(window, this.#chosen.time), signal);
    } finally {
      await share.giveBack();
    }
  }

  async inspect(_window: TimeWindow, signal: AbortSignal): Promise<SourceFacts> {
    signal.throwIfAborted();
    const share = this.#share.another();
    try {
      const url = new URL(this.#connection.url);
      const question: Question = { url, method: "HEAD", accept: "*/*", body: undefined, known: null, bytesMax: mib };
      const { reply } = await share.thing.ask(question, signal);
      const reached = share.thing.reached ?? "";
      return {
        server: `${serverOf(reply)}${reached.startsWith(url.host) ? "" : ` on ${reached}`} at ${url.host}`,
        clockAheadMs: clockAheadMs(reply),
        tables: [
          { name: urlOf(this.#connection.url, { path: this.#chosen.path, params: {} }, sample).pathname, rows: null },
        ],
        estimate: null,
        problems: this.#problems(url, reached, reply.status),
      };
    } finally {
      await share.giveBack();
    }
  }

  /** Reads under way finish first. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#share.giveBack();
  }

  async #pages(client: HttpClient, bounds: ReturnType<typeof boundsOf>, signal: AbortSignal): Promise<SourceAnswer> {
    const { pages, rows_max, body } = this.#chosen;
    const payload = body === undefined ? undefined : JSON.stringify(bodyOf(body, bounds));
    const rows: Row[] = [];
    const asked = new Set<string>();
    let serverMs = 0;
    let url: URL | null = firstPage(urlOf(this.#connection.url, this.#chosen, bounds), pages);
    for (let index = 0; url !== null; index += 1) {
      if (asked.has(url.href)) throw pagesInCircle(this.#where);
      if (pages !== undefined && index === pages.max) throw tooManyPages(pages.max, this.#where);
      asked.add(url.href);
      const page = await this.#page(client, url, payload, index === 0, signal);
      serverMs += page.elapsedMs;
      const found = rowsOf(select(page.answer, this.#chosen.rows), this.#chosen.rows, this.#where);
      rows.push(...found);
      if (rows.length > rows_max) throw tooManyRows(rows_max, this.#where);
      url = nextPage({ url, index, answer: page.answer, rows: found.length, link: page.link }, pages, this.#where);
      signal.throwIfAborted();
    }
    return { rows, cost: { serverMs, rowsRead: null } };
  }

  async #page(
    client: HttpClient,
    url: URL,
    body: string | undefined,
    isFirst: boolean,
    signal: AbortSignal,
  ): Promise<Pick<Known, "answer" | "link"> & { readonly elapsedMs: number }> {
    const { method, format, metric = [], body_mib_max } = this.#chosen;
    const known = isFirst && method === "GET" ? this.#known : null;
    const question = { url, method, accept: formats[format].accept, body, known, bytesMax: body_mib_max * mib };
    const { reply, elapsedMs } = await client.ask(question, signal);
    const { link, etag } = reply.headers;
    if (reply.status === 304 && known?.url === reply.url.href) {
      return { answer: known.answer, link: known.link, elapsedMs };
    }
    if (reply.status < 200 || reply.status >= 300) {
      const what = `${method} ${url.pathname}`;
      throw statusProblem(reply.status, { what, where: this.#where, said: refusalOf(format, reply.body) });
    }
    const answer = formats[format].read({ body: reply.body, metrics: [metric].flat(), where: this.#where });
    if (isFirst && method === "GET") {
      this.#known = etag === undefined ? null : { url: reply.url.href, etag, answer, link };
    }
    return { answer, link, elapsedMs };
  }

  #problems(url: URL, reached: string, status: number): Problem[] {
    const found: Problem[] = [];
    const add = (code: string, what: string, fix: string): void => {
      const severity = this.#production ? "error" : "warning";
      found.push(new Problem(what, { code, where: this.#where, fix, severity }));
    };
    const local = isLoopback(reached.replace(/:\d+$/, "").replace(/^\[|\]$/g, ""));
    if (url.protocol === "http:" && !local) {
      if (hasSecrets(this.#connection)) add("NET-017", "credentials go over plain http", "use https");
      else if (this.#production) add("NET-019", "answers come over plain http", "use https");
    }
    if (status === 401) add("NET-011", "it does not let us in", "check the connection's auth and headers");
    return found;
  }
}

/** Stands for a slot where only the path counts. */
const sample = { slot_start: "slot_start", slot_end: "slot_end" };

function connectionOf(name: string, connections: ReadonlyMap<string, Connection>): Connection {
  const connection = connections.get(name);
  if (connection?.kind === "http") return connection;
  const what = connection === undefined ? "unknown connection" : `cannot read connections of kind ${connection.kind}`;
  throw new Problem(`${what} (got ${JSON.stringify(name)})`, {
    where: connection?.place ?? "rules/connections.yaml",
    fix: `name one of ${[...connections.keys()].join(", ") || "the connections in rules/connections.yaml"}`,
  });
}

function hasSecrets({ auth, headers }: ConnectionOptions): boolean {
  return auth !== undefined || Object.values(headers).some(isReference);
}

function isReference(value: string): boolean {
  return /^(?:env|file|vault):/.test(value);
}

function clientOf(name: string, options: ConnectionOptions, deps: SourceDeps): HttpClient {
  const { url, hosts, networks, dns, ca, headers, auth, requests_max } = options;
  const lower = Object.entries(headers).map(([header, value]) => [header.toLowerCase(), value] as const);
  const plain = lower.filter(([, value]) => !isReference(value));
  const secret = lower.filter(([, value]) => isReference(value));
  const where = `connection ${name}`;
  return new HttpClient({
    name,
    url,
    hosts,
    networks,
    dns,
    ca: ca === undefined ? undefined : certificatesOf(resolve(deps.dataDir, ca), ca, where),
    plainHeaders: Object.fromEntries(plain),
    // Each time anew, so that a secret that was changed is used from then on.
    secretHeaders: () => ({
      ...Object.fromEntries(secret.map(([header, reference]) => [header, sendable(deps.secret(reference), reference)])),
      ...(auth === undefined ? {} : { authorization: authorizationOf(auth, deps) }),
    }),
    hasSecrets: hasSecrets(options),
    production: deps.production,
    requestsMax: requests_max,
  });
}

function authorizationOf({ basic, bearer }: NonNullable<ConnectionOptions["auth"]>, deps: SourceDeps): string {
  if (basic === undefined) return `Bearer ${sendable(deps.secret(bearer as string), bearer as string)}`;
  return `Basic ${Buffer.from(`${basic.user}:${deps.secret(basic.password)}`).toString("base64")}`;
}

/** @throws Problem CFG-013 for what no header can hold, named by its reference alone */
function sendable(value: string, reference: string): string {
  if (/^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(value)) return value;
  const what = `${reference} holds a line break, or what is no ASCII: no header can carry it`;
  throw new Problem(what, { code: "CFG-013", fix: "check what the reference leads to" });
}

function certificatesOf(path: string, name: string, where: string): string {
  try {
    const text = readFileSync(path, "utf8");
    if (text.includes("-----BEGIN CERTIFICATE-----")) return text;
  } catch (thrown) {
    const reason = messageOf(thrown).split(":")[0];
    throw new Problem(`cannot read ${name} (${reason})`, { code: "NET-008", where, fix: "check the path of ca" });
  }
  throw new Problem(`${name} holds no certificate`, { code: "NET-008", where, fix: "have ca lead to a PEM file" });
}

function tooManyRows(rowsMax: number, where: string): Problem {
  return new Problem(`stopped at ${rowsMax + 1} rows (limit ${rowsMax})`, {
    code: "NET-014",
    where,
    fix: "have the server count or group, filter in rows, or raise rows_max",
  });
}

function serverOf({ headers }: Reply): string {
  const name = (headers.server ?? headers["x-influxdb-version"] ?? "").replace(/[^\x20-\x7e]/g, "").trim();
  return name === "" ? "HTTP server" : name.slice(0, 80);
}

/** The header tells whole seconds: what lies within one is no difference. */
function clockAheadMs({ headers }: Reply): number | null {
  const aheadMs = Date.parse(headers.date ?? "") - systemClock.nowMs();
  if (!Number.isFinite(aheadMs)) return null;
  return aheadMs > -secondMs && aheadMs <= 0 ? 0 : aheadMs;
}
