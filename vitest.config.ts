import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";
import { Skips } from "./test/support/skips.ts";

/** What takes longest starts first, so that no worker is left waiting for one long file at the end. */
const longFolders = ["test/production/", "test/faults/", "test/scenarios/", "test/browser/", "test/cli/"];

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => {
      const found = longFolders.findIndex((folder) => moduleId.includes(folder));
      return found < 0 ? longFolders.length : found;
    };
    return files.toSorted((a, b) => rank(a) - rank(b));
  }
}

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: "test/support/setup.ts",
    reporters: ["default", new Skips()],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    pool: "forks",
    maxWorkers: 3,
    sequence: { sequencer: LongestFirst },
  },
});
