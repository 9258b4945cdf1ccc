/** References to secrets: `env:NAME` and `file:PATH`. Definitions hold them in place of the value, messages too. */
import { readFileSync, realpathSync, statSync } from "node:fs";
import { userInfo } from "node:os";
import { relative, resolve } from "node:path";
import { messageOf, Problem } from "../core/problem.ts";
import { staysInside } from "./scalars.ts";

const secretBytesMax = 65_536;

export type SecretOptions = {
  /** The config folder: relative paths start there and stay inside it; absolute ones may lead anywhere. */
  readonly dir: string;
  readonly env: Readonly<Record<string, string | undefined>>;
};

/** Whether the text is meant as a reference, known or not. */
export function isReference(text: string): boolean {
  return /^(?:env|file|vault):/.test(text);
}

/**
 * What a reference stands for; one line break at the end of a file is not part of it.
 * @throws Problem CFG-013 (CFG-015 for a path out of the config folder) that names the reference, never the value
 */
export function resolveSecret(reference: string, { dir, env }: SecretOptions): string {
  const [, scheme, rest = ""] = /^([a-z]+):(.*)$/s.exec(reference) ?? [];
  const value = scheme === "env" ? env[rest] : scheme === "file" ? readSecret(reference, rest, dir) : null;
  if (value === null) throw refused("not a reference", "write env:NAME or file:PATH");
  if (value === undefined) throw refused(`${reference} is not set for user ${user()}`, `set ${rest}`);
  if (value === "") throw refused(`${reference} is empty`, "give it a value");
  return value;
}

function readSecret(reference: string, path: string, dir: string): string {
  const absolute = resolve(dir, path);
  const own = path === "" || !path.startsWith("/");
  if (own && !staysInside(path)) throw outside(reference);
  try {
    if (own && !staysInside(relative(realpathSync(dir), realpathSync(absolute)))) throw outside(reference);
    const { mode, size } = statSync(absolute);
    if (process.platform !== "win32" && (mode & 0o077) !== 0) {
      const octal = `0${(mode & 0o777).toString(8)}`;
      throw refused(`${reference} can be read by others than its owner (mode ${octal})`, "chmod 600 it");
    }
    if (size > secretBytesMax) throw refused(`${reference} is larger than ${secretBytesMax} bytes`, "check the path");
    return readFileSync(absolute, "utf8").replace(/\r?\n$/, "");
  } catch (thrown) {
    if (thrown instanceof Problem) throw thrown;
    const reason = messageOf(thrown).split(":")[0] as string;
    throw refused(`${reference} cannot be read by user ${user()} (${reason})`, "create the file, owned by that user");
  }
}

function refused(what: string, fix: string): Problem {
  return new Problem(what, { code: "CFG-013", fix });
}

function outside(reference: string): Problem {
  const fix = "keep it in the config folder, or write an absolute path";
  return new Problem(`${reference} leads outside the config folder`, { code: "CFG-015", fix });
}

function user(): string {
  try {
    return userInfo().username;
  } catch {
    return String(process.getuid?.() ?? "unknown");
  }
}
