/** `DATABASE_URL`: which server, and what of it may be shown. */
import { Problem } from "../core/problem.ts";

export type ServerAddress = {
  readonly kind: "postgres" | "mysql";
  readonly url: URL;
  /** Without user, password and options. */
  readonly where: string;
};

const kinds: Readonly<Record<string, ServerAddress["kind"]>> = {
  "postgres:": "postgres",
  "postgresql:": "postgres",
  "mysql:": "mysql",
  "mariadb:": "mysql",
};

/** @throws Problem STR-002, which does not show the text */
export function parseServerAddress(text: string): ServerAddress {
  const url = URL.parse(text);
  const kind = kinds[url?.protocol ?? ""];
  if (url === null || kind === undefined || url.hostname === "" || url.pathname.length < 2) {
    throw new Problem("not the address of a database", {
      code: "STR-002",
      where: "DATABASE_URL",
      fix: "write postgres://user:password@host:5432/database or mysql://user:password@host:3306/database",
    });
  }
  return { kind, url, where: `${url.protocol}//${url.host}${url.pathname}` };
}
