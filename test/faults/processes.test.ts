/** We ourselves are killed: at any moment, at each write of the spool, by the system, and by those who mean well. */
import { setTimeout as sleep } from "node:timers/promises";
import { stopwatch } from "../../src/core/time.ts";
import { whyNoStrace } from "../support/servers/strace.ts";
import { kills, long, must, playFaults } from "./fault.ts";
import type { Rig } from "./rig.ts";

/** Writes to the spool at which it is killed, one a run. In the long form each of them. */
const writes = long
  ? Array.from({ length: 600 }, (_, at) => at + 1)
  : [1, 3, 7, 15, 30, 60, 90, 130, 180, 240, 310, 400];
const killed = { code: null, signal: "SIGKILL" };

async function killAtRandom(rig: Rig): Promise<{ servers: number; unopened: number }> {
  const counts = { servers: 0, unopened: 0 };
  for (let kill = 0; kill < kills; kill += 1) {
    const child = await rig.spawn();
    // Each third one while it starts.
    const opened = await Promise.race([child.open, ...(kill % 3 === 0 ? [sleep(Math.random() * 1_000, false)] : [])]);
    if (opened) await sleep(Math.random() * 900);
    else counts.unopened += 1;
    // A server dies too, now and then, while it is written to.
    const server = kill % 3 === 2 ? (kill % 2 === 0 ? rig.a : rig.b) : null;
    if (server !== null) {
      counts.servers += 1;
      await server.kill();
      await sleep(Math.random() * 300);
    }
    child.process.kill("SIGKILL");
    const { code, signal, text } = await child.ended;
    must(code === killed.code && signal === killed.signal, "how it ended", { code, signal, text });
    await server?.start();
  }
  return counts;
}

playFaults("we are killed", [
  {
    id: "X7",
    title: "kill -9 at random, of us and of both servers",
    options: { stopped: true },
    play: async (rig) => {
      const { servers, unopened } = await killAtRandom(rig);
      return { kills, "of them before it was open": unopened, "kills of servers": servers };
    },
  },
  {
    id: "X9",
    title: "kill -9 at one write of the spool after the other",
    missing: whyNoStrace,
    // So small that batches are forgotten in each run.
    options: { stopped: true, load: { spoolBytesMax: 1_500_000, tickMs: 50 } },
    play: async (rig) => {
      let reached = 0;
      for (const at of writes) {
        const child = await rig.spawn({ inject: [`pwrite64:signal=SIGKILL:when=${at}`] });
        const ended = await Promise.race([child.ended, sleep(8_000, null)]);
        if (ended === null) process.kill(child.pid, "SIGKILL");
        const { signal, text } = await child.ended;
        must(signal === "SIGKILL", "how it ended", { at, signal, text });
        if (ended !== null) reached += 1;
      }
      must(reached === writes.length, "writes that were reached", { reached, of: writes.length });
      return { "crash points": reached, "up to write": writes.at(-1) ?? 0 };
    },
    leaves: { refused: true },
  },
  {
    id: "X45",
    title: "SIGTERM under load, while B does not answer",
    options: { stopped: true },
    play: async (rig) => {
      const child = await rig.spawn();
      must(await child.open, "it did not start");
      await sleep(1_000);
      rig.b.pause();
      await sleep(500);
      const elapsedMs = stopwatch();
      child.process.kill("SIGTERM");
      const { code, text } = await child.ended;
      const endedMs = elapsedMs();
      rig.b.resume();
      must(code === 0 && endedMs <= 10_000, "how it ended", { code, endedMs, text });
      return { "ended in, ms": Math.round(endedMs), "ended with": code ?? "" };
    },
  },
  {
    id: "X45",
    title: "out of memory",
    options: { stopped: true },
    play: async (rig) => {
      const child = await rig.spawn({ node: ["--max-old-space-size=48"], hoardBytes: 2_000_000 });
      must(await child.open, "it did not start");
      const { code, signal, text } = await child.ended;
      must(signal === "SIGABRT" && /heap out of memory/.test(text), "how it ended", {
        code,
        signal,
        text: text.slice(-500),
      });
      return { "ended by": signal ?? "" };
    },
  },
]);
