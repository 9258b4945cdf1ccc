/** Requests over one connection: guarded, bounded, tried again where that helps, redirects followed by hand. */
import { Agent, type Dispatcher, request } from "undici";
import { counter, gauge } from "../../core/measure.ts";
import type { Measure } from "../../core/ports.ts";
import { Problem } from "../../core/problem.ts";
import { stopwatch, systemClock, timedOut } from "../../core/time.ts";
import { readBody } from "./http-body.ts";
import { Guard, type GuardOptions } from "./http-guard.ts";
import { Places } from "./http-places.ts";
import { cutAt, isBusy, statusProblem, wireProblem } from "./http-problems.ts";

export type ClientOptions = Omit<GuardOptions, "where" | "encryptedOnly"> & {
  /** The connection's name. */
  readonly name: string;
  /** Headers of every request. */
  readonly plainHeaders: Readonly<Record<string, string>>;
  /** Headers that let somebody in, asked for at each request; they go to the connection's own origin alone. */
  readonly secretHeaders: () => Readonly<Record<string, string>>;
  readonly hasSecrets: boolean;
  /** True: what is secret goes over TLS, or not to another machine. */
  readonly production: boolean;
  readonly requestsMax: number;
};

export type Question = {
  readonly url: URL;
  readonly method: "GET" | "POST" | "HEAD";
  readonly accept: string;
  /** JSON; undefined: none. */
  readonly body: string | undefined;
  /** What is known already: its mark is sent with the request to that very URL. */
  readonly known: { readonly url: string; readonly etag: string } | null;
  readonly bytesMax: number;
};

export type Reply = {
  /** Where it came from in the end. */
  readonly url: URL;
  readonly status: number;
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** Empty for 304. */
  readonly body: string;
};

const redirectsMax = 3;
const triesMax = 3;
const retryWaitMs = 250;
/** A longer wait is left to whoever runs samplers: a read that sleeps holds a place. */
const retryWaitMsMax = 2_000;
const headerBytesMax = 16_384;

export class HttpClient implements AsyncDisposable {
  readonly #options: ClientOptions;
  readonly #where: string;
  readonly #guard: Guard;
  readonly #agent: Agent;
  readonly #places: Places;
  #requests = 0;
  #retries = 0;
  #bytes = 0;

