/** Where a Redis is, and how it is spoken to. Pure. */
import { isIP } from "node:net";
import type { RedisOptions } from "ioredis";
import { Problem } from "../../core/problem.ts";

type RedisAddress = {
  /** `host:port`, for messages: no user, no password. */
  readonly place: string;
  readonly host: string;
  readonly hasPassword: boolean;
  readonly options: Omit<RedisOptions, "replyMapping">;
};

/**
 * @param url `redis://user:password@host:6379/0`, or `rediss://` for TLS, whose certificate must name the host
 * @throws Problem that does not repeat the URL
 */
export function redisAddress(url: string): RedisAddress {
  const parsed = URL.canParse(url) ? new URL(url) : null;
  const db = Number(parsed?.pathname.slice(1) || "0");
  if (parsed === null || !/^rediss?:$/.test(parsed.protocol) || parsed.hostname === "" || !isDatabase(db)) {
    throw new Problem("not the address of a Redis", {
      where: "REDIS_URL",
      fix: "write redis://user:password@host:6379/0, or rediss:// for TLS; letters like @ or / in the password as %40, %2F",
    });
  }
  const host = parsed.hostname.replace(/^\[|\]$/g, "");
  const port = Number(parsed.port || "6379");
  const password = decoded(parsed.password);
  const username = decoded(parsed.username);
  return {
    place: `${parsed.hostname}:${port}`,
    host,
    hasPassword: password !== "",
    options: {
      host,
      port,
      db,
      ...(username === "" ? {} : { username }),
      ...(password === "" ? {} : { password }),
      ...(parsed.protocol === "rediss:" ? { tls: isIP(host) === 0 ? { servername: host } : {} } : {}),
    },
  };
}

function isDatabase(db: number): boolean {
  return Number.isInteger(db) && db >= 0;
}

/** A lone `%` stands for itself. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
