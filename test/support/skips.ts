import type { Reporter, TestModule } from "vitest/node";

/** Names every skipped test at the end, where nobody overlooks it; with `CI=true` a skip is a failure. */
export class Skips implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const skipped = modules.flatMap((module) =>
      [...module.children.allTests("skipped")].map((test) => `${module.relativeModuleId} > ${test.fullName}`),
    );
    if (skipped.length === 0) return;
    console.warn(`\nSKIPPED, ${skipped.length} tests:\n${skipped.map((name) => `  ${name}`).join("\n")}\n`);
    if (process.env.CI !== "true") return;
    console.error("With CI=true nothing may be skipped.");
    process.exitCode = 1;
  }
}