  constructor(options: ClientOptions) {
    this.#options = options;
    this.#where = `connection ${options.name}`;
    const encryptedOnly = options.production && options.hasSecrets;
    this.#guard = new Guard({ ...options, where: this.#where, encryptedOnly });
    // Its own timeouts are off: the caller's signal counts all of the time. It knows of no proxy.
    this.#agent = new Agent({
      connect: this.#guard.connect,
      connections: options.requestsMax,
      allowH2: false,
      maxHeaderSize: headerBytesMax,
      headersTimeout: 0,
      bodyTimeout: 0,
    });
    this.#places = new Places(options.requestsMax);
  }

  /** The address that answered last. */
  get reached(): string | null {
    return this.#guard.reached;
  }

  /**
   * @returns the answer of any status that is no redirect and not one of a server that has too much to do
   * @throws Problem NET-...; the signal's reason if it aborts for another cause than time
   */
  async ask(question: Question, signal: AbortSignal): Promise<{ reply: Reply; elapsedMs: number }> {
    const waitedMs = stopwatch();
    try {
      return await this.#places.within(async () => {
        const elapsedMs = stopwatch();
        return { reply: await this.#tried(question, signal), elapsedMs: elapsedMs() };
      }, signal);
    } catch (thrown) {
      if (thrown instanceof Problem) throw thrown;
      if (timedOut(signal)) throw cutAt(waitedMs(), this.#where);
      signal.throwIfAborted();
      throw wireProblem(thrown, question.url.host, this.#where);
    }
  }

  measures(): Measure[] {
    const labels = { connection: this.#options.name };
    return [
      gauge("http_requests_running", "Requests under way.", this.#places.taken, labels),
      gauge("http_requests_waiting", "Requests that wait for a place.", this.#places.waiting, labels),
      counter("http_requests", "Requests sent.", this.#requests, labels),
      counter("http_retries", "Requests sent again to a busy server.", this.#retries, labels),
      counter("http_body_characters", "Characters of answers read.", this.#bytes, labels),
    ];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent.destroy();
  }

  /** Twice more to a server that is busy, as soon as it allows. */
  async #tried(question: Question, signal: AbortSignal): Promise<Reply> {
    for (let attempt = 1; ; attempt += 1) {
      const reply = await this.#followed(question, signal);
      if (!isBusy(reply.status)) return reply;
      const askedMs = retryAfterMs(reply.headers["retry-after"]);
      const waitMs = askedMs ?? retryWaitMs * 2 ** (attempt - 1);
      const what = `${question.method} ${question.url.pathname}`;
      const busy = statusProblem(reply.status, { what, where: this.#where, ...(askedMs && { retryAfterMs: askedMs }) });
      if (attempt === triesMax || waitMs > retryWaitMsMax) throw busy;
      try {
        await systemClock.sleep(waitMs, signal);
      } catch (thrown) {
        throw timedOut(signal) ? busy : thrown;
      }
      this.#retries += 1;
    }
  }

  async #followed(question: Question, signal: AbortSignal): Promise<Reply> {
    let { url } = question;
    let trusted = true;
    for (let hop = 0; ; hop += 1) {
      this.#checkHop(url, hop);
      trusted &&= url.origin === new URL(this.#options.url).origin;
      let answer: Dispatcher.ResponseData;
      try {
        answer = await this.#send(question, url, trusted, signal);
      } catch (thrown) {
        throw hop > 0 ? asRedirect(thrown) : thrown;
      }
      const reply = { url, status: answer.statusCode, headers: flat(answer.headers) };
      const { location } = reply.headers;
      if (!isRedirect(reply.status) || location === undefined) {
        return { ...reply, body: await this.#bodyOf(answer, reply, question, signal) };
      }
      await answer.body.dump();
      url = this.#nextHop(url, location, hop, question.method, reply.status);
    }
  }

  #checkHop(url: URL, hop: number): void {
    try {
      this.#guard.checkUrl(url);
    } catch (thrown) {
      throw hop > 0 ? asRedirect(thrown) : thrown;
    }
  }

  async #send(question: Question, url: URL, trusted: boolean, signal: AbortSignal): Promise<Dispatcher.ResponseData> {
    const { method, body, known } = question;
    this.#requests += 1;
    const sent = request(url, {
      dispatcher: this.#agent,
      method,
      signal,
      headers: {
        "user-agent": "Bellwether",
        accept: question.accept,
        ...this.#options.plainHeaders,
        ...(trusted ? this.#options.secretHeaders() : {}),
        "accept-encoding": "gzip",
        ...(body !== undefined && { "content-type": "application/json" }),
        ...(known?.url === url.href && { "if-none-match": known.etag }),
      },
      ...(body !== undefined && { body }),
    });
    return sent.catch((thrown: unknown) => {
      signal.throwIfAborted();
      throw wireProblem(thrown, url.host, this.#where);
    });
  }

  async #bodyOf(
    answer: Dispatcher.ResponseData,
    { status, headers }: Omit<Reply, "body">,
    { method, bytesMax }: Question,
    signal: AbortSignal,
  ): Promise<string> {
    if (method === "HEAD" || status === 304 || isBusy(status)) {
      await answer.body.dump();
      return "";
    }
    const { "content-encoding": encoding, "content-type": type } = headers;
    const body = await readBody(answer.body, { encoding, type, bytesMax, where: this.#where }, signal);
    this.#bytes += body.length;
    return body;
  }

  #nextHop(url: URL, location: string, hop: number, method: string, status: number): URL {
    const refused = (what: string, fix = "give the connection the address that it redirects to"): Problem =>
      new Problem(what, { code: "NET-003", where: this.#where, fix });
    if (hop === redirectsMax) throw refused(`more than ${redirectsMax} redirects`);
    if (!URL.canParse(location, url)) throw refused("a redirect to no URL", "see the server");
    const next = new URL(location, url);
    if (url.protocol === "https:" && next.protocol === "http:") throw refused("a redirect from https to http");
    if (method === "POST" && status !== 307 && status !== 308) {
      throw refused(`a redirect that makes a GET of a POST (${status})`);
    }
    // What a server puts there is no user of ours.
    next.username = "";
    next.password = "";
    return next;
  }
}

function isRedirect(status: number): boolean {
  return status === 301 || status === 302 || status === 303 || status === 307 || status === 308;
}

/** What the guard says of a hop, as what it is: a redirect that leads where it must not. */
function asRedirect(thrown: unknown): unknown {
  if (!(thrown instanceof Problem) || !/^NET-00[12]$/.test(thrown.code ?? "")) return thrown;
  const { where, fix } = thrown;
  return new Problem(`redirected: ${thrown.message}`, { code: "NET-003", where, fix });
}

function flat(headers: Dispatcher.ResponseData["headers"]): Record<string, string | undefined> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(", ") : value]),
  );
}

/** Seconds or a date (RFC 9110, 10.2.3). An hour at most is believed; undefined: nothing was said. */
function retryAfterMs(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const waitMs = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - systemClock.nowMs();
  return Number.isFinite(waitMs) && waitMs > 0 ? Math.min(waitMs, 3_600_000) : undefined;
}
