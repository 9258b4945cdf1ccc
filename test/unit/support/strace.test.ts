import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import Sqlite from "better-sqlite3";
import { expect, test, vi } from "vitest";
import { startTraced, type Traced, whyNoStrace } from "../../support/servers/strace.ts";
import { testFolder } from "../store/support.ts";

const folder = testFolder("support-strace");
const reason = whyNoStrace();
const because = reason === null ? "" : ` (${reason})`;

/** Ten commits to a new file under strace; what the process printed of each. */
async function tenCommits(name: string, inject: string): Promise<Traced & { printed: string[] }> {
  const file = join(folder, name);
  const script = join(import.meta.dirname, "write-rows.ts");
  const tracing = { files: [file, `${file}-wal`], inject: [inject] };
  const traced = await startTraced(tracing, process.execPath, [script, file, "10"]);
  let text = "";
  traced.child.stdout?.setEncoding("utf8").on("data", (piece: string) => {
    text += piece;
  });
  await once(traced.child, "close");
  return { ...traced, printed: text.trim().split("\n") };
}

/** Rows that a file holds, read back by nobody who was in the way. */
function rowsOf(name: string): number[] {
  const db = new Sqlite(join(folder, name), { readonly: true });
  const rows = db.prepare("select n from rows order by n").pluck().all() as number[];
  db.close();
  return rows;
}

test.skipIf(reason !== null)(`EIO on a sync reaches SQLite, and that commit alone fails${because}`, async () => {
  const { printed, calls } = await tenCommits("sync.db", "fsync,fdatasync:error=EIO:when=8");
  const failed = printed.filter((line) => !line.endsWith(" ok"));
  expect(printed).toHaveLength(10);
  expect(failed).toEqual([expect.stringMatching(/^\d SQLITE_IOERR_FSYNC$/)]);
  expect(calls().match(/INJECTED/g)).toHaveLength(1);
  expect(calls()).toMatch(/fsync\(\d+\) += -1 EIO \(Input\/output error\) \(INJECTED\)/);
  expect(rowsOf("sync.db")).toEqual([...Array(10).keys()].filter((n) => n !== Number.parseInt(failed[0] ?? "", 10)));
});

test.skipIf(reason !== null)(`ENOSPC on writes reaches SQLite as a full disk${because}`, async () => {
  const { printed, calls } = await tenCommits("write.db", "pwrite64:error=ENOSPC:when=20+");
  const good = printed.filter((line) => line.endsWith(" ok")).length;
  expect(good).toBeGreaterThan(0);
  expect(good).toBeLessThan(10);
  expect(printed.slice(good)).toEqual([...Array(10).keys()].slice(good).map((n) => `${n} SQLITE_FULL`));
  expect(calls()).toContain("= -1 ENOSPC (No space left on device) (INJECTED)");
  expect(rowsOf("write.db")).toEqual([...Array(good).keys()]);
});

test.skipIf(reason !== null)(`the pid is the program's own, and both end together${because}`, async () => {
  const tracing = { files: [join(folder, "none")], inject: ["fsync:error=EIO"] };
  const { child, pid } = await startTraced(tracing, "sleep", ["60"]);
  // The shell has told its pid and is about to become the program.
  while (readFileSync(`/proc/${pid}/comm`, "utf8") === "sh\n") await new Promise((resolve) => setTimeout(resolve, 5));
  expect(readFileSync(`/proc/${pid}/cmdline`, "utf8")).toBe("sleep\x0060\0");
  child.kill("SIGKILL");
  await once(child, "close");
  await vi.waitFor(() => expect(existsSync(`/proc/${pid}`)).toBe(false), 5_000);
});
