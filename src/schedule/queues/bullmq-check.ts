/** Whether a Redis keeps what it is given: what its `INFO` says, as Problems. */
import { Redis, type RedisOptions } from "ioredis";
import { messageOf, Problem } from "../../core/problem.ts";
import { secondMs } from "../../core/time.ts";

/** How long a connection, and an answer, are waited for. */
const answerMs = 3 * secondMs;

/** BullMQ's scripts and blocking reads need it. */
const versionMin = [6, 2] as const;

export async function inspectRedis(address: {
  readonly place: string;
  readonly host: string;
  readonly hasPassword: boolean;
  readonly options: Omit<RedisOptions, "replyMapping">;
}): Promise<Problem[]> {
  const where = `REDIS_URL ${address.place}`;
  const options: Omit<RedisOptions, "replyMapping"> = {
    ...address.options,
    lazyConnect: true,
    retryStrategy: () => null,
    connectTimeout: answerMs,
    commandTimeout: answerMs,
  };
  const client = new Redis(options);
  // The first error is the cause; what fails afterwards only says that the connection is closed.
  let reason: string | null = null;
  client.on("error", (error) => {
    reason ??= messageOf(error);
  });
  try {
    await client.connect();
    const problems = redisProblems(await client.info(), where);
    return address.hasPassword || isLoopback(address.host) ? problems : [...problems, openToAll(where)];
  } catch (thrown) {
    return [unusable(reason ?? messageOf(thrown), where)];
  } finally {
    client.disconnect();
  }
}

/** A server that was reached without a password, over a network. */
function openToAll(where: string): Problem {
  return new Problem("lets everybody in who can reach it", {
    where,
    severity: "warning",
    fix: "set requirepass or an ACL user in redis.conf, and user and password in REDIS_URL",
  });
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127\.\d+\.\d+\.\d+$/.test(host);
}

/** Texts of the server and of the socket; the client's errors hold the commands that failed, AUTH with its password. */
function unusable(reason: string, where: string): Problem {
  if (/NOAUTH/.test(reason)) {
    return new Problem("wants a password", { where, fix: "put user and password into REDIS_URL" });
  }
  if (/WRONGPASS|invalid password|without any password configured/.test(reason)) {
    return new Problem("refuses the user or the password", { where, fix: "correct user and password in REDIS_URL" });
  }
  if (/NOPERM/.test(reason)) {
    return new Problem("does not tell its settings to this user", {
      where,
      fix: "let its ACL allow +@all on bellwether:*, and +info",
    });
  }
  return new Problem(`does not answer: ${reason}`, {
    where,
    fix: "see that Redis runs there and can be reached from here",
    retryable: true,
  });
}

/**
 * Pure.
 * @param info answer of `INFO`, which tells the settings also to those who may not ask for `CONFIG`
 * @param where `REDIS_URL host:port`
 */
export function redisProblems(info: string, where: string): Problem[] {
  const facts = new Map(
    info.split(/\r?\n/).flatMap((line) => {
      const colon = line.indexOf(":");
      return colon < 1 ? [] : [[line.slice(0, colon), line.slice(colon + 1)] as const];
    }),
  );
  return [...memory(facts, where), ...disk(facts, where), ...version(facts, where), ...role(facts, where)];
}

type Facts = ReadonlyMap<string, string>;

function memory(facts: Facts, where: string): Problem[] {
  const policy = facts.get("maxmemory_policy");
  if (policy === undefined || policy === "noeviction") return [];
  return [
    new Problem(`drops jobs when its memory is full (maxmemory-policy ${policy})`, {
      code: "RDS-001",
      where,
      fix: "CONFIG SET maxmemory-policy noeviction, and the same line in redis.conf",
    }),
  ];
}

function disk(facts: Facts, where: string): Problem[] {
  if (facts.get("aof_enabled") === "0") {
    return [
      new Problem("forgets jobs when it is restarted (appendonly no)", {
        code: "RDS-002",
        where,
        fix: "CONFIG SET appendonly yes, and the same line in redis.conf",
      }),
    ];
  }
  const lastWrite = facts.get("aof_last_write_status");
  if (facts.get("aof_enabled") !== "1" || lastWrite === undefined || lastWrite === "ok") return [];
  return [
    new Problem("cannot write its append-only file", { code: "RDS-002", where, fix: "make room on the disk of Redis" }),
  ];
}

function version(facts: Facts, where: string): Problem[] {
  const text = facts.get("redis_version");
  const [major, minor] = (text ?? "").split(".").map(Number) as [number, number?];
  const isOld = major < versionMin[0] || (major === versionMin[0] && (minor ?? 0) < versionMin[1]);
  if (text !== undefined && !isOld) return [];
  const what = text === undefined ? "does not tell its version" : `is too old (version ${text})`;
  return [new Problem(what, { code: "RDS-003", where, fix: "use Redis 6.2 or newer" })];
}

function role(facts: Facts, where: string): Problem[] {
  const name = facts.get("role");
  if (name === undefined || name === "master") return [];
  const primary = `${facts.get("master_host") ?? "its primary"}:${facts.get("master_port") ?? ""}`.replace(/:$/, "");
  const link = facts.get("master_link_status") === "down" ? ", and has lost touch with it" : "";
  return [
    new Problem(`is a replica of ${primary}${link}: it takes no jobs`, {
      where,
      fix: "point REDIS_URL at the primary, or promote this one with REPLICAOF NO ONE",
    }),
  ];
}
