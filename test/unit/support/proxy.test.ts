import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { startProxy, type TcpProxy } from "../../support/servers/proxy.ts";

/** A server that sends back what it gets, and keeps what came and in how many pieces. */
let received = Buffer.alloc(0);
let pieces = 0;
let serverErrors: string[] = [];
let open = 0;
const server = createServer((socket) => {
  open += 1;
  socket.on("close", () => {
    open -= 1;
  });
  socket.on("data", (piece) => {
    received = Buffer.concat([received, piece]);
    pieces += 1;
    socket.write(piece);
  });
  socket.on("error", (error: NodeJS.ErrnoException) => serverErrors.push(error.code ?? ""));
});

let proxy: TcpProxy;
beforeAll(async () => {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  proxy = await startProxy((server.address() as { port: number }).port);
});
afterAll(async () => {
  await proxy[Symbol.asyncDispose]();
  server.close();
});
afterEach(async () => {
  await proxy.set({ mode: "down" });
  while (open > 0) await sleep(5);
  await proxy.set({});
  received = Buffer.alloc(0);
  pieces = 0;
  serverErrors = [];
});

async function client(): Promise<Socket> {
  const socket = connect(proxy.port, "127.0.0.1");
  socket.on("error", () => {});
  await once(socket, "connect");
  return socket;
}

/** Resolves with the code of the error that ends a connection, or `end`. */
function ending(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? ""));
    socket.once("end", () => resolve("end"));
  });
}

/** Sends, and measures until all of it came back. */
async function echoMs(socket: Socket, bytes: number): Promise<number> {
  const startMs = performance.now();
  let back = 0;
  socket.write(Buffer.alloc(bytes, "x"));
  while (back < bytes) back += ((await once(socket, "data")) as [Buffer])[0].length;
  return performance.now() - startMs;
}

/** What becomes of a promise in that time. */
function within<T>(promise: Promise<T>, ms: number): Promise<T | "nothing"> {
  return Promise.race([promise, sleep(ms, "nothing" as const)]);
}

test("pass: bytes go both ways, whole, and the end of a connection too", async () => {
  const socket = await client();
  await echoMs(socket, 3_000_000);
  expect(received).toHaveLength(3_000_000);
  expect(proxy.connections).toBe(1);
  const ended = ending(socket);
  socket.end();
  expect(await ended).toBe("end");
  await sleep(20);
  expect(proxy.connections).toBe(0);
});

test("down: open connections end at once, new ones are refused; pass: on the same port again", async () => {
  const before = await client();
  const ended = ending(before);
  await echoMs(before, 10);
  await proxy.set({ mode: "down" });
  expect(await ended).toBe("ECONNRESET");
  expect(proxy.connections).toBe(0);
  expect(await ending(connect(proxy.port, "127.0.0.1"))).toBe("ECONNREFUSED");
  await proxy.set({});
  await echoMs(await client(), 10);
});

test("half-open: connects, swallows, never answers; a connection that lost bytes is cut when it passes again", async () => {
  await proxy.set({ mode: "half-open" });
  const socket = await client();
  const ended = ending(socket);
  socket.write("lost");
  expect(await within(once(socket, "data"), 150)).toBe("nothing");
  expect(received).toHaveLength(0);
  await proxy.set({});
  expect(await ended).toBe("ECONNRESET");
});

test("reset-mid-body: the server gets the first bytes, both sides get a reset", async () => {
  await proxy.set({ mode: "reset-mid-body", resetAfterBytes: 700 });
  const socket = await client();
  const ended = ending(socket);
  socket.write(Buffer.alloc(5_000, "x"));
  expect(await ended).toBe("ECONNRESET");
  await sleep(20);
  expect(received).toHaveLength(700);
  expect(serverErrors).toEqual(["ECONNRESET"]);
});

test("reset-answer: the server gets all, the client a reset and not one byte", async () => {
  await proxy.set({ mode: "reset-answer" });
  const socket = await client();
  let back = 0;
  socket.on("data", (piece) => {
    back += piece.length;
  });
  const ended = ending(socket);
  socket.write(Buffer.alloc(700, "x"));
  expect(await ended).toBe("ECONNRESET");
  expect(received).toHaveLength(700);
  expect(back).toBe(0);
});

test("slice: many small pieces, the same bytes", async () => {
  await proxy.set({ mode: "slice", sliceBytes: 2 });
  const socket = await client();
  await echoMs(socket, 400);
  expect(received).toHaveLength(400);
  expect(pieces).toBeGreaterThan(50);
});

test("latency is added once in each direction, not once a piece", async () => {
  await proxy.set({ latencyMs: 100 });
  const socket = await client();
  const tookMs = await echoMs(socket, 500_000);
  expect(tookMs).toBeGreaterThan(199);
  expect(tookMs).toBeLessThan(500);
});

test("bandwidth is limited; the limit can be lifted under way", async () => {
  await proxy.set({ bytesPerSecond: 50_000 });
  const socket = await client();
  expect(await echoMs(socket, 20_000)).toBeGreaterThan(395);
  const slow = echoMs(socket, 1_000_000);
  await proxy.set({});
  expect(await slow).toBeLessThan(2_000);
});

test("a connection is cut at a text: before the server has it, when it answers, or before it gets it late", async () => {
  const seen: Record<string, string> = {};
  for (const when of ["before", "answered", "late"] as const) {
    received = Buffer.alloc(0);
    await proxy.set({ cutAt: { text: "COMMIT", when } });
    const before = proxy.cuts;
    const [one, other] = [await client(), await client()];
    let answer = "";
    const closed = new Promise((resolve) => one.on("close", resolve));
    one.on("data", (piece) => {
      answer += piece;
    });
    one.write("BEGIN;");
    await expect.poll(() => answer).toBe("BEGIN;");
    one.write("COMMIT;");
    await closed;
    seen[when] = `${received}`;
    other.write("COMMIT;");
    const [passed] = await once(other, "data");
    expect(`${passed}`, "once only").toBe("COMMIT;");
    expect(answer, "nothing more came back").toBe("BEGIN;");
    expect(proxy.cuts - before).toBe(1);
    if (when === "late") {
      expect(seen.late).toBe("BEGIN;");
      await expect.poll(() => `${received}`).toBe("BEGIN;COMMIT;COMMIT;");
    }
    other.destroy();
  }
  expect(seen).toMatchObject({ before: "BEGIN;", answered: "BEGIN;COMMIT;" });
});
