import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Connection } from "../../src/core/definitions.ts";
import type { Source, SourceDeps } from "../../src/core/ports.ts";
import { http } from "../../src/sample/sources/http.ts";
import { freePort } from "../support/servers/process.ts";
import { invoices, type SourceCase, sourceContract } from "./source.ts";

const quiet = (): void => {};

/** Orders and amount by country of `[from, to)`, as a shop's own API tells them. */
function byCountry(from: string, to: string): object[] {
  const found = new Map<string, { country: string; orders: number; amount: number }>();
  for (const { invoiced_at, country, amount } of invoices) {
    if (Date.parse(invoiced_at) < Date.parse(from) || Date.parse(invoiced_at) >= Date.parse(to)) continue;
    const sum = found.get(country) ?? { country, orders: 0, amount: 0 };
    found.set(country, { country, orders: sum.orders + 1, amount: sum.amount + amount });
  }
  return [...found.values()].sort((a, b) => a.country.localeCompare(b.country));
}

function shopApi(): SourceCase {
  let working = 0;
  let port = 0;
  let gone = 0;
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    const { pathname, searchParams } = new URL(request.url ?? "/", "http://shop");
    if (pathname === "/shop/hanging") {
      working += 1;
      response.on("close", () => {
        working -= 1;
      });
      return;
    }
    response.setHeader("content-type", "application/json");
    if (pathname !== "/shop/invoices") response.writeHead(404).end("{}");
    else response.end(JSON.stringify({ found: byCountry(searchParams.get("from")!, searchParams.get("to")!) }));
  });
  const source = (path: string, more: object = {}, to = port): Source => {
    const shop: Connection = {
      name: "shop",
      kind: "http",
      options: { url: `http://127.0.0.1:${to}/shop`, networks: ["127.0.0.0/8"] },
      budgetMs: 3_600_000,
      place: "rules/connections.yaml:1:1",
    };
    const deps: SourceDeps = {
      connections: new Map([["shop", shop]]),
      dataDir: "/nowhere",
      secret: () => "",
      production: true,
      log: { debug: quiet, info: quiet, warn: quiet, error: quiet },
    };
    return http.create(http.options.parse({ connection: "shop", path, ...more }), deps);
  };
  const invoicesOf = { params: { from: "{slot_start}", to: "{slot_end}" }, rows: "found" };
  return {
    name: "http",
    async setUp() {
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      port = (server.address() as AddressInfo).port;
      gone = await freePort();
    },
    async tearDown() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
    byCountry: (rowsMax = 1000) => source("/invoices", { ...invoicesOf, rows_max: rowsMax }),
    unknownTable: () => source("/nothing_here"),
    hanging: () => source("/hanging"),
    unreachable: () => source("/invoices", invoicesOf, gone),
    isWorking: async () => working > 0,
    codes: { tooMany: "NET-014", cut: "NET-005", unknown: "NET-012", unreachable: "NET-010" },
  };
}

sourceContract(shopApi());
