import { execFileSync, spawnSync } from "node:child_process";
import { chownSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { whyNoMariadb } from "../../support/servers/mariadb.ts";
import { unprivileged } from "../../support/servers/own.ts";
import { whyNoPostgres } from "../../support/servers/postgres.ts";
import { mysqlShop, never, postgresShop, type Shop, slot, sqlSource } from "./sql-shop.ts";

const canMakeKeys = spawnSync("openssl", ["version"]).status === 0;

/** A certificate that vouches for itself, and its key, readable by the servers. */
function makeCertificate(folder: string, name: string, subject: string): { cert: string; key: string } {
  const [cert, key] = [join(folder, `${name}.pem`), join(folder, `${name}.key`)];
  const kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
  const what = ["-subj", "/CN=bellwether-test", "-addext", `subjectAltName=${subject}`, "-keyout", key, "-out", cert];
  execFileSync("openssl", ["req", ...kind, ...what], { stdio: "ignore" });
  const { uid, gid } = unprivileged;
  if (uid !== undefined && gid !== undefined) for (const file of [folder, cert, key]) chownSync(file, uid, gid);
  return { cert, key };
}

const servers = [
  [
    "PostgreSQL",
    whyNoPostgres({ own: true }),
    (cert: string, key: string) =>
      postgresShop({ own: true, settings: { ssl: "on", ssl_cert_file: cert, ssl_key_file: key } }),
    "select ssl::text as encrypted from pg_stat_ssl where pid = pg_backend_pid()",
  ],
  [
    "MariaDB",
    whyNoMariadb({ own: true }),
    (cert: string, key: string) => mysqlShop({ own: true, settings: { "ssl-cert": cert, "ssl-key": key } }),
    "select if(variable_value = '', 'false', 'true') as encrypted from information_schema.session_status where variable_name = 'ssl_cipher'",
  ],
] as const;

for (const [name, why, start, question] of servers) {
  describe.skipIf(why !== null || !canMakeKeys)(`TLS with ${name}`, () => {
    const folder = mkdtempSync(join(tmpdir(), "bellwether-tls-"));
    const own = canMakeKeys ? makeCertificate(folder, "own", "DNS:localhost") : { cert: "", key: "" };
    const other = canMakeKeys ? makeCertificate(folder, "other", "DNS:localhost") : { cert: "" };
    let shop: Shop<never>;
    beforeAll(async () => {
      shop = (await start(own.cert, own.key)) as Shop<never>;
    });
    afterAll(async () => {
      await shop[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true });
    });

    const byName = () => {
      return { url: `${shop.kind}://localhost:${(shop.server as { port: number }).port}/${shop.database}` };
    };
    const encrypted = async (more: object): Promise<unknown> => {
      await using sessions = shop.sessions("reader", { ...byName(), ...more });
      const statement = { text: question, values: [] };
      return (await sessions.session(never, (session) => session.select(statement, 10))).rows;
    };

    test("by the connection's own authority, the session is encrypted; without it, it is not", async () => {
      expect(await encrypted({ ca: own.cert })).toEqual([{ encrypted: "true" }]);
      expect(await encrypted({})).toEqual([{ encrypted: "false" }]);
    });

    test.each([
      ["an authority that did not sign it", { ca: other.cert }],
      ["the system's authorities", { tls: true }],
      ["a file that is not there", { ca: "/nowhere/ca.pem" }],
    ])("B50 %s is no trust: SQL-016, and nothing is asked", async (_, more) => {
      await using source = sqlSource(shop.deps("reader", { ...byName(), ...more }), "select 1 as n");
      await expect(source.read(slot, never)).rejects.toMatchObject({ code: "SQL-016", retryable: false });
    });

    test("a certificate for another name is no trust", async () => {
      await using source = sqlSource(shop.deps("reader", { ca: own.cert }), "select 1 as n");
      await expect(source.read(slot, never)).rejects.toMatchObject({ code: "SQL-016" });
    });
  });
}
