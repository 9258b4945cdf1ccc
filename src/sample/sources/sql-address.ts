/** Where a server is and who asks it, as `rules/connections.yaml` says it. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { z } from "zod";
import type { SourceDeps } from "../../core/ports.ts";
import { messageOf, Problem } from "../../core/problem.ts";
import { parseDurationMs } from "../../core/time.ts";
import { namedQueries } from "./sql-text.ts";

const limitMsMax = 3_600_000;

/** Options that every kind of server has. */
export function serverOptions(scheme: "postgres" | "mysql") {
  const example = `${scheme}://host:port/database`;
  return {
    url: z
      .string()
      .refine((url) => addressOf(url, scheme) !== null, `wants ${example}, without user and password`)
      .describe(example),
    user: z.string().min(1).describe("the account: its name, or env:NAME or file:PATH"),
    password: z.string().min(1).optional().describe("env:NAME or file:PATH; absent: the server asks for none"),
    tls: z.boolean().default(false).describe("encrypt, and check the server's certificate by the system's authorities"),
    ca: z
      .string()
      .min(1)
      .optional()
      .describe("the same by this authority: a PEM file; a relative path lies in the data folder"),
    pool_max: z
      .int()
      .min(1)
      .max(32)
      .default(4)
      .describe("connections at a time; samplers wait for each other beyond it"),
    timeout_max: z
      .string()
      .refine((text) => {
        const ms = parseDurationMs(text);
        return ms !== undefined && ms >= 100 && ms <= limitMsMax;
      }, "wants a duration from 100ms to 1h, such as 30s")
      .default("30s")
      .describe("how long the server itself lets a statement run, whatever the sampler's timeout"),
    rows_estimate_max: z
      .number()
      .min(1)
      .default(5_000_000)
      .describe("a query that the server expects to go through more rows is not run"),
    cost_max: z
      .number()
      .positive()
      .optional()
      .describe("the same, in the server's own unit of cost; default: no ceiling"),
    queries: namedQueries,
  };
}

export type Address = { readonly host: string; readonly port: number; readonly database: string };

const ports = { postgres: 5432, mysql: 3306 };

/** Null for what is not an address, or holds a user, a password or options. */
export function addressOf(text: string, scheme: "postgres" | "mysql"): Address | null {
  const url = URL.parse(text);
  const schemes = { postgres: ["postgres:", "postgresql:"], mysql: ["mysql:", "mariadb:"] }[scheme];
  const database = decodeURIComponent(url?.pathname.slice(1) ?? "");
  if (url === null || !schemes.includes(url.protocol) || url.hostname === "" || database === "") return null;
  if (url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "") return null;
  const host = url.hostname.replace(/^\[|\]$/g, "");
  return { host, port: url.port === "" ? ports[scheme] : Number(url.port), database };
}

type Who = {
  readonly user: string;
  readonly password?: string | undefined;
  readonly tls: boolean;
  readonly ca?: string | undefined;
};

/** Read anew for each connection, so that a password that was changed is taken up. */
export function credentialsOf({ user, password, tls, ca }: Who, deps: SourceDeps, where: string) {
  if (password !== undefined && !isReference(password)) {
    const fix = "write a reference instead: env:NAME or file:PATH";
    throw new Problem("a secret is written out", { code: "CFG-012", where, fix });
  }
  return {
    user: isReference(user) ? deps.secret(user) : user,
    password: password === undefined ? undefined : deps.secret(password),
    ssl: ca !== undefined ? { ca: authority(resolve(deps.dataDir, ca), where) } : tls ? {} : undefined,
  };
}

function isReference(text: string): boolean {
  return /^(?:env|file|vault):/.test(text);
}

function authority(path: string, where: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (thrown) {
    const fix = "check the connection's ca";
    throw new Problem(`cannot read ${path} (${messageOf(thrown).split(":")[0]})`, { code: "SQL-016", where, fix });
  }
}
