import { createHmac } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { type AddressInfo, createServer as createTcpServer, type Socket, type Server as TcpServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import PostalMime from "postal-mime";
import { SMTPServer } from "smtp-server";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { parse } from "yaml";
import type { Log } from "../../src/core/ports.ts";
import { Problem } from "../../src/core/problem.ts";
import { email } from "../../src/notify/notifiers/email.ts";
import { notifiers } from "../../src/notify/notifiers/index.ts";
import { webhook } from "../../src/notify/notifiers/webhook.ts";
import { SimulatedClock } from "../support/clock.ts";
import { message, notifierContract, type Received } from "./notifier.ts";

const log: Log = { debug() {}, info() {}, warn() {}, error() {} };
const clock = new SimulatedClock("2026-11-20T10:41:07.500Z");
const deps = { clock, log };
const from = "Bellwether <bellwether@shop.example>";
const timeoutMs = 400;
const never = new AbortController().signal;
const ana = "ana@shop.example";

async function parsed(mail: string | Buffer): Promise<Received> {
  const { messageId = "", subject = "", text = "" } = await PostalMime.parse(mail);
  return { id: messageId.replace(/^<|@.*$/g, ""), subject, text };
}

const listening = (server: { listen: (port: number, host: string, done: () => void) => unknown }): Promise<void> =>
  new Promise((resolve) => void server.listen(0, "127.0.0.1", resolve));
const closed = (server: { close: (done: () => void) => unknown }): Promise<void> =>
  new Promise((resolve) => void server.close(() => resolve()));
const portOf = (server: { address(): unknown }): number => (server.address() as AddressInfo).port;

// ---- the mailbox folder -----------------------------------------------------------------------------------------

let folder = "";
const mailbox = () => join(folder, "mailbox");

notifierContract({
  name: "mailbox folder",
  setUp: async () => {
    folder = await mkdtemp(join(tmpdir(), "bellwether-mailbox-"));
    await writeFile(join(folder, "a-file"), "in the way");
  },
  tearDown: () => rm(folder, { recursive: true }),
  reset: () => rm(mailbox(), { recursive: true, force: true }),
  open: () => email.create({ mailboxDir: mailbox(), from }, deps),
  to: () => ana,
  badTo: "ana@shop.example, bo@shop.example",
  received: async () => {
    const names = await readdir(mailbox()).catch(() => []);
    const mails = names.filter((name) => name.endsWith(".eml"));
    return Promise.all(mails.map(async (name) => parsed(await readFile(join(mailbox(), name)))));
  },
  unreachable: () => ({ notifier: email.create({ mailboxDir: join(folder, "a-file/mailbox"), from }, deps), to: ana }),
  refuse: null,
  hang: null,
});

describe("mailbox folder", () => {
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "bellwether-mailbox-"));
  });
  afterEach(() => rm(mailbox(), { recursive: true, force: true }));
  afterAll(() => rm(folder, { recursive: true }));

  const names = async () => (await readdir(mailbox())).filter((name) => !name.startsWith("."));

  test("files are named by time and id; later attempts come to the same name", async () => {
    const notifier = email.create({ mailboxDir: mailbox(), from }, deps);
    await notifier.send(message(ana), never);
    const later = new SimulatedClock("2026-11-20T11:00:00Z");
    await email.create({ mailboxDir: mailbox(), from }, { clock: later, log }).send(message(ana), never);
    expect(await names()).toEqual(["20261120T104107Z-note-1.eml"]);
  });

  test("a crash before the name was given leaves nothing under it, and the next attempt gives it", async () => {
    const notifier = email.create({ mailboxDir: mailbox(), from }, deps);
    await notifier.send(message(ana), never);
    await rm(join(mailbox(), "20261120T104107Z-note-1.eml"));
    await writeFile(join(mailbox(), ".by-id", "note-2.77.tmp"), "half a mail");
    await notifier.send(message(ana), never);
    await notifier.send(message(ana, { id: "note-2" }), never);
    expect(await names()).toEqual(["20261120T104107Z-note-1.eml", "20261120T104107Z-note-2.eml"]);
  });

  test("the same id from eight at once is one file", async () => {
    const notifier = email.create({ mailboxDir: mailbox(), from }, deps);
    await Promise.all(Array.from({ length: 8 }, () => notifier.send(message(ana), never)));
    expect(await names()).toHaveLength(1);
  });

  test("an id that is a path stays in the folder", async () => {
    await mkdir(mailbox(), { recursive: true });
    await email.create({ mailboxDir: mailbox(), from }, deps).send(message(ana, { id: "../../escape" }), never);
    expect((await names())[0]).toMatch(/^20261120T104107Z-[0-9a-f]{32}\.eml$/);
  });

  test("text, HTML and chart are one message: alternative within related", async () => {
    const chart = new Uint8Array([137, 80, 78, 71]);
    await email.create({ mailboxDir: mailbox(), from }, deps).send(message(ana, { chart }), never);
    const mail = await PostalMime.parse(await readFile(join(mailbox(), (await names())[0] as string)));
    expect(mail.text).toContain("orders is 3");
    expect(mail.html).toContain("cid:chart");
    expect(mail.attachments).toMatchObject([{ contentId: "<chart>", mimeType: "image/png", disposition: "inline" }]);
    expect(mail.date).toBe("2026-11-20T10:41:07.000Z");
    expect(mail.headers.find(({ key }) => key === "auto-submitted")?.value).toBe("auto-generated");
  });

  test.each([
    ["subject", { subject: "hello\r\nBcc: all@shop.example" }],
    ["subject, line feed alone", { subject: "hello\nBcc: all@shop.example" }],
    ["recipient", { to: "ana@shop.example\r\nBcc: all@shop.example" }],
    ["recipient, two of them", { to: "ana@shop.example;all@shop.example" }],
    ["recipient, with a name", { to: "Ana <ana@shop.example>" }],
  ])("TPL-002: header injection by %s is refused", async (_, fields) => {
    const sent = email.create({ mailboxDir: mailbox(), from }, deps).send(message(ana, fields), never);
    await expect(sent).rejects.toMatchObject({ code: "TPL-002", retryable: false });
    await expect(readdir(mailbox())).rejects.toThrow("ENOENT");
  });
});

