/** A bar that grows on a terminal; elsewhere a line at every quarter, so that logs stay short. */
import { stopwatch } from "../core/time.ts";
import { print } from "./output.ts";

const widthChars = 24;

export class ProgressBar {
  readonly #title: string;
  readonly #elapsedMs = stopwatch();
  #quarter = 0;

  constructor(title: string) {
    this.#title = title;
    if (!process.stdout.isTTY) print(`${title} ...`);
  }

  /** @param share done so far, 0 to 1 */
  show(share: number): void {
    const percent = Math.floor(Math.min(1, Math.max(0, share)) * 100);
    if (process.stdout.isTTY) {
      const full = Math.round((percent / 100) * widthChars);
      process.stdout.write(`\r${this.#title}  ${"█".repeat(full)}${"░".repeat(widthChars - full)} ${percent} %`);
    } else if (Math.floor(percent / 25) > this.#quarter && percent < 100) {
      this.#quarter = Math.floor(percent / 25);
      print(`  ${percent} %`);
    }
  }

  end(what: string): void {
    const took = `${(this.#elapsedMs() / 1000).toFixed(1)} s`;
    if (process.stdout.isTTY) process.stdout.write(`\r\u001b[K`);
    print(`${this.#title}: ${what} in ${took}`);
  }
}

/** How far a command is, on standard error while that is a terminal; standard output is for its answer alone. */
export class ShareLine {
  /** @param share done so far, 0 to 1 */
  show(share: number): void {
    if (process.stderr.isTTY) process.stderr.write(`\r${Math.floor(share * 100)} %`);
  }

  end(): void {
    if (process.stderr.isTTY) process.stderr.write("\r\u001b[K");
  }
}
