/** The command line. Nothing else is loaded before it is known that this Node can run it. */
import { enableCompileCache } from "node:module";

const [major = 0] = process.versions.node.split(".").map(Number);
if (major < 24) {
  process.stderr.write(
    `Bellwether runs on Node 24 or newer (this is ${process.versions.node}). Fix: npm run bellwether -- ..., which brings it.\n`,
  );
  process.exit(1);
}
// Halves the time to the first line: what was compiled once is kept in the system's folder for temporary files.
enableCompileCache();
const { main } = await import("./cli/program.ts");
process.exitCode = await main(process.argv.slice(2));
