/** Servers of HTTP and of names on loopback, and sources that ask them. */
import { once } from "node:events";
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from "node:http";
import { createServer as createSecureServer } from "node:https";
import type { AddressInfo } from "node:net";
import dns2 from "dns2";
import type { Connection } from "../../src/core/definitions.ts";
import type { Row, TimeWindow } from "../../src/core/model.ts";
import type { Source, SourceDeps } from "../../src/core/ports.ts";
import { Problem } from "../../src/core/problem.ts";
import { deadline } from "../../src/core/time.ts";
import { http } from "../../src/sample/sources/http.ts";

export type Handler = (request: IncomingMessage, response: ServerResponse) => void;

/** A server on a free port of loopback; handlers by path, each request is written down. */
export class Answers implements AsyncDisposable {
  readonly server: Server;
  readonly seen: IncomingMessage[];
  /** Sockets that were opened to it, whether a request came over them or not. */
  connections = 0;
  readonly #origin: string;

  private constructor(server: Server, origin: string, seen: IncomingMessage[]) {
    this.server = server;
    this.seen = seen;
    this.#origin = origin;
    server.on("connection", () => {
      this.connections += 1;
    });
  }

  static async start(
    handlers: Readonly<Record<string, Handler>>,
    tls?: { key: string; cert: string },
    port = 0,
    host = "127.0.0.1",
  ): Promise<Answers> {
    const seen: IncomingMessage[] = [];
    const listener: RequestListener = (request, response) => {
      seen.push(request);
      const { pathname } = new URL(request.url ?? "/", "http://here");
      const handler = handlers[pathname] ?? handlers["*"];
      if (handler === undefined) response.writeHead(404).end("not here");
      else handler(request, response);
    };
    const server = tls === undefined ? createServer(listener) : createSecureServer(tls, listener);
    server.listen(port, host);
    await once(server, "listening");
    return new Answers(server, `${tls === undefined ? "http" : "https"}://${host}`, seen);
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  get url(): string {
    return `${this.#origin}:${this.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, "close");
  }
}

/** Sends JSON, or text as it is. */
export const answer =
  (body: unknown, headers: Readonly<Record<string, string>> = {}, status = 200): Handler =>
  (_, response) => {
    const text = typeof body === "string" ? body : JSON.stringify(body);
    response.writeHead(status, { "content-type": "application/json", ...headers }).end(text);
  };

/** A name server on 127.0.0.1. `addresses` gives those of a name of one family, each time it is asked. */
export async function nameServer(
  addresses: (name: string, family: 4 | 6) => readonly string[],
): Promise<AsyncDisposable & { readonly place: string }> {
  const { Packet } = dns2;
  const server = dns2.createUDPServer((request, send) => {
    const response = Packet.createResponseFromRequest(request);
    const [question] = request.questions;
    const { name = "", type } = question as { name: string; type: number };
    const family = type === Packet.TYPE.AAAA ? 6 : 4;
    const found = type === Packet.TYPE.A || type === Packet.TYPE.AAAA ? addresses(name.toLowerCase(), family) : [];
    for (const address of found) {
      response.answers.push({ name, type, class: Packet.CLASS.IN, ttl: 0, address } as never);
    }
    void send(response);
  });
  await server.listen(0, "127.0.0.1");
  return {
    place: `127.0.0.1:${server.address().port}`,
    async [Symbol.asyncDispose]() {
      const closed = once(server, "close");
      server.close();
      await closed;
    },
  };
}

const quiet = (): void => {};

export type Asking = {
  /** Options of the connection beside `url`. Loopback is allowed unless `networks` says otherwise. */
  readonly connection?: object;
  /** Options of the sampler beside `connection`. */
  readonly options?: object;
  readonly deps?: Partial<SourceDeps>;
};

/** A source as definitions would make it, its options checked. */
export function httpSource(url: string, { connection = {}, options = {}, deps = {} }: Asking = {}): Source {
  const api: Connection = {
    name: "api",
    kind: "http",
    options: { url, networks: ["127.0.0.0/8"], ...connection },
    budgetMs: 3_600_000,
    place: "rules/connections.yaml:1:1",
  };
  return http.create(http.options.parse({ connection: "api", path: "/", ...options }), {
    connections: new Map([["api", api]]),
    dataDir: "/nowhere",
    secret: (reference) => `value-of-${reference.replace(/\W/g, "-")}`,
    production: false,
    log: { debug: quiet, info: quiet, warn: quiet, error: quiet },
    ...deps,
  });
}

export const nineOClock: TimeWindow = {
  fromMs: Date.parse("2026-11-20T09:00:00Z"),
  toMs: Date.parse("2026-11-20T09:01:00Z"),
};

/** One read by a source of its own, of 20 s at most. */
export async function rowsFrom(url: string, asking: Asking = {}): Promise<readonly Row[]> {
  await using source = httpSource(url, asking);
  return (await source.read(nineOClock, deadline(20_000))).rows;
}

/** What a read fails with. @throws Error if it does not, or with anything else */
export async function problemFrom(url: string, asking: Asking = {}, timeoutMs = 20_000): Promise<Problem> {
  await using source = httpSource(url, asking);
  return problemOf(source.read(nineOClock, deadline(timeoutMs)));
}

export async function problemOf(work: Promise<unknown>): Promise<Problem> {
  const thrown: unknown = await work.then(
    (value) => new Error(`no problem, but ${JSON.stringify(value)?.slice(0, 200)}`),
    (reason: unknown) => reason,
  );
  if (thrown instanceof Problem) return thrown;
  throw thrown;
}
