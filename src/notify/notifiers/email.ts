/**
 * E-mail: through an SMTP server, or, where none is set, into a folder of `.eml` files (the mailbox) that the console
 * shows. Text, HTML and the inline chart are one message either way.
 */
import { createHash, randomUUID } from "node:crypto";
import { access, constants, link, mkdir, open, rm, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import { createTransport, type NodemailerError, type SendMailOptions } from "nodemailer";
import MailComposer from "nodemailer/lib/mail-composer";
import { z } from "zod";
import { maskAddresses } from "../../core/mask.ts";
import type { Message } from "../../core/model.ts";
import type { Notifier, NotifierDeps, Plugin } from "../../core/ports.ts";
import { messageOf, Problem, toProblem } from "../../core/problem.ts";
import { deadline, formatTimeUtc } from "../../core/time.ts";

export type EmailOptions = {
  /** `smtp://user:password@host:587`, `smtps://...`; absent: the mailbox. Never shown. */
  readonly smtpUrl?: string | undefined;
  /** Folder of `.eml` files, used where no server is set; made if it is not there. */
  readonly mailboxDir: string;
  /** Sender, `Bellwether <bellwether@localhost>`. */
  readonly from: string;
  /** From the first byte to the server's last word on one message. Default 10 s. */
  readonly timeoutMs?: number | undefined;
};

const timeoutMsDefault = 10_000;
const connectionsMax = 4;

const oneAddress = /^[^\s@,;:<>"()[\]\\]{1,64}@[^\s@,;:<>"()[\]\\]{1,255}$/;

const example = `
smtpUrl: smtp://127.0.0.1:2525
mailboxDir: var/mailbox
from: Bellwether <bellwether@shop.example>
`;

export const email: Plugin<Notifier, EmailOptions, NotifierDeps> = {
  kind: "email",
  summary: "E-mail through an SMTP server, or into a folder of .eml files",
  example,
  options: z.strictObject({
    smtpUrl: z
      .string()
      .regex(/^smtps?:\/\/\S+$/, "write smtp://host:port or smtps://host:port")
      .optional(),
    mailboxDir: z.string().min(1),
    from: z
      .string()
      .min(3)
      .refine((text) => !hasBreak(text), "a sender is one line"),
    timeoutMs: z.int().min(100).max(60_000).optional(),
  }),
  create: (options, deps) =>
    options.smtpUrl === undefined
      ? new MailboxNotifier(options, deps)
      : new SmtpNotifier(options, options.smtpUrl, deps),
};

/** What nodemailer makes a mail of; it may read nothing from files or addresses that a text names. */
function mailOf(message: Message, from: string, nowMs: number): SendMailOptions {
  if (!oneAddress.test(message.to)) {
    throw new Problem("the recipient is not one e-mail address", { code: "TPL-002", fix: "write one name@domain" });
  }
  if (hasBreak(message.subject)) {
    throw new Problem("line break in the subject of a mail", {
      code: "TPL-002",
      fix: "keep names and titles on one line",
    });
  }
  const chart = {
    filename: "chart.png",
    content: Buffer.from(message.chart ?? []),
    contentType: "image/png",
    cid: "chart",
  };
  return {
    messageId: `<${message.id}@${domainOf(from)}>`,
    date: new Date(nowMs),
    from,
    to: message.to,
    subject: message.subject,
    text: message.text,
    html: message.html,
    attachments: message.chart === undefined ? [] : [{ ...chart, contentDisposition: "inline" }],
    priority: message.severity === "critical" && message.kind !== "resolved" ? "high" : "normal",
    // Asks vacation replies and other robots not to answer (RFC 3834).
    headers: { "Auto-Submitted": "auto-generated", "X-Auto-Response-Suppress": "All" },
    disableFileAccess: true,
    disableUrlAccess: true,
  };
}

function hasBreak(text: string): boolean {
  return /[\r\n\0]/.test(text);
}

function domainOf(from: string): string {
  return /@([A-Za-z0-9.-]+)/.exec(from)?.[1] ?? "localhost";
}

class SmtpNotifier implements Notifier {
  readonly #from: string;
  readonly #timeoutMs: number;
  readonly #deps: NotifierDeps;
  readonly #server: URL;
  readonly #transport;

  constructor(options: EmailOptions, url: string, deps: NotifierDeps) {
    const timeoutMs = options.timeoutMs ?? timeoutMsDefault;
    this.#server = new URL(url);
    this.#from = options.from;
    this.#timeoutMs = timeoutMs;
    this.#deps = deps;
    this.#transport = createTransport({
      url,
      pool: true,
      maxConnections: connectionsMax,
      // Whether a message is sent again is decided by the outbox, which counts attempts.
      maxRequeues: 0,
      connectionTimeout: timeoutMs,
      greetingTimeout: timeoutMs,
      socketTimeout: timeoutMs,
      dnsTimeout: timeoutMs,
    });
  }

  /** Connects, greets, encrypts and logs in as a message would; a server that only drips is given up on as well. */
  async check(): Promise<string> {
    const { protocol, host, username } = this.#server;
    const late = deadline(this.#timeoutMs);
    const expired = new Promise<never>((_, reject) => {
      late.addEventListener("abort", () => reject(Object.assign(new Error("late"), { code: "EABORT" })), {
        once: true,
      });
    });
    try {
      await Promise.race([this.#transport.verify(), expired]);
    } catch (thrown) {
      throw smtpProblem(thrown as NodemailerError, this.#timeoutMs);
    }
    return `${protocol}//${host} answers${username === "" ? "" : " and lets us in"}`;
  }

  async send(message: Message, signal: AbortSignal): Promise<{ id: string; detail: string }> {
    const mail = mailOf(message, this.#from, this.#deps.clock.nowMs());
    try {
      const info = await this.#transport.sendMail({ ...mail, signal: deadline(this.#timeoutMs, signal) });
      return { id: info.messageId, detail: maskAddresses(info.response) };
    } catch (thrown) {
      throw smtpProblem(thrown as NodemailerError, this.#timeoutMs);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#transport.close();
  }
}

/** Errors that come before any message is handed over. */
const beforeHandOver = new Set(["EDNS", "ETLS", "EREQUIRETLS", "EAUTH", "ENOAUTH", "EPROXY", "ECONFIG"]);
/** Of the system's own errors, those that can come after; the others are refused connections and certificates. */
const afterHandOver = new Set(["ECONNRESET", "EPIPE", "ETIMEDOUT"]);

function smtpProblem(error: NodemailerError, timeoutMs: number): Problem {
  const { responseCode, code = "", originalCode } = error;
  const said = maskAddresses(messageOf(error)).replace(/\s+/g, " ");
  if (responseCode !== undefined) {
    // 5xx is for good (RFC 5321, 4.2.1), but a refused login says nothing about the message.
    const retryable = responseCode < 500 || code === "EAUTH";
    return new Problem(`the mail server said no: ${said}`, { where: "SMTP_URL", retryable, cause: error });
  }
  const what = code === "EABORT" ? `no answer within ${timeoutMs / 1000} s` : said;
  return new Problem(`the mail server could not be used: ${what}`, {
    where: "SMTP_URL",
    fix: "check that the server answers and its certificate is valid: bellwether doctor",
    retryable: true,
    uncertain: !beforeHandOver.has(code) && (originalCode === undefined || afterHandOver.has(originalCode)),
    cause: error,
  });
}

class MailboxNotifier implements Notifier {
  readonly idempotent = true;
  readonly #options: EmailOptions;
  readonly #deps: NotifierDeps;

  constructor(options: EmailOptions, deps: NotifierDeps) {
    this.#options = options;
    this.#deps = deps;
  }

  async check(): Promise<string> {
    const { mailboxDir } = this.#options;
    try {
      await mkdir(mailboxDir, { recursive: true, mode: 0o700 });
      await access(mailboxDir, constants.W_OK | constants.X_OK);
    } catch (thrown) {
      throw mailboxProblem(thrown, mailboxDir);
    }
    return `no SMTP_URL, so mails stay in ${mailboxDir}, which can be written`;
  }

  async send(message: Message, signal: AbortSignal): Promise<{ id: string; detail: string }> {
    signal.throwIfAborted();
    const nowMs = this.#deps.clock.nowMs();
    const mail = await new MailComposer(mailOf(message, this.#options.from, nowMs)).compile().build();
    try {
      const name = await putOnce(this.#options.mailboxDir, message.id, mail, nowMs);
      return { id: name, detail: `written to the mailbox as ${name}` };
    } catch (thrown) {
      throw mailboxProblem(thrown, this.#options.mailboxDir);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

function mailboxProblem(thrown: unknown, dir: string): Problem {
  return toProblem(thrown, "cannot write to the mailbox", {
    where: dir,
    fix: "check that the folder can be written and the disk is not full",
    retryable: true,
  });
}

/**
 * Writes a mail under its time and id, once: whoever is first to link the file under its id alone wins, and the name
 * that readers see is made of what was linked then. A crash anywhere leaves nothing half-written under a name that is
 * read, and the next attempt with this id comes to the same name.
 */
async function putOnce(dir: string, id: string, mail: Buffer, nowMs: number): Promise<string> {
  const byId = join(dir, ".by-id");
  await mkdir(byId, { recursive: true, mode: 0o700 });
  // Ids are our own, yet a name of a file is no place to trust anybody.
  const key = /^[A-Za-z0-9_-]{1,80}$/.test(id) ? id : createHash("sha256").update(id).digest("hex").slice(0, 32);
  const first = join(byId, key);
  if (!(await exists(first))) {
    const temporary = join(byId, `${randomUUID()}.tmp`);
    const file = await open(temporary, "wx", 0o600);
    try {
      await file.writeFile(mail);
      await file.sync();
    } finally {
      await file.close();
    }
    await utimes(temporary, new Date(nowMs), new Date(Math.floor(nowMs / 1000) * 1000));
    await linkOnce(temporary, first);
    await rm(temporary, { force: true });
  }
  const { mtimeMs } = await stat(first);
  const name = `${formatTimeUtc(Math.floor(mtimeMs / 1000) * 1000).replace(/[-:]/g, "")}-${key}.eml`;
  await linkOnce(first, join(dir, name));
  return name;
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

async function linkOnce(from: string, to: string): Promise<void> {
  await link(from, to).catch((thrown: NodeJS.ErrnoException) => {
    if (thrown.code !== "EEXIST") throw thrown;
  });
}
