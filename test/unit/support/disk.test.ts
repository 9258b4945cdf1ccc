import { once } from "node:events";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type SmallDisk, smallDisk, whyNoSmallDisk } from "../../support/servers/disk.ts";
import { start } from "../store/support.ts";

const reason = whyNoSmallDisk();
const because = reason === null ? "" : ` (${reason})`;

function write(disk: SmallDisk, name: string, bytes: number): void {
  writeFileSync(join(disk.dir, name), Buffer.alloc(bytes));
}

test.skipIf(reason !== null)(`a small disk fills, frees, grows and goes${because}`, () => {
  const disk = smallDisk(1_000_000);
  write(disk, "a", 500_000);
  expect(() => write(disk, "b", 600_000)).toThrow("ENOSPC");
  disk.fill();
  expect(disk.freeBytes).toBe(0);
  expect(() => write(disk, "c", 1)).toThrow("ENOSPC");
  disk.resize(2_000_000);
  write(disk, "d", 900_000);
  disk.fill();
  expect(disk.freeBytes).toBe(0);
  disk.free();
  write(disk, "e", 50_000);
  disk[Symbol.dispose]();
  expect(existsSync(disk.dir)).toBe(false);
  expect(readFileSync("/proc/mounts", "utf8")).not.toContain(disk.dir);
});

test.skipIf(reason !== null)(`the disk of a killed process goes when the next one is made${because}`, async () => {
  const holder = start(import.meta.dirname, "hold-disk.ts");
  const [dir] = (await once(holder.stdout as NodeJS.ReadableStream, "data")) as [Buffer];
  holder.kill("SIGKILL");
  await once(holder, "close");
  expect(readFileSync("/proc/mounts", "utf8")).toContain(`${dir}`);
  using _next = smallDisk(1_000_000);
  expect(readFileSync("/proc/mounts", "utf8")).not.toContain(`${dir}`);
  expect(existsSync(`${dir}`)).toBe(false);
});