// ---- SMTP -------------------------------------------------------------------------------------------------------

let smtp: SMTPServer;
let mails: Received[] = [];
let refusal: number | null = null;
let hanging = false;
let dying = false;

function smtpServer(options: ConstructorParameters<typeof SMTPServer>[0] = {}): SMTPServer {
  const server = new SMTPServer({
    disabledCommands: ["STARTTLS", "AUTH"],
    onRcptTo: (address, _session, done) => {
      if (refusal === null) return done();
      done(Object.assign(new Error(`no mailbox ${address.address} today`), { responseCode: refusal }));
    },
    onData: (stream, session, done) => {
      const chunks: Buffer[] = [];
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.on("end", async () => {
        if (hanging) return;
        mails.push(await parsed(Buffer.concat(chunks)));
        if (!dying) return done();
        for (const one of server.connections as Set<{ id: string; close(): void }>)
          if (one.id === session.id) one.close();
      });
    },
    ...options,
  });
  server.on("error", () => {});
  return server;
}

const smtpUrl = (server: SMTPServer, scheme = "smtp"): string => `${scheme}://127.0.0.1:${portOf(server.server)}`;
const closedPort = async (): Promise<number> => {
  const server = createTcpServer();
  await listening(server);
  const port = portOf(server);
  await closed(server);
  return port;
};
let deadPort = 0;

notifierContract({
  name: "SMTP server",
  setUp: async () => {
    smtp = smtpServer();
    await listening(smtp);
    deadPort = await closedPort();
  },
  tearDown: () => closed(smtp),
  reset: async () => {
    mails = [];
    refusal = null;
    hanging = false;
  },
  open: () => email.create({ smtpUrl: smtpUrl(smtp), mailboxDir: "unused", from, timeoutMs }, deps),
  to: () => ana,
  badTo: "ana@shop.example\r\nRCPT TO:<bo@shop.example>",
  received: async () => mails,
  unreachable: () => ({
    notifier: email.create({ smtpUrl: `smtp://127.0.0.1:${deadPort}`, mailboxDir: "unused", from, timeoutMs }, deps),
    to: ana,
  }),
  refuse: async (how) => {
    refusal = how === "now" ? 451 : 550;
  },
  hang: async () => {
    hanging = true;
  },
});

