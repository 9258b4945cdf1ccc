/** What tests need of the system: found where Debian puts it, installed where that is allowed. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export type Tool = {
  readonly name: string;
  readonly packages: readonly string[];
  /** The path of what is needed; undefined if it is not there. */
  readonly find: () => string | undefined;
  /** Before the installation. What it returns is called after it, however that went. */
  readonly prepare?: () => (() => void) | undefined;
};

const chromiumPaths = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
const postgresRoot = "/usr/lib/postgresql";

export const chromium: Tool = {
  name: "Chromium",
  packages: ["chromium", "fonts-dejavu-core"],
  find: () => chromiumPaths.find(existsSync),
};

/** `find` gives the folder of its programs. */
export const postgres: Tool = {
  name: "PostgreSQL",
  packages: ["postgresql"],
  find: () => {
    const versions = existsSync(postgresRoot) ? readdirSync(postgresRoot) : [];
    return versions.map((version) => join(postgresRoot, version, "bin")).find((bin) => existsSync(join(bin, "initdb")));
  },
  // Tests start servers of their own; the package need not make one that runs all the time.
  prepare: () => {
    mkdirSync("/etc/postgresql-common/createcluster.d", { recursive: true });
    writeFileSync("/etc/postgresql-common/createcluster.d/bellwether.conf", "create_main_cluster = false\n");
    return undefined;
  },
};

export const influxd: Tool = {
  name: "InfluxDB 1.x",
  packages: ["influxdb"],
  find: () => ["/usr/bin/influxd"].find(existsSync),
  prepare: () => withoutService("influxdb"),
};

export const redis: Tool = {
  name: "Redis",
  packages: ["redis-server"],
  find: () => ["/usr/bin/redis-server"].find(existsSync),
  prepare: () => withoutService("redis-server"),
};

/** `find` gives the server; `mariadb-install-db` is on the path beside it. */
export const mariadb: Tool = {
  name: "MariaDB",
  packages: ["mariadb-server"],
  find: () => (existsSync("/usr/bin/mariadb-install-db") ? ["/usr/sbin/mariadbd"].find(existsSync) : undefined),
  prepare: () => withoutService("mariadb"),
};

export const strace: Tool = {
  name: "strace",
  packages: ["strace"],
  find: () => ["/usr/bin/strace"].find(existsSync),
};

/** Installs what is missing, one after the other. Who may not is told by {@link whyMissing}. */
export function installMissing(tools: readonly Tool[]): void {
  const missing = tools.filter((tool) => tool.find() === undefined);
  if (missing.length === 0 || !mayInstall()) return;
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const aptGet = (...args: string[]) =>
    spawnSync("apt-get", ["-q", ...args], { env, stdio: "ignore", timeout: 300_000 });
  aptGet("update");
  for (const { name, packages, prepare } of missing) {
    console.log(`installing ${name} for the tests (once) ...`);
    const restore = prepare?.();
    const { status } = aptGet("install", "-y", "--no-install-recommends", ...packages);
    restore?.();
    if (status !== 0) console.warn(`apt-get install ${packages.join(" ")} ended with ${status}`);
  }
}

/** Null if the tool is there, else the reason, for those whose tests are skipped. */
export function whyMissing(tool: Tool): string | null {
  if (tool.find() !== undefined) return null;
  const why = mayInstall() ? "apt-get could not install it" : "only root on a Debian system can install it here";
  return `there is no ${tool.name}, and ${why}`;
}

const policy = "#!/bin/sh\n# Only while Bellwether's tests install what they need.\nexit 101\n";

/**
 * Until the returned function is called, packages start no service: Debian asks this policy before each start. One that
 * the machine has already is set aside meanwhile; what a killed run left behind is put in order by the next.
 * @param path for the test of this function
 */
export function forbidServices(path = "/usr/sbin/policy-rc.d"): () => void {
  const aside = `${path}.bellwether-aside`;
  if (existsSync(aside)) renameSync(aside, path);
  if (existsSync(path) && readFileSync(path, "utf8") !== policy) renameSync(path, aside);
  writeFileSync(path, policy, { mode: 0o755 });
  return () => {
    if (existsSync(aside)) renameSync(aside, path);
    else rmSync(path);
  };
}

/** A package that would start its server at once, and at every boot. Those that tests start alone shall run. */
function withoutService(name: string): () => void {
  const allow = forbidServices();
  return () => {
    allow();
    if (existsSync(`/etc/init.d/${name}`)) spawnSync("update-rc.d", [name, "disable"], { stdio: "ignore" });
  };
}

function mayInstall(): boolean {
  return process.getuid?.() === 0 && existsSync("/usr/bin/apt-get");
}
