/** A TCP proxy of our own, which spoils the connection between a client and a server in every way that networks do. */
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort } from "./process.ts";

export type Spoiling = {
  /**
   * - `pass`: lets everything through, as slowly as the other settings say. The default.
   * - `down`: nobody listens; connections that there are end at once.
   * - `half-open`: takes connections and bytes, and neither passes them on nor answers.
   * - `reset-mid-body`: passes `resetAfterBytes` of what the client sends, then resets both sides.
   * - `reset-answer`: passes the request, and resets both sides when the answer begins: it was done, nobody hears so.
   * - `slice`: writes pieces of `sliceBytes`.
   */
  readonly mode?: "pass" | "down" | "half-open" | "reset-mid-body" | "reset-answer" | "slice";
  /** Added to each piece, in each direction. Default 0. */
  readonly latencyMs?: number;
  /** Of each connection, in each direction. Default: no limit. */
  readonly bytesPerSecond?: number;
  /** Of each connection, head of the request included, counted from the moment of setting. Default 1,000. */
  readonly resetAfterBytes?: number;
  /** Default 1. */
  readonly sliceBytes?: number;
  readonly cutAt?: CutAt;
};

/** Resets connections at one statement, which the client sends in one piece. What it does not hold passes. */
export type CutAt = {
  readonly text: string;
  /**
   * - `before`: the server never gets it.
   * - `answered`: the server does it, and the client is cut off when the answer begins.
   * - `late`: the client is cut off at once, and the server gets it 300 ms later.
   */
  readonly when: "before" | "answered" | "late";
  /** How often; after that everything passes. Default 1. */
  readonly times?: number;
};

const lateMs = 300;

/** What one direction may hold back before its sender has to wait. */
const heldBytesMax = 1_000_000;

/** Listens on a free loopback port and passes on to `targetPort` until told otherwise. */
export async function startProxy(targetPort: number): Promise<TcpProxy> {
  const proxy = new TcpProxy(targetPort, await freePort());
  await proxy.set({});
  return proxy;
}

export class TcpProxy implements AsyncDisposable {
  readonly port: number;
  readonly #targetPort: number;
  readonly #pairs = new Set<Pair>();
  #server: Server | null = null;
  #spoiling: Spoiling = {};
  #accepted = 0;
  #cuts = 0;
  #cutsLeft = 0;

