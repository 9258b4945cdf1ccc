/** Environment -> Settings. The defaults are the one-process shape: nothing set, nothing installed. */
import { isAbsolute, resolve } from "node:path";
import { Problem, Problems } from "./core/problem.ts";
import { dayMs, hourMs, parseDurationMs, secondMs } from "./core/time.ts";
import { isZone } from "./core/zone.ts";

export type Settings = {
  readonly configDir: string;
  readonly dataDir: string;
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** Where readers of messages reach the console, without a slash at the end; null: host and port. */
  readonly baseUrl: string | null;
  /** True: only programs that ask for a password themselves reach the console's address. */
  readonly behindProxy: boolean;
  readonly zone: string;
  readonly environment: "development" | "production";
  readonly logLevel: "debug" | "info" | "warn" | "error" | "silent";
  /** Queue that wakes workers; null: inside the process. */
  readonly redisUrl: string | null;
  /** PostgreSQL, MySQL or MariaDB with the facts; null: a SQLite file in the data folder. */
  readonly databaseUrl: string | null;
  /** What this process is called where several are told apart; null: machine, role and a sign of the data folder. */
  readonly processName: string | null;
  /** Slots that run at a time. */
  readonly concurrency: number;
  readonly catchUp: { readonly ageMsMax: number; readonly slotsMax: number };
  /** Servers that are to hold the same series; none: the embedded store. */
  readonly influx: readonly InfluxTarget[];
  /** How long points and verdicts are kept; in InfluxDB, their sums and means. */
  readonly keepPointsMs: number;
  /** How long InfluxDB keeps points as they were sampled; null: for ever. */
  readonly keepRawMs: number | null;
  /** Bytes that the spool may take of the disk; never more than a fifth of it. */
  readonly spoolBytesMax: number;
  /** Points a second that repair may write to a copy. */
  readonly repairPointsPerSecond: number;
  /** How long finished slots, and closed alerts with their messages, are kept. */
  readonly keepFactsMs: number;
  /** Null: messages go to the mailbox in the data folder. */
  readonly smtpUrl: string | null;
  readonly mailFrom: string;
  /** One, or two while one replaces the other; empty: webhooks go unsigned. */
  readonly webhookSecrets: readonly string[];
};

/** One InfluxDB. User and password are for 1.x, the token for 2.x and 3.x. */
export type InfluxTarget = {
  /** Letters, digits and `-`. */
  readonly name: string;
  /** `http://host:port`, nothing else. */
  readonly url: string;
  readonly database: string;
  readonly user?: string;
  readonly password?: string;
  readonly token?: string;
};

type Env = Readonly<Record<string, string | undefined>>;

/** One setting: its name, what it means when it is absent, and what it is for. The order is the order of `--help`. */
type Entry<T> = {
  readonly name: string;
  readonly byDefault: string;
  readonly meaning: string;
  /** @throws Problem naming only what is wrong; the name and, where it is no secret, the value are added */
  readonly read: (text: string, env: Env) => T;
  readonly secret?: boolean;
};

const text = (value: string): string => value;