describe("SMTP server", () => {
  afterEach(() => {
    mails = [];
    refusal = null;
    hanging = false;
    dying = false;
  });

  const sendTo = async (url: string): Promise<Problem> => {
    await using notifier = email.create({ smtpUrl: url, mailboxDir: "unused", from, timeoutMs }, deps);
    const thrown = await notifier.send(message(ana), never).catch((reason: unknown) => reason);
    expect(thrown).toBeInstanceOf(Problem);
    return thrown as Problem;
  };

  test("a certificate nobody vouches for: nothing is sent, it may be renewed", async () => {
    for (const [scheme, options] of [
      ["smtps", { secure: true }],
      ["smtp", { disabledCommands: ["AUTH"] }],
    ] as const) {
      const server = smtpServer(options as ConstructorParameters<typeof SMTPServer>[0]);
      await listening(server);
      const problem = await sendTo(smtpUrl(server, scheme));
      expect(problem).toMatchObject({ retryable: true, uncertain: false });
      expect(problem.message).toMatch(/certificate/);
      expect(mails).toEqual([]);
      await closed(server);
    }
  });

  test("a server that takes the message and dies before it says so: it may have arrived", async () => {
    dying = true;
    const server = smtpServer();
    await listening(server);
    expect(await sendTo(smtpUrl(server))).toMatchObject({ retryable: true, uncertain: true });
    expect(mails).toHaveLength(1);
    await closed(server);
  });

  test("a server that drips a byte now and then is left at the time limit", async () => {
    const sockets = new Set<Socket>();
    const dripping: TcpServer = createTcpServer((socket) => {
      sockets.add(socket);
      socket.on("error", () => {});
      const timer = setInterval(() => socket.write("2"), 50);
      socket.on("close", () => clearInterval(timer));
    });
    await listening(dripping);
    const startMs = performance.now();
    const problem = await sendTo(`smtp://127.0.0.1:${portOf(dripping)}`);
    expect(performance.now() - startMs).toBeLessThan(timeoutMs + 2_000);
    expect(problem.retryable).toBe(true);
    for (const socket of sockets) socket.destroy();
    await closed(dripping);
  });

  test("a refused login is not the message's fault, and no password is in the error", async () => {
    const server = smtpServer({
      disabledCommands: ["STARTTLS"],
      allowInsecureAuth: true,
      onAuth: (_auth, _session, done) => done(Object.assign(new Error("wrong password"), { responseCode: 535 })),
    });
    await listening(server);
    const problem = await sendTo(smtpUrl(server).replace("://", "://report:s3cret@"));
    expect(problem.retryable).toBe(true);
    expect(problem.message).not.toContain("s3cret");
    await closed(server);
  });
});

// ---- webhook ----------------------------------------------------------------------------------------------------

type Posted = { headers: IncomingMessage["headers"]; body: string };
let web: Server;
let posted: Posted[] = [];
let answer: (response: ServerResponse) => void = (response) => void response.writeHead(204).end();

const hookUrl = (): string => `http://127.0.0.1:${portOf(web)}/hooks/secret-path`;

async function startWeb(): Promise<void> {
  web = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk) => {
      body += chunk;
    });
    request.on("end", () => {
      posted.push({ headers: request.headers, body });
      answer(response);
    });
  });
  await listening(web);
  deadPort = await closedPort();
}

async function stopWeb(): Promise<void> {
  web.closeAllConnections();
  await closed(web);
}

const takeAll = (response: ServerResponse): void => void response.writeHead(204).end();

notifierContract({
  name: "webhook",
  setUp: startWeb,
  tearDown: stopWeb,
  reset: async () => {
    posted = [];
    answer = takeAll;
  },
  open: () => webhook.create({ timeoutMs }, deps),
  to: hookUrl,
  badTo: "file:///etc/passwd",
  received: async () => {
    // A receiver that keeps its side of the bargain looks at the key.
    const byKey = new Map(posted.map(({ headers, body }) => [headers["idempotency-key"] as string, body]));
    return [...byKey].map(([id, body]) => {
      const { data } = JSON.parse(body);
      return { id, subject: data.subject, text: data.text };
    });
  },
  unreachable: () => ({ notifier: webhook.create({ timeoutMs }, deps), to: `http://127.0.0.1:${deadPort}/x` }),
  refuse: async (how) => {
    answer = (response) => void response.writeHead(how === "now" ? 503 : 410).end();
  },
  hang: async () => {
    answer = () => {};
  },
});

