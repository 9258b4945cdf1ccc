/** A mail server that asks for a password, takes everything and remembers it. */
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import PostalMime from "postal-mime";
import { SMTPServer } from "smtp-server";

export type Mail = {
  /** `Message-ID` up to the `@`: the id of what was owed. */
  readonly id: string;
  readonly to: string;
  readonly subject: string;
  readonly atMs: number;
  readonly text: string;
};

export class MailServer implements AsyncDisposable {
  readonly mails: Mail[] = [];
  readonly #server: SMTPServer;

  static async start(user: string, password: string): Promise<MailServer> {
    const server = new MailServer(user, password);
    server.#server.listen(0, "127.0.0.1");
    await once(server.#server.server, "listening");
    return server;
  }

  private constructor(user: string, password: string) {
    this.#server = new SMTPServer({
      disabledCommands: ["STARTTLS"],
      allowInsecureAuth: true,
      onAuth: ({ username, password: given }, _session, done) => {
        const isRight = username === user && given === password;
        done(isRight ? null : Object.assign(new Error("wrong password"), { responseCode: 535 }), { user: username });
      },
      onData: (stream, { envelope }, done) => {
        const chunks: Buffer[] = [];
        stream.on("data", (chunk: Buffer) => chunks.push(chunk));
        stream.on("end", async () => {
          const { messageId = "", subject = "", text = "" } = await PostalMime.parse(Buffer.concat(chunks));
          const id = messageId.replace(/^<|@.*$/g, "");
          for (const { address } of envelope.rcptTo)
            this.mails.push({ id, to: address, subject, atMs: Date.now(), text });
          done();
        });
      },
    });
    // A client that is killed in the middle of a message.
    this.#server.on("error", () => {});
  }

  get port(): number {
    return (this.#server.server.address() as AddressInfo).port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}
