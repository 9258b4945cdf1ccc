/**
 * Webhook: the facts of a message as JSON by POST to the recipient's address, signed as Standard Webhooks ask
 * (https://www.standardwebhooks.com). The receiver tells repeats by `Idempotency-Key` or `webhook-id`.
 */
import { createHmac } from "node:crypto";
import { lookup as lookupName } from "node:dns";
import { request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { BlockList, isIP, type LookupFunction } from "node:net";
import { z } from "zod";
import type { Message } from "../../core/model.ts";
import type { Notifier, NotifierDeps, Plugin } from "../../core/ports.ts";
import { messageOf, Problem } from "../../core/problem.ts";
import { deadline, formatTimeUtc } from "../../core/time.ts";

export type WebhookOptions = {
  /** `whsec_` and base64 of 24 to 64 bytes; two while one replaces the other. Absent: not signed. */
  readonly secrets?: readonly string[] | undefined;
  /** Hosts that may be sent to, `hooks.shop.example`; absent: any but those of {@link never}. */
  readonly allowed?: readonly string[] | undefined;
  /** From the first byte to the end of the answer. Default 10 s. */
  readonly timeoutMs?: number | undefined;
};

const timeoutMsDefault = 10_000;
const answerBytesMax = 65_536;
/** The longest wait that a `Retry-After` is believed. */
const retryAfterMsMax = 3_600_000;

/** Addresses that hand out a machine's own secrets; nothing of ours is ever sent there. */
const never = new BlockList();
never.addSubnet("169.254.0.0", 16, "ipv4");
never.addSubnet("fe80::", 10, "ipv6");
// The same IPv4 addresses behind NAT64 and 6to4.
never.addSubnet("64:ff9b::a9fe:0", 112, "ipv6");
never.addSubnet("2002:a9fe::", 32, "ipv6");
never.addAddress("fd00:ec2::254", "ipv6");

const example = `
secrets: [whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw]
allowed: [hooks.shop.example]
`;

export const webhook: Plugin<Notifier, WebhookOptions, NotifierDeps> = {
  kind: "webhook",
  summary: "JSON by POST to an address, signed",
  example,
  options: z.strictObject({
    secrets: z
      .array(z.string().regex(/^whsec_[A-Za-z0-9+/]{32,88}={0,2}$/, "write whsec_ and base64 of 24 to 64 bytes"))
      .max(2)
      .optional(),
    allowed: z.array(z.string().min(1)).optional(),
    timeoutMs: z.int().min(100).max(60_000).optional(),
  }),
  create: (options, deps) => new WebhookNotifier(options, deps),
};

class WebhookNotifier implements Notifier {
  readonly idempotent = true;
  readonly #options: WebhookOptions;
  readonly #deps: NotifierDeps;

  constructor(options: WebhookOptions, deps: NotifierDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  /** Each recipient has an address of its own, so that all there is to check is whether it signs. */
  async check(): Promise<string> {
    return this.#options.secrets === undefined ? "sends unsigned, no WEBHOOK_SECRET" : "signs what it sends";
  }

  async send(message: Message, signal: AbortSignal): Promise<{ id: string; detail: string }> {
    const url = targetOf(message.to, this.#options.allowed);
    const timeS = Math.floor(this.#deps.clock.nowMs() / 1000);
    const body = JSON.stringify({
      type: `incident.${message.kind}`,
      timestamp: formatTimeUtc(timeS * 1000),
      data: { ...message.facts, subject: message.subject, text: message.text },
    });
    const headers = {
      "content-type": "application/json; charset=utf-8",
      "user-agent": "Bellwether",
      "idempotency-key": message.id,
      ...signatureHeaders(this.#options.secrets ?? [], message.id, timeS, body),
    };
    const { status, retryAfter } = await post(
      url,
      headers,
      body,
      deadline(this.#options.timeoutMs ?? timeoutMsDefault, signal),
    );
    if (status >= 200 && status < 300) return { id: message.id, detail: `${url.host} answered ${status}` };
    throw refusal(url, status, retryAfter, this.#deps.clock.nowMs());
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

/** `v1,` and base64 of HMAC-SHA256 over `id.timestamp.body`, one for each secret. */
function signatureHeaders(secrets: readonly string[], id: string, timeS: number, body: string): Record<string, string> {
  if (secrets.length === 0) return {};
  const signed = secrets.map((secret) => {
    const key = Buffer.from(secret.slice("whsec_".length), "base64");
    return `v1,${createHmac("sha256", key).update(`${id}.${timeS}.${body}`).digest("base64")}`;
  });
  return { "webhook-id": id, "webhook-timestamp": String(timeS), "webhook-signature": signed.join(" ") };
}

/** @throws Problem NET-001 or NET-002, which name the host at most: a path may be a key */
function targetOf(text: string, allowed: readonly string[] | undefined): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || (url.protocol !== "http:" && url.protocol !== "https:")) {
    throw new Problem("a webhook's address is not an http or https URL", { code: "NET-001", fix: "write https://..." });
  }
  if (allowed !== undefined && !allowed.includes(url.hostname)) {
    throw new Problem(`webhooks may not be sent to ${url.hostname}`, {
      code: "NET-002",
      fix: `send to one of ${allowed.join(", ")}`,
    });
  }
  refuseNever(url.hostname.replace(/^\[|\]$/g, ""), url.hostname);
  return url;
}

function refuseNever(address: string, host: string): void {
  const family = isIP(address);
  if (family === 0 || !never.check(address, family === 6 ? "ipv6" : "ipv4")) return;
  throw new Problem(`webhooks are never sent to link-local or metadata addresses (${host})`, {
    code: "NET-002",
    fix: "use the receiver's own address",
  });
}

/** Looks at every address a name stands for at the moment of connecting: names can change between two looks. */
const guardedLookup: LookupFunction = (host, options, callback) => {
  lookupName(host, { ...options, all: true }, (error, addresses) => {
    if (error !== null) return callback(error, []);
    try {
      for (const { address } of addresses) refuseNever(address, host);
    } catch (thrown) {
      return callback(thrown as Error, []);
    }
    const [first] = addresses;
    if (options.all === true || first === undefined) return callback(null, addresses);
    return callback(null, first.address, first.family);
  });
};

type Answer = { readonly status: number; readonly retryAfter: string | undefined };

/** Follows no redirect and reads at most {@link answerBytesMax} of the answer. */
function post(url: URL, headers: Record<string, string>, body: string, signal: AbortSignal): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const request = url.protocol === "https:" ? requestHttps : requestHttp;
  let sent = false;
  const outgoing = request(
    url,
    {
      method: "POST",
      headers: { ...headers, "content-length": String(Buffer.byteLength(body)) },
      lookup: guardedLookup,
      signal,
      agent: false,
    },
    (answer) => {
      let bytes = 0;
      const done = (): void => resolve({ status: answer.statusCode ?? 0, retryAfter: answer.headers["retry-after"] });
      answer.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes <= answerBytesMax) return;
        // The status is known and is all that counts.
        done();
        answer.destroy();
      });
      answer.on("end", done);
      answer.on("error", reject);
    },
  );
  outgoing.on("finish", () => {
    sent = true;
  });
  outgoing.on("error", reject);
  outgoing.end(body);
  return promise.catch((thrown: unknown) => {
    if (thrown instanceof Problem) throw thrown;
    const what = signal.aborted ? "no answer in time" : messageOf(thrown);
    throw new Problem(`webhook to ${url.host} failed: ${what}`, { retryable: true, uncertain: sent, cause: thrown });
  });
}

/** 408, 425, 429 and 5xx may pass; any other answer is the same next time. */
function refusal(url: URL, status: number, retryAfter: string | undefined, nowMs: number): Problem {
  const retryable = status >= 500 || status === 408 || status === 425 || status === 429;
  const redirect = status >= 300 && status < 400 ? "; redirects are not followed" : "";
  return new Problem(`webhook to ${url.host} answered ${status}${redirect}`, {
    fix: redirect === "" ? "see the receiver's own log" : "give the address it redirects to",
    retryable,
    retryAfterMs: retryable ? retryAfterMs(retryAfter, nowMs) : undefined,
  });
}

/** Seconds or a date (RFC 9110, 10.2.3). */
function retryAfterMs(text: string | undefined, nowMs: number): number | undefined {
  if (text === undefined) return undefined;
  const waitMs = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - nowMs;
  return Number.isFinite(waitMs) && waitMs > 0 ? Math.min(waitMs, retryAfterMsMax) : undefined;
}