const table: { readonly [K in keyof Settings]: Entry<Settings[K]> } = {
  configDir: {
    name: "BELLWETHER_CONFIG",
    byDefault: ".",
    meaning: "folder that holds samplers/ and rules/",
    read: (value) => resolve(value),
  },
  dataDir: {
    name: "BELLWETHER_DATA",
    byDefault: "./var",
    meaning: "everything embedded: series, state, mailbox",
    read: (value) => (isAbsolute(value) ? value : resolve(value)),
  },
  host: { name: "BELLWETHER_HOST", byDefault: "127.0.0.1", meaning: "address that the console listens on", read: text },
  port: {
    name: "BELLWETHER_PORT",
    byDefault: "8080",
    meaning: "port of console, API, /metrics, /healthz and /readyz; 0 = any free one",
    read: wholeNumber(0, 65_535),
  },
  baseUrl: {
    name: "BELLWETHER_URL",
    byDefault: "",
    meaning: "where readers of messages reach the console; default: host and port",
    read: (value) => (value === "" ? null : webAddress(value)),
  },
  behindProxy: {
    name: "BELLWETHER_BEHIND",
    byDefault: "",
    meaning: "proxy: only what asks for a password reaches the console's address",
    read: (value) => value !== "" && oneOf("proxy")(value) === "proxy",
  },
  zone: {
    name: "BELLWETHER_ZONE",
    byDefault: "UTC",
    meaning: "business time zone (IANA) where a definition names none",
    read: (value) => {
      if (!isZone(value)) throw new Problem("not a time zone", { fix: "write an IANA name, Europe/London" });
      return value;
    },
  },
  environment: {
    name: "BELLWETHER_ENV",
    byDefault: "development",
    meaning: "production turns warnings about unsafe servers into refusals to start",
    read: oneOf("development", "production"),
  },
  logLevel: {
    name: "BELLWETHER_LOG",
    byDefault: "info",
    meaning: "least level of log lines on standard error: debug, info, warn, error, silent",
    read: oneOf("debug", "info", "warn", "error", "silent"),
  },
  redisUrl: {
    name: "REDIS_URL",
    byDefault: "",
    meaning: "wakes workers of several processes, redis://user:password@host:6379; none: one process",
    secret: true,
    read: serverAddress("a Redis", ["redis:", "rediss:"], "redis://host:6379"),
  },
  databaseUrl: {
    name: "DATABASE_URL",
    byDefault: "",
    meaning: "facts, postgres://user:password@host/database or mysql://...; none: a SQLite file",
    secret: true,
    read: serverAddress("a database", ["postgres:", "postgresql:", "mysql:", "mariadb:"], "postgres://host/database"),
  },
  processName: {
    name: "BELLWETHER_NAME",
    byDefault: "",
    meaning: "its name among several; default: machine, role, a sign of the data folder",
    read: (value) => {
      if (value === "" || /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/.test(value)) return value === "" ? null : value;
      throw new Problem("not a name", { fix: "write letters, digits, '.', '_' and '-', at most 63" });
    },
  },
  concurrency: {
    name: "BELLWETHER_CONCURRENCY",
    byDefault: "32",
    meaning: "slots that run at a time, each of another sampler; most wait for a source",
    read: wholeNumber(1, 1_000),
  },
  catchUp: {
    name: "BELLWETHER_CATCH_UP",
    byDefault: "24h 1500",
    meaning: "how far back, and how many slots of one sampler, are caught up after a stop",
    read: (value) => {
      const [age = "", slots = "", ...rest] = value.trim().split(/\s+/);
      if (rest.length > 0) throw new Problem("too many parts", { fix: "write an age and a number, 24h 1500" });
      return { ageMsMax: duration(0, 28 * dayMs)(age), slotsMax: wholeNumber(0, 1_000_000)(slots) };
    },
  },
  influx: {
    name: "INFLUX_URLS",
    byDefault: "",
    meaning: "two InfluxDBs, a=http://user:password@host:8086/database b=...; none: embedded",
    secret: true,
    read: influxTargets,
  },
  keepPointsMs: {
    name: "BELLWETHER_KEEP_POINTS",
    byDefault: "400d",
    meaning: "how long points and verdicts are kept; in InfluxDB their sums and means",
    read: duration(8 * dayMs, 4_000 * dayMs),
  },
  keepRawMs: {
    name: "BELLWETHER_KEEP_RAW",
    byDefault: "30d",
    meaning: "how long InfluxDB keeps points as they were sampled, 8d to 4000d or forever",
    read: (value) => (value === "forever" ? null : duration(8 * dayMs, 4_000 * dayMs)(value)),
  },
  spoolBytesMax: {
    name: "BELLWETHER_SPOOL_MAX",
    byDefault: "4GB",
    meaning: "what may wait on this disk for an InfluxDB that is away; at most a fifth of the disk",
    read: bytes(8e6, 1e12),
  },
  repairPointsPerSecond: {
    name: "BELLWETHER_REPAIR_RATE",
    byDefault: "20000",
    meaning: "points a second that repair may write to an InfluxDB",
    read: wholeNumber(100, 1_000_000),
  },
  keepFactsMs: {
    name: "BELLWETHER_KEEP_FACTS",
    byDefault: "90d",
    meaning: "how long finished slots, closed alerts and their messages are kept",
    read: duration(dayMs, 4_000 * dayMs),
  },
  smtpUrl: {
    name: "SMTP_URL",
    byDefault: "",
    meaning: "mail server, smtp://user:password@host:587; none: a mailbox in the data folder",
    secret: true,
    read: (value) => {
      if (value === "") return null;
      const protocol = URL.canParse(value) ? new URL(value).protocol : "";
      if (protocol !== "smtp:" && protocol !== "smtps:") {
        throw new Problem("not the address of a mail server", { fix: "write smtp://host:port or smtps://host:port" });
      }
      return value;
    },
  },
  mailFrom: {
    name: "BELLWETHER_MAIL_FROM",
    byDefault: "Bellwether <bellwether@localhost>",
    meaning: "sender of e-mail",
    read: text,
  },
  webhookSecrets: {
    name: "WEBHOOK_SECRET",
    byDefault: "",
    meaning: "signs webhooks, whsec_...; two while one replaces the other; none: unsigned",
    secret: true,
    read: (value) => {
      const secrets = value.split(/\s+/).filter((secret) => secret !== "");
      if (secrets.length > 2) throw new Problem("more than two secrets", { fix: "keep the new and the old one" });
      if (secrets.every((secret) => /^whsec_[A-Za-z0-9+/]{32,88}={0,2}$/.test(secret))) return secrets;
      throw new Problem("not a signing secret", { fix: "write whsec_ and base64 of 24 to 64 bytes" });
    },
  },
};

