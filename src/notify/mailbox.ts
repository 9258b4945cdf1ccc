/** The folder of `.eml` files that messages go to where no mail server is set: listing and reading. */
import { open, readdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import PostalMime, { type Email } from "postal-mime";
import type { Mail, MailSummary } from "../core/model.ts";

/** Enough for the head of any message of ours. */
const headBytes = 16_384;
/** A larger file is not one of ours. */
const mailBytesMax = 2 * 1024 * 1024;
const fileName = /^[A-Za-z0-9][A-Za-z0-9_-]*\.eml$/;

export class Mailbox {
  readonly #dir: string;

  /** @param dir need not exist yet: then the mailbox is empty */
  constructor(dir: string) {
    this.#dir = dir;
  }

  /** Newest first, at most `limit`; `before` pages on: the id of the last one seen. */
  async list(limit: number, before?: string): Promise<MailSummary[]> {
    const names = (await this.#names()).filter((name) => before === undefined || name < `${before}.eml`);
    const mails = await Promise.all(names.slice(0, limit).map((name) => this.#summary(name)));
    return mails.filter((mail) => mail !== null);
  }

  /** How many messages there are. */
  async count(): Promise<number> {
    return (await this.#names()).length;
  }

  /** Null if there is no such message, or the file is not one. */
  async read(id: string): Promise<Mail | null> {
    const name = `${id}.eml`;
    if (!fileName.test(name)) return null;
    const path = join(this.#dir, name);
    const found = await stat(path).catch(() => null);
    if (found === null || !found.isFile() || found.size > mailBytesMax) return null;
    const mail = await PostalMime.parse(await readFile(path));
    return {
      ...summary(id, mail, found.mtimeMs),
      from: addressText(mail.from),
      text: mail.text ?? "",
      html: mail.html === undefined ? null : readable(mail.html, mail.attachments),
    };
  }

  /** Forgets messages written before `beforeMs`, and what a crash left of older ones. @returns how many went */
  async expire(beforeMs: number): Promise<number> {
    let gone = 0;
    for (const name of await this.#names()) {
      if (await removeOlder(join(this.#dir, name), beforeMs)) gone += 1;
    }
    const byId = join(this.#dir, ".by-id");
    for (const name of await namesIn(byId)) await removeOlder(join(byId, name), beforeMs);
    return gone;
  }

  /** Names begin with their time, so they sort by it. */
  async #names(): Promise<string[]> {
    return (await namesIn(this.#dir)).filter((name) => fileName.test(name)).sort((a, b) => (a < b ? 1 : -1));
  }

  async #summary(name: string): Promise<MailSummary | null> {
    const file = await open(join(this.#dir, name)).catch(() => null);
    if (file === null) return null;
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(headBytes), 0, headBytes, 0);
      const text = buffer.subarray(0, bytesRead).toString("latin1");
      const end = text.indexOf("\r\n\r\n");
      const head = await PostalMime.parse(buffer.subarray(0, end === -1 ? bytesRead : end + 4));
      return summary(name.replace(/\.eml$/, ""), head, (await file.stat()).mtimeMs);
    } finally {
      await file.close();
    }
  }
}

async function namesIn(dir: string): Promise<string[]> {
  return readdir(dir).catch((thrown: NodeJS.ErrnoException) => {
    if (thrown.code === "ENOENT") return [];
    throw thrown;
  });
}

async function removeOlder(path: string, beforeMs: number): Promise<boolean> {
  const found = await stat(path).catch(() => null);
  if (found === null || found.mtimeMs >= beforeMs) return false;
  await rm(path, { force: true });
  return true;
}

function summary(id: string, mail: Email, mtimeMs: number): MailSummary {
  const dateMs = Date.parse(mail.date ?? "");
  return {
    id,
    atMs: Number.isFinite(dateMs) ? dateMs : Math.round(mtimeMs),
    to: (mail.to ?? []).map(addressText).join(", "),
    subject: mail.subject ?? "",
  };
}

function addressText(address: Email["from"]): string {
  if (address === undefined) return "";
  return address.name === "" ? (address.address ?? "") : `${address.name} <${address.address ?? ""}>`;
}

/**
 * HTML as the console may show it, in a frame without scripts: elements that act or load are taken out, inline
 * images are put in. A second lock: the messages are our own, and whatever they quote was escaped when they were made.
 */
function readable(html: string, attachments: Email["attachments"]): string {
  const images = new Map(
    attachments
      .filter(({ mimeType, contentId }) => /^image\/(png|jpeg|gif)$/.test(mimeType) && contentId !== undefined)
      .map(({ mimeType, contentId, content }) => [
        `cid:${contentId?.replace(/^<|>$/g, "")}`,
        `data:${mimeType};base64,${Buffer.from(content as Uint8Array).toString("base64")}`,
      ]),
  );
  // What is left after taking something out may itself be something: until nothing changes, and not for ever.
  let safe = html;
  for (let rounds = 0; rounds < 10; rounds += 1) {
    const before = safe;
    safe = safe.replace(acting, "").replace(/<[^>]*>/g, (tag) => plainTag(tag, images));
    if (safe === before) return safe;
  }
  return "";
}

const actors = "script|style|iframe|object|embed|form|input|button|link|base|meta|svg|math";
/** Elements that act or load, with what is in them, and their loose tags. */
const acting = new RegExp(`<(${actors})\\b[^>]*>[\\s\\S]*?</\\1\\s*>|</?(${actors})\\b[^>]*>?`, "gi");
const value = `\\s*=\\s*("[^"]*"|'[^']*'|[^\\s>]+)`;
const actingAttribute = new RegExp(`[\\s/"'](on\\w+|srcset|formaction|background)${value}`, "gi");
const linkOrSource = new RegExp(`\\s(href|src)${value}`, "gi");

/** A tag whose links lead to the web and whose pictures are its own. */
function plainTag(tag: string, images: ReadonlyMap<string, string>): string {
  return tag.replace(actingAttribute, "").replace(linkOrSource, (_, name: string, quoted: string) => {
    const target = quoted.replace(/^["']|["']$/g, "");
    const kept = name.toLowerCase() === "href" ? /^https?:\/\//i.test(target) : /^data:image\//.test(target);
    const put = images.get(target) ?? (kept ? target : undefined);
    return put === undefined ? "" : ` ${name}="${put}"`;
  });
}
