import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { expect, test } from "vitest";
import { projectDir } from "../../support/compose.ts";

/** Exit code of the image's probe. */
async function probe(port: number): Promise<number> {
  const child = spawn(process.execPath, [join(projectDir, "deploy/healthcheck.mjs")], {
    env: { BELLWETHER_PORT: String(port) },
    stdio: "ignore",
  });
  const [code] = await once(child, "close");
  return code as number;
}

test.each([
  [200, 0],
  [503, 1],
])("an answer %i gives exit code %i", async (status, code) => {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url ?? "");
    response.writeHead(status).end();
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  expect(await probe((server.address() as AddressInfo).port)).toBe(code);
  expect(asked).toEqual(["/healthz"]);
  server.close();
});

test("nobody there gives exit code 1", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  expect(await probe(port)).toBe(1);
});
