import { once } from "node:events";
import { rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { type Mariadb, startMariadb, whyNoMariadb } from "../../support/servers/mariadb.ts";
import { copyTemplate, run, serverFolder } from "../../support/servers/own.ts";
import { type Postgres, startPostgres, whyNoPostgres } from "../../support/servers/postgres.ts";
import { startRedis, whyNoRedis } from "../../support/servers/redis.ts";

async function redisSays(port: number, command: string): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  socket.write(`${command}\r\n`);
  const [answer] = await once(socket, "data");
  socket.destroy();
  return String(answer).trim();
}

const noRedis = whyNoRedis({ own: true });
test.skipIf(noRedis !== null)(
  `Redis keeps what it has through a kill, and follows another${noRedis === null ? "" : ` (${noRedis})`}`,
  async () => {
    await using primary = await startRedis({ own: true });
    expect(await redisSays(primary.port, "SET k v")).toBe("+OK");
    await using replica = await startRedis({ config: { replicaof: `127.0.0.1 ${primary.port}` } });
    await expect.poll(() => redisSays(replica.port, "GET k")).toContain("v");
    await sleep(1_100);
    const { pid } = primary;
    await primary.restart();
    expect(primary.pid).not.toBe(pid);
    expect(await redisSays(primary.port, "GET k")).toContain("v");
    expect(await redisSays(primary.port, "CONFIG GET maxmemory-policy")).toContain("noeviction");
  },
);

const kinds = [
  {
    name: "PostgreSQL",
    missing: whyNoPostgres({ own: true }),
    start: (): Promise<Postgres> => startPostgres({ own: true }),
  },
  { name: "MariaDB", missing: whyNoMariadb({ own: true }), start: (): Promise<Mariadb> => startMariadb({ own: true }) },
];

describe.each(kinds)("$name", ({ missing, start }) => {
  test.skipIf(missing !== null)(
    `is killed, started again on the same port, and paused${missing === null ? "" : ` (${missing})`}`,
    async () => {
      await using server = await start();
      const url = await server.database();
      expect(url).toContain(`127.0.0.1:${server.port}`);
      await server.query("create table kept (n integer)", url);
      await server.query("insert into kept values (7)", url);
      await server.restart();
      expect(await server.query("select n from kept", url)).toEqual([{ n: 7 }]);
      server.pause();
      const answer = server.query("select n from kept", url).then(() => "answered");
      expect(await Promise.race([answer, sleep(300, "silent")])).toBe("silent");
      server.resume();
      expect(await answer).toBe("answered");
      await server.stop();
      await expect(server.query("select 1", url)).rejects.toThrow();
      const wrong = new URL(url);
      wrong.password = "another";
      await server.start();
      await expect(server.query("select 1", wrong.href), "the password counts").rejects.toThrow();
    },
  );
});

test("a template is made once, also by two at once", async () => {
  const key = `test-${process.pid}`;
  const root = await serverFolder("template-test");
  let made = 0;
  const make = async (folder: string): Promise<void> => {
    made += 1;
    await run("sh", ["-c", "echo whole > file"], { cwd: folder });
  };
  try {
    await Promise.all(["a", "b"].map((name) => copyTemplate(key, join(root, name), make)));
    await copyTemplate(key, join(root, "c"), make);
    expect(made).toBeLessThanOrEqual(2);
    for (const name of ["a", "b", "c"]) expect(await run("cat", [join(root, name, "file")])).toBe("whole\n");
  } finally {
    rmSync(root, { recursive: true });
    rmSync(join(tmpdir(), `bellwether-templates-${process.getuid?.()}`, key), { recursive: true });
  }
});
