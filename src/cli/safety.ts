/** What works and is unwise: `start` warns of it, and refuses where BELLWETHER_ENV is production. */
import { BlockList, isIP } from "node:net";
import { Problem } from "../core/problem.ts";
import type { Settings } from "../settings.ts";

const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8, "ipv4");
loopback.addAddress("::1", "ipv6");

export function unsafeSettings({ host }: Pick<Settings, "host">): Problem[] {
  const family = isIP(host);
  const own = family === 0 ? host === "localhost" : loopback.check(host, family === 6 ? "ipv6" : "ipv4");
  if (own) return [];
  return [
    new Problem(`the console has no password, and would listen on ${host}`, {
      where: "BELLWETHER_HOST",
      fix: "leave it on 127.0.0.1, and put a server that asks for a password in front of it",
    }),
  ];
}
