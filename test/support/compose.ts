/** docker-compose.yml as Compose reads it: merged, with the values of an environment filled in. */
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseEnv } from "node:util";
import { parse } from "yaml";

export const projectDir = resolve(import.meta.dirname, "../..");

type Healthcheck = { readonly test: readonly string[] };
type Service = {
  readonly image: string;
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly volumes?: readonly string[];
  readonly networks?: readonly string[];
  readonly ports?: readonly string[];
  readonly healthcheck?: Healthcheck;
  readonly restart?: string;
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly user?: string;
  readonly read_only?: boolean;
  readonly stop_grace_period?: string;
};
export type Compose = {
  readonly services: Readonly<Record<string, Service>>;
  readonly volumes: Readonly<Record<string, object | null>>;
  readonly networks: Readonly<Record<string, { readonly internal?: boolean }>>;
};

/** The text of the file as it lies there. */
export function composeText(): string {
  return readFileSync(join(projectDir, "docker-compose.yml"), "utf8");
}

/** The names in `.env.example`, with what stands behind them. */
export function exampleEnv(): Record<string, string | undefined> {
  return parseEnv(readFileSync(join(projectDir, ".env.example"), "utf8"));
}

/** Something for every secret of `.env.example`. */
export const someSecrets: Readonly<Record<string, string>> = Object.fromEntries(
  Object.keys(exampleEnv())
    .filter((name) => /_PASSWORD$|_SECRET$/.test(name))
    .map((name) => [
      name,
      name === "WEBHOOK_SECRET" ? `whsec_${"A".repeat(43)}=` : `${name.toLowerCase().replaceAll("_", "")}1`,
    ]),
);

/**
 * The whole file.
 * @param env what Compose would find in `.env`
 * @throws Error if a variable that must be there is missing or empty
 */
export function readCompose(env: Readonly<Record<string, string>> = someSecrets): Compose {
  const compose: unknown = parse(composeText(), { merge: true });
  return filledIn(compose, env) as Compose;
}

export type BellwetherService = {
  /** What follows `bellwether`: `start --role worker`. */
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
};

/**
 * The services that are Bellwether itself, by name, as a scenario can start them without containers.
 * @param addresses where servers are in place of where the file has them: `"redis:6379"` -> `"127.0.0.1:16379"`
 * @param env what Compose would find in `.env`
 */
export function composeServices(
  addresses: Readonly<Record<string, string>> = {},
  env: Readonly<Record<string, string>> = someSecrets,
): ReadonlyMap<string, BellwetherService> {
  const own = Object.entries(readCompose(env).services).filter(([, { image }]) => image.startsWith("bellwether:"));
  return new Map(
    own.map(([name, { command = [], environment = {} }]) => {
      const moved = Object.entries(environment).map(([key, value]): [string, string] => [
        key,
        elsewhere(value, addresses),
      ]);
      return [name, { args: command, environment: Object.fromEntries(moved) }];
    }),
  );
}

function elsewhere(value: string, addresses: Readonly<Record<string, string>>): string {
  return Object.entries(addresses).reduce((text, [from, to]) => text.replaceAll(`@${from}`, `@${to}`), value);
}

function filledIn(value: unknown, env: Readonly<Record<string, string>>): unknown {
  if (typeof value === "string") return filledInText(value, env);
  if (Array.isArray(value)) return value.map((one) => filledIn(one, env));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, filledIn(one, env)]));
}

/** `${NAME:?why}`, `${NAME:-else}` and `$$`, which are all that the file uses. */
function filledInText(text: string, env: Readonly<Record<string, string>>): string {
  return text.replace(/\$\$|\$\{(\w+)(?::([?-])([^}]*))?\}|\$/g, (whole, name, kind, rest) => {
    if (whole === "$$") return "$";
    if (name === undefined) throw new Error(`a single $ in ${text}`);
    const value = env[name] ?? "";
    if (value !== "" || kind === undefined) return value;
    if (kind === "?") throw new Error(`${name}: ${rest}`);
    return rest;
  });
}
