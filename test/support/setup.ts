import { chromium, influxd, installMissing, mariadb, postgres, redis, strace } from "./debian.ts";
import { java, maven } from "./java.ts";
import { prometheus } from "./prometheus.ts";

/** Runs once before all tests, so that no two of them install at the same time. */
export default function setup(): void {
  installMissing([chromium, postgres, mariadb, redis, influxd, strace, prometheus, java, maven]);
}
