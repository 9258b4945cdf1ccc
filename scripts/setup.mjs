// Makes a fresh clone ready: installs the locked packages (which bring Node 24), and builds the console when its
// sources changed. Depends on nothing but Node >= 18, because it runs before anything is installed. Silent when
// there is nothing to do.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = dirname(dirname(fileURLToPath(import.meta.url)));
const bin = join(root, "node_modules", ".bin");

/** Installs and builds what is missing; returns the Node >= 24 to run everything else with. */
export function setUp() {
  oncePer(join(root, "node_modules", ".bellwether"), ["package-lock.json"], () => {
    console.error("Installing the locked packages (once, about half a minute) ...");
    run("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"], { shell: process.platform === "win32" });
  });
  const node = node24();
  oncePer(join(root, "dist", ".web"), ["package-lock.json", "vite.config.ts", "src/show/web", "src/core"], () => {
    if (existsSync(join(root, "vite.config.ts"))) run(node, [tool("vite"), "build", "--logLevel", "warn"]);
  });
  return node;
}

/** The script behind a tool of node_modules/.bin. */
export function tool(name) {
  const script = join(bin, name);
  if (!existsSync(script)) fail(`there is no ${name} in node_modules/.bin. Fix: run npm ci.`);
  return script;
}

/** Runs a command in the project's folder with the caller's terminal; ends the program if it fails. */
export function run(command, args, options = {}) {
  const done = spawnSync(command, args, { cwd: root, stdio: ["inherit", 2, 2], ...options });
  if (done.error) fail(`cannot run ${command}: ${done.error.message}.`);
  if (done.status !== 0) fail(`${command} ${args.join(" ")} ended with ${done.status ?? done.signal}.`);
}

/** The locked Node 24 where the platform has it, else the running one if it is new enough. */
function node24() {
  const locked = join(bin, "node");
  if (existsSync(locked)) return locked;
  if (Number(process.versions.node.split(".")[0]) >= 24) return process.execPath;
  return fail(
    `Bellwether runs on Node 24 or newer (this is ${process.versions.node}). Fix: install Node 24 from your system's packages.`,
  );
}

/** Does `work` unless the stamp file says that it was done for exactly these inputs. */
function oncePer(stamp, inputs, work) {
  const hash = createHash("sha256");
  for (const input of inputs) addTo(hash, join(root, input));
  const wanted = hash.digest("hex");
  const done = () => existsSync(stamp) && readFileSync(stamp, "utf8") === wanted;
  if (done()) return;
  alone(() => {
    if (done()) return;
    work();
    mkdirSync(dirname(stamp), { recursive: true });
    writeFileSync(stamp, wanted);
  });
}

/** Runs `work` while no other set-up of this folder does; a lock that a dead process left is taken over. */
function alone(work) {
  const lock = join(tmpdir(), `bellwether-${createHash("sha256").update(root).digest("hex").slice(0, 16)}.lock`);
  for (;;) {
    try {
      writeFileSync(lock, String(process.pid), { flag: "wx" });
      break;
    } catch (error) {
      if (error.code !== "EEXIST") throw error;
    }
    if (!isAlive(lock)) rmSync(lock, { force: true });
    else Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
  }
  try {
    work();
  } finally {
    rmSync(lock, { force: true });
  }
}

function isAlive(lock) {
  try {
    process.kill(Number(readFileSync(lock, "utf8")) || -1, 0);
    return true;
  } catch (error) {
    // Just written and still empty, or gone meanwhile: look again.
    return error.code !== "ESRCH";
  }
}

function addTo(hash, path) {
  if (!existsSync(path)) return;
  let names;
  try {
    names = readdirSync(path).sort();
  } catch {
    hash.update(path.slice(root.length)).update(readFileSync(path));
    return;
  }
  for (const name of names) addTo(hash, join(path, name));
}

function fail(text) {
  console.error(text);
  process.exit(1);
}
