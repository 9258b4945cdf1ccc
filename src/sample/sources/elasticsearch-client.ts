/**
 * Elastic's own client, held short: it asks what it is told, once, and nobody else. No sniffing of nodes, no retries, no
 * redirects, no word about us but an opaque id that the server's task list shows.
 */
import { lookup as lookupName } from "node:dns";
import { readFileSync } from "node:fs";
import { isIP, type LookupFunction } from "node:net";
import { resolve } from "node:path";
import { Client, errors, Serializer } from "@elastic/elasticsearch";
import { buildConnector } from "undici";
import { isLoopback, judgeAddress, type Network, parseNetworks } from "../../core/address.ts";
import type { Connection } from "../../core/definitions.ts";
import { counter, gauge } from "../../core/measure.ts";
import type { Measure, SourceDeps } from "../../core/ports.ts";
import { messageOf, Problem } from "../../core/problem.ts";
import { minuteMs } from "../../core/time.ts";
import type { ElasticsearchConnection } from "./elasticsearch-connection.ts";
import { answerProblem, connectProblem, notElasticsearch, tooLong, unreachable } from "./elasticsearch-problems.ts";
import { isMap, type JsonMap } from "./elasticsearch-queries.ts";

/** Unpacked; answers are asked for without packing. */
const answerBytesMax = 64 * 1_048_576;

/** What the server's task list and its slow log show of us. */
const opaqueId = "bellwether";

export type Request = {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly query?: Readonly<Record<string, string | boolean>>;
  readonly body?: JsonMap;
};

/** Whole numbers that a JavaScript number would round stay exact, as bigint. */
class ExactSerializer extends Serializer {
  override deserialize<T>(json: string): T {
    const exact = (_key: string, value: unknown, context?: { readonly source?: string }): unknown => {
      if (typeof value !== "number" || Number.isSafeInteger(value) || !/^-?\d+$/.test(context?.source ?? ""))
        return value;
      return BigInt(context?.source as string);
    };
    try {
      return JSON.parse(json, exact) as T;
    } catch (thrown) {
      throw new errors.DeserializationError(messageOf(thrown), json);
    }
  }
}

export class ElasticsearchClient implements AsyncDisposable {
  readonly #name: string;
  readonly #where: string;
  readonly #options: ElasticsearchConnection;
  readonly #deps: SourceDeps;
  readonly #networks: readonly Network[];
  readonly #client: Client;
  /** What kept a connection from coming about: the client keeps the text of an error alone, which is its number here. */
  readonly #refusals = new Map<string, Problem>();
  #refused = 0;
  #underWay = 0;
  #requests = 0;
  #line: (() => void)[] = [];

