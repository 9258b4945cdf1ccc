/** Debian's Prometheus as a process of its own. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { prometheus } from "../prometheus.ts";
import { end, freePort, spawnBound } from "./process.ts";

const startMsMax = 30_000;

/**
 * Starts a server on a free loopback port and waits until it is ready.
 * @param config what `prometheus.yml` says; JSON is YAML
 */
export async function startPrometheus(config: object): Promise<AsyncDisposable & { readonly url: string }> {
  const dir = await mkdtemp(join(tmpdir(), "bellwether-prometheus-"));
  const file = join(dir, "prometheus.yml");
  await writeFile(file, JSON.stringify(config));
  const url = `http://127.0.0.1:${await freePort()}`;
  const child = spawnBound(
    prometheus.find() as string,
    [
      `--config.file=${file}`,
      `--storage.tsdb.path=${join(dir, "data")}`,
      `--web.listen-address=${url.slice("http://".length)}`,
      "--log.level=error",
    ],
    { stdio: ["ignore", "ignore", "inherit"] },
  );
  const stop = async (): Promise<void> => {
    await end(child, "SIGKILL");
    await rm(dir, { recursive: true, force: true });
  };
  const untilMs = Date.now() + startMsMax;
  while (Date.now() < untilMs && child.exitCode === null) {
    const ready = await fetch(`${url}/-/ready`, { signal: AbortSignal.timeout(2_000) }).catch(() => null);
    if (ready?.ok === true) return { url, [Symbol.asyncDispose]: stop };
    await sleep(50);
  }
  await stop();
  throw new Error("prometheus did not start");
}
