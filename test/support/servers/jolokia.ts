/** A Java process that Jolokia's agent (Apache License 2.0) makes answer over HTTP. The agent comes from Maven Central. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { whyMissing } from "../debian.ts";
import { java, maven } from "../java.ts";
import { end, freePort, spawnBound } from "./process.ts";

const version = "2.6.0";
const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "bellwether", `jolokia-${version}`);
const jar = join(cache, `jolokia-agent-jvm-${version}-javaagent.jar`);
const resolveMsMax = 120_000;
const startMsMax = 30_000;

/** Null if one can be started, else the reason. The first time it fetches the agent. */
export async function whyNoJolokia(): Promise<string | null> {
  const missing = whyMissing(java) ?? whyMissing(maven);
  if (missing !== null || existsSync(jar)) return missing;
  console.log("fetching Jolokia's agent for the tests (once) ...");
  await mkdir(cache, { recursive: true });
  const artifact = `-Dartifact=org.jolokia:jolokia-agent-jvm:${version}:jar:javaagent`;
  const child = spawn(
    maven.find() as string,
    ["-B", "-ntp", "-q", "dependency:copy", artifact, `-DoutputDirectory=${cache}`],
    { cwd: cache, stdio: "ignore", timeout: resolveMsMax },
  );
  await once(child, "close");
  return existsSync(jar) ? null : `Maven could not fetch Jolokia ${version}`;
}

const program = `public class Idle {
  public static void main(String[] arguments) throws Exception { Thread.sleep(Long.MAX_VALUE); }
}
`;

/** Starts a Java process that does nothing, on a free loopback port, and waits until the agent answers. */
export async function startJolokia(): Promise<AsyncDisposable & { readonly url: string }> {
  const dir = await mkdtemp(join(tmpdir(), "bellwether-jolokia-"));
  await writeFile(join(dir, "Idle.java"), program);
  const port = await freePort();
  const url = `http://127.0.0.1:${port}/jolokia`;
  const agent = `-javaagent:${jar}=host=127.0.0.1,port=${port},discoveryEnabled=false`;
  const child = spawnBound(java.find() as string, ["-Xmx64m", "-XX:+UseSerialGC", agent, "Idle.java"], {
    cwd: dir,
    stdio: "ignore",
  });
  const stop = async (): Promise<void> => {
    await end(child, "SIGKILL");
    await rm(dir, { recursive: true, force: true });
  };
  const untilMs = Date.now() + startMsMax;
  while (Date.now() < untilMs && child.exitCode === null) {
    const ready = await fetch(`${url}/version`, { signal: AbortSignal.timeout(2_000) }).catch(() => null);
    if (ready?.ok === true) return { url, [Symbol.asyncDispose]: stop };
    await sleep(50);
  }
  await stop();
  throw new Error("the Java process did not start");
}
