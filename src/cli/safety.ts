/** What works and is unwise: `start` warns of it, and refuses where BELLWETHER_ENV is production. */
import { BlockList, isIP } from "node:net";
import { Problem } from "../core/problem.ts";
import type { Settings } from "../settings.ts";

const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8, "ipv4");
loopback.addAddress("::1", "ipv6");

/** @param shows whether the process has the console's role; others answer probes and `/metrics` alone */
export function unsafeSettings(
  { host, influx, behindProxy }: Pick<Settings, "host" | "influx" | "behindProxy">,
  shows = true,
): Problem[] {
  const problems: Problem[] = [];
  if (shows && !behindProxy && !isOwn(host)) {
    problems.push(
      new Problem(`the console has no password, and would listen on ${host}`, {
        where: "BELLWETHER_HOST",
        fix: "leave it on 127.0.0.1, and put a server that asks for a password in front of it; if only such a server reaches that address, set BELLWETHER_BEHIND=proxy",
      }),
    );
  }
  if (influx.length === 1) {
    problems.push(
      new Problem("one InfluxDB is one copy: what its disk loses is gone", {
        where: "INFLUX_URLS",
        fix: "name a second one, best on another machine",
      }),
    );
  }
  for (const { name, url, user, token } of influx) {
    if (user !== undefined || token !== undefined || isOwn(new URL(url).hostname.replace(/^\[|\]$/g, ""))) continue;
    problems.push(
      new Problem(`${name} is asked without a user or a token: it takes orders from anybody in its network`, {
        where: "INFLUX_URLS",
        fix: `turn on its authentication, and name a user in its address or a token in INFLUX_TOKEN_${name.toUpperCase().replaceAll("-", "_")}`,
      }),
    );
  }
  return problems;
}

/** Whether an address is this machine's own. */
function isOwn(host: string): boolean {
  const family = isIP(host);
  return family === 0 ? host === "localhost" : loopback.check(host, family === 6 ? "ipv6" : "ipv4");
}
