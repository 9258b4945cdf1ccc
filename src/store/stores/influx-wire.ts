/**
 * Requests to one InfluxDB, by the transport of its official client. The client's own writing is not used: it keeps
 * points in memory, gives them up after some tries and takes a 404 for something that passes.
 */
import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import { HttpError, InfluxDB, type SendOptions, type Transport } from "@influxdata/influxdb-client";

export type WireOptions = {
  /** `http://host:port`, without user and password. */
  readonly url: string;
  readonly user?: string | undefined;
  readonly password?: string | undefined;
  readonly token?: string | undefined;
  /** Connections at a time, kept open between requests. */
  readonly socketsMax: number;
};

/** How a request ended, if the server answered. */
export type WireReply = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: string;
};

export type Generation = 1 | 2 | 3;

/** How each generation wants to be shown a token. */
const tokenSchemes: Readonly<Record<Generation, string>> = { 1: "Token", 2: "Token", 3: "Bearer" };

/** Bytes of an answer that is taken as a whole. */
const bodyBytesMax = 64 * 1024 * 1024;

export class Wire implements Disposable {
  readonly #transport: Transport;
  readonly #agent: HttpAgent;
  readonly #options: WireOptions;
  #generation: Generation | null = null;

  constructor(options: WireOptions) {
    this.#options = options;
    const Agent = options.url.startsWith("https:") ? HttpsAgent : HttpAgent;
    this.#agent = new Agent({ keepAlive: true, maxSockets: options.socketsMax });
    // Its timeout counts idle time of the socket; the signal of each request counts all of it.
    const influx = new InfluxDB({ url: options.url, timeout: 0, transportOptions: { agent: this.#agent } });
    this.#transport = influx.transport;
  }

  /** @throws what the transport throws if there was no answer, with the signal's reason if it was that */
  async request(
    method: "GET" | "POST",
    path: string,
    body: string | Uint8Array,
    signal: AbortSignal,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<WireReply> {
    return this.#heeding(async () => {
      const authorization = await this.#authorization(signal);
      return this.#send(path, body, { method, signal, headers: { ...headers, ...authorization } });
    }, signal);
  }

  /** The body of an answer as it arrives. @throws HttpError if its status is not 200, else as {@link request} */
  async *stream(path: string, body: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const headers = {
      "content-type": "application/x-www-form-urlencoded",
      accept: "application/json",
      "accept-encoding": "gzip",
      ...(await this.#heeding(() => this.#authorization(signal), signal)),
    };
    try {
      yield* this.#transport.iterate(path, body, { method: "POST", headers, signal });
    } catch (thrown) {
      throw this.#failed(thrown, signal);
    }
  }

  /** What the server is, without a right being needed in 1.x and 2.x. */
  ping(signal: AbortSignal): Promise<WireReply> {
    return this.#heeding(() => this.#send("/ping", "", { method: "GET", signal, headers: this.#basic() }), signal);
  }

  /** Asked once, and again after a request that was not answered or not let in. @throws Error if it does not tell */
  async generation(signal: AbortSignal): Promise<Generation> {
    if (this.#generation === null) {
      const version = versionOf(await this.ping(signal));
      const number = Number(/\d+/.exec(version ?? "")?.[0]);
      if (number !== 1 && number !== 2 && number !== 3) {
        throw new Error(`it is no InfluxDB 1.x, 2.x or 3.x (its version: ${version ?? "not told"})`);
      }
      this.#generation = number;
    }
    return this.#generation;
  }

  /** A text without what must not be seen. */
  redacted(text: string): string {
    const secrets = [this.#options.password, this.#options.token].filter((secret) => secret !== undefined);
    return secrets.reduce((rest, secret) => (secret === "" ? rest : rest.replaceAll(secret, "***")), text);
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }

  async #authorization(signal: AbortSignal): Promise<Record<string, string>> {
    const { token } = this.#options;
    if (token === undefined) return this.#basic();
    return { authorization: `${tokenSchemes[await this.generation(signal)]} ${token}` };
  }

  /** User and password; in their absence the token as 3.x takes it, which is the one that asks even for a ping. */
  #basic(): Record<string, string> {
    const { user, password = "", token } = this.#options;
    if (user !== undefined) return { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}` };
    return token === undefined ? {} : { authorization: `${tokenSchemes[3]} ${token}` };
  }

  #send(path: string, body: string | Uint8Array, options: SendOptions): Promise<WireReply> {
    return new Promise((resolve, reject) => {
      const pieces: Uint8Array[] = [];
      let size = 0;
      let started: Pick<WireReply, "status" | "headers"> = { status: 0, headers: {} };
      // The transport makes a Buffer of the body, whatever it is; a body that is compressed already goes through as it is.
      this.#transport.send(path, body as string, options, {
        responseStarted: (headers, status = 0) => {
          started = { status, headers: headers as WireReply["headers"] };
        },
        next: (piece: Uint8Array) => {
          size += piece.length;
          if (size > bodyBytesMax) reject(new Error(`its answer is longer than ${bodyBytesMax} bytes`));
          else pieces.push(piece);
        },
        error: (error) => {
          if (!(error instanceof HttpError)) return reject(error);
          resolve({ status: error.statusCode, headers: started.headers, body: error.body ?? "" });
        },
        complete: () => resolve({ ...started, body: Buffer.concat(pieces).toString() }),
      });
    });
  }

  async #heeding<T extends object>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    try {
      const done = await work();
      if ("status" in done && (done.status === 401 || Number(done.status) >= 500)) this.#generation = null;
      return done;
    } catch (thrown) {
      throw this.#failed(thrown, signal);
    }
  }

  /** The transport says "aborted" whatever the reason. */
  #failed(thrown: unknown, signal: AbortSignal): unknown {
    if (!(thrown instanceof HttpError) || thrown.statusCode === 401 || thrown.statusCode >= 500)
      this.#generation = null;
    return signal.aborted ? signal.reason : thrown;
  }
}

/** `1.6.7`, `v2.8.0`, as the server says it. */
export function versionOf({ headers, body }: WireReply): string | null {
  const header = headers["x-influxdb-version"];
  if (header !== undefined) return header;
  return /"version"\s*:\s*"([^"]+)"/.exec(body)?.[1] ?? null;
}
