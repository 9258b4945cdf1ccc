/** Prometheus, for tests of a source that asks one. */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { forbidServices, type Tool } from "./debian.ts";

export const prometheus: Tool = {
  name: "Prometheus",
  packages: ["prometheus"],
  find: () => ["/usr/bin/prometheus"].find(existsSync),
  // The package starts its server at once, and at every boot. Ours alone shall run.
  prepare: () => {
    const allow = forbidServices();
    return () => {
      allow();
      if (existsSync("/etc/init.d/prometheus"))
        spawnSync("update-rc.d", ["prometheus", "disable"], { stdio: "ignore" });
    };
  },
};
