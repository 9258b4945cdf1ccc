import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { beginProgress, keepProgress, noCounts, readProgress } from "../../src/import-progress.ts";

test("progress is that of the same plan only; what cannot be read is none, and is replaced", () => {
  const dir = mkdtempSync(join(tmpdir(), "bellwether-progress-"));
  const file = join(dir, "import.json");
  try {
    expect(readProgress(file, "all")).toBeNull();
    const progress = beginProgress("all");
    progress.reachedMs = 5;
    progress.counts.orders = { ...noCounts(), read: 3, raw: 3 };
    keepProgress(file, progress);
    expect(readProgress(file, "all")).toEqual(progress);
    expect(readProgress(file, "some")).toBeNull();
    writeFileSync(file, '{"plan":"all","reached');
    expect(readProgress(file, "all")).toBeNull();
    keepProgress(file, progress);
    expect(readProgress(file, "all")).toEqual(progress);
    expect(readdirSync(dir)).toEqual(["import.json"]);
  } finally {
    rmSync(dir, { recursive: true });
  }
});
