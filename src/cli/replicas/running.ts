/** The process that has the spool, asked by its own API: it carries, so what is to be changed is done by it. */
import { request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { messageOf, Problem } from "../../core/problem.ts";
import { deadline, secondMs } from "../../core/time.ts";
import type { Settings } from "../../settings.ts";
import type { Api } from "../../show/console/api.ts";
import { typed } from "../context.ts";

const helloTimeoutMs = 5 * secondMs;

export class Running {
  readonly url: string;
  readonly replicas: Api["Replicas"];

  private constructor(url: string, replicas: Api["Replicas"]) {
    this.url = url;
    this.replicas = replicas;
  }

  /**
   * Finds it, and makes sure that it carries to the very servers of the settings.
   * @param given what was typed as `--url`
   * @throws Problem if nobody answers there, or somebody else
   */
  static async at(settings: Settings, given: string | undefined): Promise<Running> {
    const url = given === undefined ? consoleUrl(settings) : typed("--url", () => webAddress(given));
    const found = await call("GET", `${url}/api/v1/replicas`, undefined, deadline(helloTimeoutMs)).catch(
      (cause: unknown) => {
        throw new Problem(`nobody tells of copies at ${url}: ${messageOf(cause)}`, { cause });
      },
    );
    const replicas = found as Api["Replicas"];
    const ours = settings.influx.map(({ name, url: origin, database }) => ({ name, place: `${origin}/${database}` }));
    if (placesOf(replicas.replicas) === placesOf(ours)) return new Running(url, replicas);
    throw new Problem(`the Bellwether at ${url} carries to other servers: ${placesOf(replicas.replicas)}`);
  }

  /**
   * As {@link at}, where it must be there.
   * @param held who has the spool
   */
  static async holding(settings: Settings, given: string | undefined, held: Problem): Promise<Running> {
    try {
      return await Running.at(settings, given);
    } catch (thrown) {
      if (!(thrown instanceof Problem)) throw thrown;
      throw new Problem(`${held.message}, and ${thrown.message}`, {
        code: held.code,
        where: held.where,
        fix: "name the address that it printed at its start with --url, or stop it",
        retryable: true,
        cause: thrown,
      });
    }
  }

  /** @throws Problem with its words if it refuses */
  order(
    what: "repair",
    body: { from: string; to: string; deep: boolean },
    signal: AbortSignal,
  ): Promise<Api["Comparison"]>;
  order(what: "requeue", body: { target?: string | undefined }, signal: AbortSignal): Promise<Api["Requeued"]>;
  order(what: string, body: object, signal: AbortSignal): Promise<unknown> {
    return call("POST", `${this.url}/api/v1/replicas/${what}`, body, signal);
  }
}

function placesOf(all: readonly { readonly name: string; readonly place: string }[]): string {
  return all.map(({ name, place }) => `${name}=${place}`).join(" ");
}

function consoleUrl({ host, port }: Settings): string {
  const everywhere = host === "0.0.0.0" || host === "::";
  const name = everywhere ? "127.0.0.1" : host;
  return `http://${name.includes(":") ? `[${name}]` : name}:${port}`;
}

function webAddress(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url !== null && /^https?:$/.test(url.protocol)) return url.href.replace(/\/+$/, "");
  throw new Problem("not a web address", { fix: "write http://127.0.0.1:8080" });
}

/** What `fetch` would give up on after five minutes may take an hour here. */
async function call(method: string, url: string, body: object | undefined, signal: AbortSignal): Promise<unknown> {
  const { status, text } = await new Promise<{ status: number; text: string }>((resolve, reject) => {
    const send = url.startsWith("https:") ? requestHttps : requestHttp;
    const headers = body === undefined ? {} : { "content-type": "application/json" };
    const request = send(url, { method, headers, signal }, (response) => {
      let read = "";
      response.setEncoding("utf8");
      response.on("data", (piece: string) => {
        read += piece;
      });
      response.once("end", () => resolve({ status: response.statusCode ?? 0, text: read }));
      response.once("error", reject);
    });
    request.once("error", reject);
    request.end(body === undefined ? undefined : JSON.stringify(body));
  });
  const answer = parsed(text) as { detail?: string; fix?: string };
  if (status === 200) return answer;
  throw new Problem(answer.detail ?? `HTTP ${status}`, { fix: answer.fix, retryable: status === 409 || status >= 500 });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}
