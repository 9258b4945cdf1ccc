import { chromium, influxd, installMissing, postgres, strace } from "./debian.ts";

/** Runs once before all tests, so that no two of them install at the same time. */
export default function setup(): void {
  installMissing([chromium, postgres, influxd, strace]);
}
