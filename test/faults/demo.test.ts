import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { influxd, whyMissing } from "../support/debian.ts";
import { runDemo } from "./run-demo.ts";

/** The demo on two InfluxDBs of its own, killed once in the middle: its story comes true, and nothing is left running. */
const missing = whyMissing(influxd);

test.skipIf(missing !== null)("the demo's story comes true on two InfluxDBs", { timeout: 600_000 }, async () => {
  const dir = mkdtempSync(join(tmpdir(), "bellwether-demo-influx-"));
  try {
    const killed = await runDemo(dir, 25_000, "--influx");
    expect(killed).toMatchObject({ code: null, signal: "SIGKILL" });
    const { code, text } = await runDemo(dir, null, "--influx");
    const facts = JSON.parse(text.trim().split("\n").at(-1) as string);
    expect({ code, cameTrue: facts.cameTrue, text: code === 0 ? "" : text }).toEqual({
      code: 0,
      cameTrue: true,
      text: "",
    });
    expect(text).toMatch(/Series +in a \(http:\/\/127\.0\.0\.1:\d+\) and b \(http/);
    expect(serversOf(dir)).toEqual([]);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});

/** Processes whose command line names the folder. */
function serversOf(dir: string): string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const line = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
        return line.includes("influxd") && line.includes(dir) ? [line] : [];
      } catch {
        return [];
      }
    });
}