describe("webhook", () => {
  beforeAll(startWeb);
  afterAll(stopWeb);
  beforeEach(() => {
    posted = [];
    answer = takeAll;
  });

  const send = (options: Parameters<typeof webhook.create>[0] = {}, to = hookUrl()) =>
    webhook.create({ timeoutMs, ...options }, deps).send(message(to), never);

  test("is signed as Standard Webhooks ask, once for each secret", async () => {
    const secrets = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"];
    await send({ secrets });
    const [{ headers, body } = { headers: {}, body: "" }] = posted;
    expect(headers["webhook-id"]).toBe("note-1");
    expect(headers["webhook-timestamp"]).toBe(String(Date.parse("2026-11-20T10:41:07Z") / 1000));
    const wanted = secrets.map((secret) => {
      const mac = createHmac("sha256", Buffer.from(secret.slice(6), "base64"));
      return `v1,${mac.update(`note-1.${headers["webhook-timestamp"]}.${body}`).digest("base64")}`;
    });
    expect(headers["webhook-signature"]).toBe(wanted.join(" "));
    expect(JSON.parse(body)).toMatchObject({
      type: "incident.opened",
      timestamp: "2026-11-20T10:41:07Z",
      data: { incident: { id: "incident-1" } },
    });
  });

  test("without a secret it is not signed", async () => {
    await send();
    expect(posted[0]?.headers).not.toHaveProperty("webhook-signature");
  });

  test.each([
    [429, { "retry-after": "120" }, true, 120_000],
    [503, { "retry-after": "Fri, 20 Nov 2026 10:42:07 GMT" }, true, 59_500],
    [503, { "retry-after": "999999" }, true, 3_600_000],
    [503, { "retry-after": "soon" }, true, undefined],
    [500, {}, true, undefined],
    [408, {}, true, undefined],
    [400, { "retry-after": "5" }, false, undefined],
    [404, {}, false, undefined],
    [302, { location: "http://127.0.0.1:1/" }, false, undefined],
  ])("answer %i %j: retryable %s after %s", async (status, headers, retryable, retryAfterMs) => {
    answer = (response) => void response.writeHead(status, headers as Record<string, string>).end("no");
    const problem = await send().catch((reason: unknown) => reason);
    expect(problem).toMatchObject({ retryable, retryAfterMs, uncertain: false });
    expect(String(problem)).not.toContain("secret-path");
    expect(posted).toHaveLength(1);
  });

  test("an endless answer is not read to its end", async () => {
    answer = (response) => {
      response.writeHead(200);
      const more = (): void => {
        if (!response.destroyed) response.write("x".repeat(65_536), more);
      };
      more();
    };
    await expect(send()).resolves.toMatchObject({ id: "note-1" });
  });

  test.each([
    "http://169.254.169.254/latest/meta-data",
    "http://2852039166/latest",
    "http://[::ffff:a9fe:a9fe]/",
    "http://[64:ff9b::a9fe:a9fe]/",
    "http://[2002:a9fe:a9fe::]/",
    "http://[fe80::1]/",
    "ftp://shop.example/",
    "not an address",
  ])("never to %s", async (to) => {
    const problem = await send({}, to).catch((reason: unknown) => reason);
    expect(problem).toMatchObject({ retryable: false });
    expect((problem as Problem).code).toMatch(/^NET-00[12]$/);
  });

  test("only to hosts that are allowed, where some are", async () => {
    await expect(send({ allowed: ["hooks.shop.example"] })).rejects.toMatchObject({ code: "NET-002" });
    await expect(send({ allowed: ["127.0.0.1"] })).resolves.toBeDefined();
  });
});

test.each(Object.values(notifiers).map((plugin) => [plugin.kind, plugin] as const))(
  "example of %s is valid",
  (kind, plugin) => {
    expect(plugin.options.safeParse(parse(plugin.example)).error).toBeUndefined();
    expect(plugin.options.safeParse({ ...parse(plugin.example), unknown: 1 }).success).toBe(false);
    expect(notifiers).toHaveProperty(kind);
  },
);