  constructor(targetPort: number, port: number) {
    this.#targetPort = targetPort;
    this.port = port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Connections that are open now. */
  get connections(): number {
    return this.#pairs.size;
  }

  /** Connections taken since the start. */
  get accepted(): number {
    return this.#accepted;
  }

  /** Connections cut by `cutAt` since the start. */
  get cuts(): number {
    return this.#cuts;
  }

  /** What is not named goes back to its default. Holds for open connections too; those that lost bytes are cut. */
  async set(spoiling: Spoiling): Promise<void> {
    this.#spoiling = spoiling;
    this.#cutsLeft = spoiling.cutAt?.times ?? 1;
    for (const pair of this.#pairs) pair.set(spoiling);
    if (spoiling.mode === "down") await this.#close();
    else await this.#listen();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close();
  }

  async #listen(): Promise<void> {
    if (this.#server !== null) return;
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
      this.#accepted += 1;
      const takeCut = () => this.#takeCut();
      const pair = new Pair(client, this.#targetPort, takeCut, () => this.#pairs.delete(pair));
      this.#pairs.add(pair);
      pair.set(this.#spoiling);
    }).listen(this.port, "127.0.0.1");
    await once(this.#server, "listening");
  }

  #takeCut(): boolean {
    if (this.#cutsLeft === 0) return false;
    this.#cutsLeft -= 1;
    this.#cuts += 1;
    return true;
  }

  async #close(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    const closed = server === null ? undefined : once(server, "close");
    server?.close();
    for (const pair of this.#pairs) pair.cut();
    await closed;
  }
}

/** A client's connection and ours to the server. */
class Pair {
  readonly #client: Socket;
  readonly #target: Socket;
  readonly #takeCut: () => boolean;
  readonly #gone: () => void;
  #spoiling: Spoiling = {};
  #requestBytes = 0;
  #lossy = false;
  #cutsAnswer = false;

  constructor(client: Socket, targetPort: number, takeCut: () => boolean, gone: () => void) {
    this.#client = client;
    this.#target = connect({ port: targetPort, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
    this.#takeCut = takeCut;
    this.#gone = gone;
    this.#pump(client, this.#target, (piece) => this.#request(piece));
    this.#pump(this.#target, client, (piece) => this.#answer(piece));
  }

  set(spoiling: Spoiling): void {
    this.#spoiling = spoiling;
    this.#requestBytes = 0;
    if (this.#lossy && spoiling.mode !== "half-open") this.cut();
  }

  /** Ends both sides by a reset. */
  cut(): void {
    this.#client.resetAndDestroy();
    this.#target.resetAndDestroy();
    this.#gone();
  }

  /** @returns what may go on; null: the connection ends here */
  async #request(piece: Buffer): Promise<Buffer | null> {
    const { mode, resetAfterBytes = 1_000, cutAt } = this.#spoiling;
    if (cutAt !== undefined && piece.includes(cutAt.text) && this.#takeCut()) return this.#cutAtText(piece, cutAt.when);
    if (mode !== "reset-mid-body") return piece;
    const left = resetAfterBytes - this.#requestBytes;
    this.#requestBytes += piece.length;
    if (piece.length < left) return piece;
    await write(this.#target, piece.subarray(0, left));
    return null;
  }

  async #cutAtText(piece: Buffer, when: CutAt["when"]): Promise<Buffer | null> {
    if (when === "before") return null;
    this.#cutsAnswer = true;
    if (when === "late") {
      this.#client.resetAndDestroy();
      await sleep(lateMs);
    }
    return piece;
  }

  async #answer(piece: Buffer): Promise<Buffer | null> {
    if (this.#cutsAnswer) return null;
    return this.#spoiling.mode === "reset-answer" ? null : piece;
  }

  /** Pieces keep their order; each is due `latencyMs` after it came, however long those before it took. */
  #pump(from: Socket, to: Socket, judge: (piece: Buffer) => Promise<Buffer | null>): void {
    let heldBytes = 0;
    let queue = Promise.resolve();
    const add = (work: () => Promise<void>): void => {
      queue = queue.then(work).catch(() => this.cut());
    };
    from.on("data", (piece: Buffer) => {
      const dueMs = performance.now() + (this.#spoiling.latencyMs ?? 0);
      heldBytes += piece.length;
      if (heldBytes > heldBytesMax) from.pause();
      add(async () => {
        const waitMs = dueMs - performance.now();
        if (waitMs > 0) await sleep(waitMs);
        const passed = this.#swallows() ? Buffer.alloc(0) : await judge(piece);
        if (passed === null) return this.cut();
        await this.#send(to, passed);
        heldBytes -= piece.length;
        if (heldBytes <= heldBytesMax) from.resume();
      });
    });
    from.on("end", () => add(async () => void (this.#swallows() || to.end())));
    from.on("error", () => this.cut());
    from.on("close", () => add(async () => this.#closed(from, to)));
  }

  #swallows(): boolean {
    if (this.#spoiling.mode !== "half-open") return false;
    this.#lossy = true;
    return true;
  }

  #closed(from: Socket, to: Socket): void {
    if (from.destroyed && to.destroyed) this.#gone();
  }

  async #send(to: Socket, bytes: Buffer): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      const { mode, sliceBytes = 1, bytesPerSecond } = this.#spoiling;
      // A tenth of a second's worth at a time, so that a changed limit holds soon.
      const share = bytesPerSecond === undefined ? bytes.length : Math.max(1, Math.ceil(bytesPerSecond / 10));
      const piece = bytes.subarray(at, at + (mode === "slice" ? Math.min(sliceBytes, share) : share));
      if (bytesPerSecond !== undefined) await sleep((piece.length / bytesPerSecond) * 1_000);
      if (this.#swallows()) return;
      await write(to, piece);
      at += piece.length;
      // Without a turn of the event loop between them the kernel would join the slices.
      if (mode === "slice") await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

/** Done when the kernel has it. */
function write(socket: Socket, bytes: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.write(bytes, (error) => (error ? reject(error) : resolve()));
  });
}
