// `node scripts/run.mjs WHAT [ARG ...]`: sets up, then runs WHAT on Node 24: a file of the project or a tool of
// node_modules/.bin. Signals and the exit code pass through.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { root, setUp, tool } from "./setup.mjs";

const node = setUp();
const [what, ...args] = process.argv.slice(2);
const script = /\.(ts|mjs)$/.test(what) ? join(root, what) : tool(what);
const child = spawn(node, [script, ...args], { stdio: "inherit" });
// A terminal sends Ctrl-C to the whole group; a supervisor sends SIGTERM to this process only.
process.on("SIGINT", () => {});
process.on("SIGTERM", () => child.kill("SIGTERM"));
child.on("exit", (code, signal) => process.exit(code ?? (signal === "SIGINT" ? 130 : 143)));
