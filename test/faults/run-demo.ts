import { spawn } from "node:child_process";
import { resolve } from "node:path";

const root = resolve(import.meta.dirname, "../..");
const speed = 300;

/**
 * The demo in a process of its own, to the end of its story or of its life.
 * @param lifeMs when it is killed; null: never
 */
export function runDemo(
  dir: string,
  lifeMs: number | null,
  ...flags: readonly string[]
): Promise<{ code: number | null; signal: string | null; text: string }> {
  const args = ["src/main.ts", "demo", ...flags, "--exit", "--port", "0", "--speed", String(speed), "--data", dir];
  const child = spawn(process.execPath, args, { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
  const timer = lifeMs === null ? undefined : setTimeout(() => child.kill("SIGKILL"), lifeMs);
  let text = "";
  child.stdout.on("data", (data) => (text += data));
  child.stderr.on("data", (data) => (text += data));
  return new Promise((done) => {
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      done({ code, signal, text });
    });
  });
}