/**
 * Reads all settings; empty ones count as not set.
 * @throws Problems with every fault at once
 */
export function readSettings(env: Env): Settings {
  const problems: Problem[] = [];
  const settings: Record<string, unknown> = {};
  for (const [key, entry] of Object.entries(table) as [keyof Settings, Entry<unknown>][]) {
    const value = env[entry.name] || entry.byDefault;
    try {
      settings[key] = entry.read(value, env);
    } catch (thrown) {
      if (!(thrown instanceof Problem)) throw thrown;
      const got = entry.secret ? "" : ` (got ${JSON.stringify(value)})`;
      problems.push(new Problem(`${thrown.message}${got}`, { where: entry.name, fix: thrown.fix }));
    }
  }
  if (settings.redisUrl && !settings.databaseUrl && !problems.some(({ where }) => where === "DATABASE_URL")) {
    problems.push(
      new Problem("REDIS_URL is for several processes, which cannot share facts in a SQLite file", {
        where: "DATABASE_URL",
        fix: "set it to a PostgreSQL, MySQL or MariaDB, or unset REDIS_URL and let one process do all",
      }),
    );
  }
  if (problems.length > 0) throw new Problems(problems);
  return settings as Settings;
}

/** The table of settings for `start --help`. */
export function describeSettings(): string {
  const entries = Object.values(table);
  const width = Math.max(...entries.map((entry) => entry.name.length));
  return entries
    .map(({ name, byDefault, meaning }) => `  ${name.padEnd(width)}  ${meaning} [${byDefault || "none"}]`)
    .join("\n");
}

function wholeNumber(min: number, max: number): (value: string) => number {
  return (value) => {
    const number = Number(value);
    if (/^\d+$/.test(value) && number >= min && number <= max) return number;
    throw new Problem("not a whole number in range", { fix: `write a number from ${min} to ${max}` });
  };
}

