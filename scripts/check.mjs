// `npm run check`: types, lint, dead code, architecture, and the samplers and rules that we ship. All of them run;
// the exit code tells whether each was clean.
import { spawnSync } from "node:child_process";
import { root, tool } from "./setup.mjs";

const checks = [
  ["types", tool("tsc")],
  ["lint", tool("biome"), "check", "."],
  ["dead code", tool("knip")],
  ["architecture", tool("vitest"), "run", "--reporter=dot", "test/layers.test.ts"],
  ["definitions", "src/main.ts", "check"],
];

const failed = checks.filter(([name, ...command]) => {
  console.log(`-- ${name}`);
  return spawnSync(process.execPath, command, { cwd: root, stdio: "inherit" }).status !== 0;
});
if (failed.length > 0) {
  console.error(`failed: ${failed.map(([name]) => name).join(", ")}`);
  process.exit(1);
}
