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
    // A net for what hangs; a test that needs longer names its own. How long something may take is said by `bench/`.
    testTimeout: 120_000,
    hookTimeout: 180_000,
    pool: "forks",
    maxWorkers: 3,
    sequence: { sequencer: LongestFirst },
  },
});
