import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { forbidServices } from "../../support/debian.ts";
import { testFolder } from "../store/support.ts";

const folder = testFolder("support-debian");
const own = "#!/bin/sh\nexit 0\n";

test("while services are forbidden the policy answers 101; afterwards there is none, as before a run that was killed", () => {
  const path = join(folder, "none");
  forbidServices(path);
  const allow = forbidServices(path);
  // "Action not allowed", as invoke-rc.d(8) reads it.
  expect(spawnSync(path, ["influxdb", "start"]).status).toBe(101);
  allow();
  expect(existsSync(path)).toBe(false);
});

test("a policy that was there comes back, also after a run that was killed in between", () => {
  const path = join(folder, "own");
  writeFileSync(path, own, { mode: 0o755 });
  forbidServices(path);
  const allow = forbidServices(path);
  expect(spawnSync(path, ["influxdb", "start"]).status).toBe(101);
  allow();
  expect(readFileSync(path, "utf8")).toBe(own);
  expect(spawnSync(path, ["influxdb", "start"]).status).toBe(0);
  expect(readdirSync(folder), "nothing is left").toEqual(["own"]);
});
