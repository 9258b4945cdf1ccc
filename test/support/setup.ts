import { chromium, influxd, installMissing, mariadb, postgres, redis, strace } from "./debian.ts";

/** Runs once before all tests, so that no two of them install at the same time. */
export default function setup(): void {
  installMissing([chromium, postgres, mariadb, redis, influxd, strace]);
}