function duration(minMs: number, maxMs: number): (value: string) => number {
  return (value) => {
    const ms = parseDurationMs(value);
    if (ms !== undefined && ms >= minMs && ms <= maxMs) return ms;
    const range =
      minMs >= dayMs ? `${minMs / dayMs}d to ${maxMs / dayMs}d` : `${minMs / secondMs}s to ${maxMs / hourMs}h`;
    throw new Problem("not a duration in range", { fix: `write a number with a unit, ${range}` });
  };
}

function bytes(min: number, max: number): (value: string) => number {
  const units: Readonly<Record<string, number>> = { MB: 1e6, GB: 1e9, TB: 1e12 };
  return (value) => {
    const [, number, unit] = /^(\d+(?:\.\d+)?)(MB|GB|TB)$/.exec(value) ?? [];
    const size = Number(number) * (units[unit ?? ""] ?? Number.NaN);
    if (size >= min && size <= max) return size;
    throw new Problem("not a size in range", {
      fix: `write a number and MB, GB or TB, ${min / 1e6}MB to ${max / 1e12}TB`,
    });
  };
}

/** `a=http://user:password@host:8086/database b=...`; what is wrong is said without what may be secret. */
function influxTargets(value: string, env: Env): InfluxTarget[] {
  const targets = value
    .split(/\s+/)
    .filter((part) => part !== "")
    .map((part) => influxTarget(part, env));
  for (const [index, { name, url, database }] of targets.entries()) {
    const earlier = targets.slice(0, index);
    if (earlier.some((other) => other.name === name)) {
      throw new Problem(`the name ${name} stands twice`, { fix: "give each its own" });
    }
    const same = earlier.find((other) => other.url === url && other.database === database);
    if (same === undefined) continue;
    throw new Problem(`TGT-001 ${same.name} and ${name} are one and the same database`, { fix: "name two servers" });
  }
  return targets;
}

function influxTarget(part: string, env: Env): InfluxTarget {
  const [, name, address] = /^([a-z][a-z0-9-]{0,19})=(.+)$/.exec(part) ?? [];
  const url = address !== undefined && URL.canParse(address) ? new URL(address) : null;
  const database = decodeURIComponent(url?.pathname.slice(1) ?? "");
  if (name === undefined || url === null || !/^https?:$/.test(url.protocol) || !/^[\w.-]+$/.test(database)) {
    throw new Problem("not a list of InfluxDBs", {
      fix: "write name=http://user:password@host:8086/database for each, with blanks between them; a name is of small letters, digits and -",
    });
  }
  const tokenName = `INFLUX_TOKEN_${name.toUpperCase().replaceAll("-", "_")}`;
  const token = env[tokenName];
  return {
    name,
    url: url.origin,
    database,
    ...(url.username === ""
      ? {}
      : { user: decodeURIComponent(url.username), password: decodeURIComponent(url.password) }),
    ...(token ? { token } : {}),
  };
}

/** The address of a server; "" is null. What is wrong is said without the address, which may hold a password. */
function serverAddress(what: string, protocols: readonly string[], example: string): (value: string) => string | null {
  return (value) => {
    if (value === "") return null;
    const url = URL.canParse(value) ? new URL(value) : null;
    if (url !== null && protocols.includes(url.protocol) && url.hostname !== "") return value;
    throw new Problem(`not the address of ${what}`, { fix: `write ${example}, with user and password if it has them` });
  };
}

function oneOf<T extends string>(...words: readonly T[]): (value: string) => T {
  return (value) => {
    const word = words.find((each) => each === value);
    if (word !== undefined) return word;
    throw new Problem("not one of the choices", { fix: `write ${words.join(", ")}` });
  };
}

function webAddress(value: string): string {
  const url = URL.canParse(value) ? new URL(value) : null;
  if (url === null || !/^https?:$/.test(url.protocol) || url.username !== "") {
    throw new Problem("not a web address", { fix: "write https://bellwether.example" });
  }
  return value.replace(/\/+$/, "");
}