  constructor({ name }: Connection, options: ElasticsearchConnection, deps: SourceDeps) {
    this.#name = name;
    this.#where = `connection ${name}`;
    this.#options = options;
    this.#deps = deps;
    this.#networks = parseNetworks(options.networks);
    const connect = this.#connector();
    this.#client = new Client({
      nodes: [...options.url],
      Serializer: ExactSerializer,
      maxRetries: 0,
      sniffOnStart: false,
      sniffOnConnectionFault: false,
      sniffInterval: false,
      // A node that failed is asked again by the next request, and not by a request of the client's own.
      resurrectStrategy: "optimistic",
      enableMetaHeader: false,
      compression: false,
      headers: { "user-agent": "bellwether", "x-opaque-id": opaqueId },
      // The caller's signal bounds each request; this is the end of those whose caller has none.
      requestTimeout: 60 * minuteMs,
      maxResponseSize: answerBytesMax,
      maxCompressedResponseSize: answerBytesMax,
      // The client hands all of this on to undici, whose `connect` its types leave out.
      agent: { connections: options.requests_max, connect } as object,
    });
  }

  /** Without user and password. */
  get place(): string {
    return this.#options.url.map((url) => new URL(url).host).join(",");
  }

  /**
   * One request; waits for a place if too many are under way. When the signal aborts the connection is closed, and the
   * server cancels the search. @throws the signal's reason if it aborts, else Problem
   */
  async ask(request: Request, signal: AbortSignal): Promise<JsonMap> {
    await this.#place(signal);
    try {
      this.#requests += 1;
      return await this.#send(request, signal);
    } finally {
      this.#underWay -= 1;
      this.#line.shift()?.();
    }
  }

  measures(): Measure[] {
    const labels = { connection: this.#name };
    return [
      gauge("elasticsearch_requests_running", "Requests under way.", this.#underWay, labels),
      gauge("elasticsearch_requests_waiting", "Requests that wait for a place.", this.#line.length, labels),
      counter("elasticsearch_requests", "Requests sent.", this.#requests, labels),
    ];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client.close();
  }

  async #place(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    while (this.#underWay >= this.#options.requests_max) {
      await new Promise<void>((resolve, reject) => {
        const next = (): void => {
          signal.removeEventListener("abort", leave);
          resolve();
        };
        const leave = (): void => {
          this.#line = this.#line.filter((other) => other !== next);
          reject(signal.reason);
        };
        this.#line.push(next);
        signal.addEventListener("abort", leave, { once: true });
      });
    }
    this.#underWay += 1;
  }

  async #send({ method, path, query = {}, body }: Request, signal: AbortSignal): Promise<JsonMap> {
    const headers = this.#authorization();
    try {
      const parameters = { method, path, querystring: query, ...(body === undefined ? {} : { body }) };
      const { body: answer } = await this.#client.transport.request(parameters, {
        signal,
        headers,
        meta: true,
        openTelemetry: { enabled: false },
      });
      signal.throwIfAborted();
      if (!isMap(answer)) throw notElasticsearch("no JSON", this.#where);
      return answer;
    } catch (thrown) {
      signal.throwIfAborted();
      throw this.#problemOf(thrown);
    }
  }

  /** Read anew for each request, so that a secret that was changed holds at once. */
  #authorization(): Record<string, string> {
    const { auth } = this.#options;
    if (auth === undefined) return {};
    const { secret } = this.#deps;
    if (auth.api_key !== undefined) return { authorization: `ApiKey ${secret(auth.api_key)}` };
    const { user, password } = auth.basic as { user: string; password: string };
    return { authorization: `Basic ${Buffer.from(`${user}:${secret(password)}`).toString("base64")}` };
  }

  /** Errors of the client's hold the whole request, so none becomes the cause of a Problem. */
  #problemOf(thrown: unknown): Problem {
    if (thrown instanceof Problem) return thrown;
    if (thrown instanceof errors.ResponseError) {
      const retryAfter = thrown.headers?.["retry-after"];
      return answerProblem(thrown.statusCode ?? 0, thrown.body, this.#where, retryAfter);
    }
    if (thrown instanceof errors.ProductNotSupportedError) return notElasticsearch("it does not say so", this.#where);
    if (thrown instanceof errors.DeserializationError) return notElasticsearch("broken JSON", this.#where);
    if (thrown instanceof errors.RequestAbortedError) return tooLong(answerBytesMax, this.#where);
    const text = messageOf(thrown);
    const refusal = this.#refusals.get(text);
    this.#refusals.delete(text);
    return refusal ?? unreachable(`${this.place} cannot be reached: ${text.split(" - ")[0]}`, this.#where);
  }

  /** Looks at each address in the moment of connecting, and opens the socket to the very one that was looked at. */
  #connector(): buildConnector.connector {
    const { ca } = this.#options;
    const connector = buildConnector({
      lookup: this.#lookup,
      allowH2: false,
      // Said aloud, since otherwise an environment variable decides.
      rejectUnauthorized: true,
      ...(ca === undefined ? {} : { ca: this.#certificate(ca) }),
    });
    return (options, callback) => {
      const host = options.hostname.replace(/^\[|\]$/g, "");
      const refuse = (problem: Problem): void => callback(this.#refuse(problem), null);
      const unfit = isIP(host) === 0 ? null : this.#unfit(host, host);
      if (unfit !== null) return refuse(unfit);
      connector({ ...options, hostname: host }, (...[error, socket]) => {
        if (error instanceof Problem) return refuse(error);
        if (error !== null) {
          const code = String((error as { code?: unknown }).code ?? "");
          return refuse(connectProblem(code, messageOf(error), options.host ?? host, this.#where));
        }
        const { remoteAddress = "" } = socket;
        const open = options.protocol !== "https:" && this.#options.auth !== undefined && !isLoopback(remoteAddress);
        const late = this.#unfit(remoteAddress, host) ?? (open && this.#deps.production ? this.#plain() : null);
        if (late === null) return callback(null, socket);
        socket.destroy();
        return refuse(late);
      });
    };
  }

  #refuse(problem: Problem): Error {
    this.#refused += 1;
    const key = `refusal ${this.#refused}`;
    if (this.#refusals.size >= 100) this.#refusals.clear();
    this.#refusals.set(key, problem);
    return new Error(key);
  }

  #plain(): Problem {
    return new Problem("credentials are not sent over plain http to another machine", {
      code: "NET-017",
      where: this.#where,
      fix: "use https",
    });
  }

  #unfit(address: string, host: string): Problem | null {
    const verdict = judgeAddress(address, this.#networks);
    if (verdict.allowed) return null;
    const what = host === address ? `${address} is` : `${host} is at ${address}, which is`;
    return new Problem(`${what} ${verdict.reason}`, {
      code: "NET-002",
      where: this.#where,
      fix: /^a (?:private|loopback)/.test(verdict.reason)
        ? "add its network to the connection's networks if it is yours"
        : "such addresses are never connected to",
    });
  }

  readonly #lookup: LookupFunction = (host, options, callback) => {
    lookupName(host, { all: true }, (error, found) => {
      if (error !== null) return callback(error, []);
      // Every address that a name stands for is looked at; if one is not fine, none is.
      const unfit = found.map(({ address }) => this.#unfit(address, host)).find((problem) => problem !== null);
      if (unfit !== undefined && unfit !== null) return callback(unfit, []);
      const [first] = found;
      if (first === undefined) return callback(unreachable(`${host} has no address`, this.#where), []);
      return options.all === true ? callback(null, found) : callback(null, first.address, first.family);
    });
  };

  #certificate(file: string): string {
    try {
      return readFileSync(resolve(this.#deps.dataDir, file), "utf8");
    } catch {
      throw new Problem(`${file} cannot be read`, {
        code: "NET-008",
        where: this.#where,
        fix: "check the connection's ca, a file of certificates in PEM, and who may read it",
      });
    }
  }
}
