import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SMTPServer } from "smtp-server";
import { afterAll, describe, expect, test } from "vitest";
import type { Log } from "../../../src/core/ports.ts";
import { email } from "../../../src/notify/notifiers/email.ts";
import { SimulatedClock } from "../../support/clock.ts";

const log: Log = { debug() {}, info() {}, warn() {}, error() {} };
const deps = { clock: new SimulatedClock("2026-11-20T10:41:07Z"), log };
const from = "Bellwether <bellwether@shop.example>";
const timeoutMs = 400;
const folder = mkdtempSync(join(tmpdir(), "bellwether-check-"));
afterAll(() => rmSync(folder, { recursive: true }));

async function check(smtpUrl: string): Promise<string | undefined> {
  await using notifier = email.create({ smtpUrl, mailboxDir: folder, from, timeoutMs }, deps);
  return await notifier.check?.();
}

/** What `work` answers while a mail server with one account listens at the address it is given. */
async function withServer<T>(work: (host: string) => Promise<T>): Promise<{ answer: T; mails: number }> {
  let mails = 0;
  const server = new SMTPServer({
    disabledCommands: ["STARTTLS"],
    allowInsecureAuth: true,
    authOptional: true,
    onAuth: ({ password }, _session, done) => {
      if (password === "r1ght") return done(null, { user: "report" });
      done(Object.assign(new Error("who are you"), { responseCode: 535 }));
    },
    onData: (stream, _session, done) => {
      mails += 1;
      stream.resume().on("end", () => done());
    },
  });
  server.on("error", () => {});
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", () => resolve()));
  const { port } = server.server.address() as AddressInfo;
  try {
    return { answer: await work(`127.0.0.1:${port}`), mails };
  } finally {
    await new Promise<void>((resolve) => server.close(() => resolve()));
  }
}

describe("check of e-mail sends nothing and says", () => {
  test("where it would send, without the account", async () => {
    const { mails } = await withServer(async (host) => {
      expect(await check(`smtp://${host}`)).toBe(`smtp://${host} answers`);
      expect(await check(`smtp://report:r1ght@${host}`)).toBe(`smtp://${host} answers and lets us in`);
    });
    expect(mails).toBe(0);
  });

  test("that the account is refused, without the password", async () => {
    await withServer(async (host) => {
      const refused = check(`smtp://report:wr0ng@${host}`);
      await expect(refused).rejects.toMatchObject({ where: "SMTP_URL", retryable: true });
      await expect(refused).rejects.toThrow(/^the mail server said no: (?!.*wr0ng)/);
    });
  });

  test("that nobody answers", async () => {
    const { answer: gone } = await withServer(async (host) => host);
    await expect(check(`smtp://${gone}`)).rejects.toMatchObject({ where: "SMTP_URL", retryable: true });
  });

  test("that a server takes the connection and says nothing, within the time limit", async () => {
    const silent = createServer((socket) => void socket.on("error", () => {}));
    await new Promise<void>((resolve) => void silent.listen(0, "127.0.0.1", () => resolve()));
    const startMs = performance.now();
    await expect(check(`smtp://127.0.0.1:${(silent.address() as AddressInfo).port}`)).rejects.toThrow(/mail server/);
    expect(performance.now() - startMs).toBeLessThan(timeoutMs + 2_000);
    silent.close();
  });

  test("whether the mailbox folder can be written, leaving nothing in it", async () => {
    const dir = join(folder, "mailbox");
    await expect(email.create({ mailboxDir: dir, from }, deps).check?.()).resolves.toContain(dir);
    expect(readdirSync(dir)).toEqual([]);
    writeFileSync(join(folder, "file"), "in the way");
    const inTheWay = email.create({ mailboxDir: join(folder, "file", "mailbox"), from }, deps);
    await expect(inTheWay.check?.()).rejects.toMatchObject({ where: join(folder, "file", "mailbox") });
  });
});
