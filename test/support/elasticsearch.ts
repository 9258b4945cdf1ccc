/** Indices and connections of tests that read from Elasticsearch. */
import type { Connection } from "../../src/core/definitions.ts";
import type { SourceDeps } from "../../src/core/ports.ts";
import type { Elasticsearch } from "./servers/elasticsearch.ts";

const quiet = (): void => {};

/** An empty index; one of its name that a server elsewhere may have goes. @param types field -> type */
export async function makeIndex(
  server: Elasticsearch,
  name: string,
  types: Readonly<Record<string, string>>,
  settings: object = {},
): Promise<void> {
  await server.call("DELETE", `${name.split("?")[0]}?ignore_unavailable=true`);
  await server.call("PUT", name, {
    settings: { number_of_replicas: 0, ...settings },
    mappings: { properties: Object.fromEntries(Object.entries(types).map(([field, type]) => [field, { type }])) },
  });
}

/** A condition that takes about a millisecond for each document, and is true. */
export function slowQuery(server: Elasticsearch): object {
  const busy = "int n = 0; for (int i = 0; i < 500000; ++i) { n = n ^ i } return n >= 0";
  const script = server.sleeps ? { lang: "test", source: "sleep", params: { ms: 1 } } : { source: busy };
  return { script: { script } };
}

/** Connections of the kind `elasticsearch` that may lead to this machine. */
export function connectionsTo(
  connections: Readonly<Record<string, object>>,
  more: Partial<SourceDeps> = {},
): SourceDeps {
  const made = Object.entries(connections).map(([name, options]): [string, Connection] => [
    name,
    {
      name,
      kind: "elasticsearch",
      options: { networks: ["127.0.0.0/8"], ...options },
      budgetMs: 3_600_000,
      place: "rules/connections.yaml:1:1",
    },
  ]);
  return {
    connections: new Map(made),
    dataDir: "",
    secret: () => "",
    production: false,
    log: { debug: quiet, info: quiet, warn: quiet, error: quiet },
    ...more,
  };
}
