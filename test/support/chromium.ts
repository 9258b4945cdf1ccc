/** Finds Debian's Chromium, or installs it where that is allowed, and starts it with a fresh profile. */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { type Browser, chromium } from "playwright-core";

const places = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
const aptGet = "/usr/bin/apt-get";
const args = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** The browser's path, or the reason why there is none. */
export function findChromium(): { path: string } | { missing: string } {
  const found = places.find(existsSync);
  if (found !== undefined) return { path: found };
  if (process.getuid?.() !== 0 || !existsSync(aptGet)) {
    return { missing: "there is no Chromium, and only root on a Debian system can install one here" };
  }
  console.log("installing chromium with apt-get (once) ...");
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  for (const command of [
    ["update", "-q"],
    ["install", "-y", "-q", "--no-install-recommends", "chromium", "fonts-dejavu-core"],
  ]) {
    const done = spawnSync(aptGet, command, { env, encoding: "utf8", timeout: 240_000 });
    if (done.status !== 0)
      return { missing: `apt-get ${command[0]} failed: ${done.stderr?.trim().split("\n").at(-1)}` };
  }
  return existsSync("/usr/bin/chromium") ? { path: "/usr/bin/chromium" } : { missing: "apt-get installed no chromium" };
}

/** Playwright gives each start a profile of its own and removes it at the end. */
export function startChromium(path: string): Promise<Browser> {
  return chromium.launch({ executablePath: path, headless: true, args });
}
