import { expect, test } from "vitest";
import { sources } from "../../../src/sample/sources/index.ts";

const asked = "select count(*) as n from t where at >= :slot_start and at < :slot_end";
const now = "select count(*) as n from baskets";
const connection = { queries: { asked, now } };
const search = { connection: "logs", index: "orders" };
const ranged = { query: { range: { at: { gte: ":slot_start", lt: ":slot_end" } } } };

test.each([
  ["a query that asks for the slot", "sql", { connection: "shop", query: asked }, true],
  ["a query of what is now", "sql", { connection: "shop", query: now }, false],
  ["a connection's query that asks for the slot", "sql", { connection: "shop", batch: "asked" }, true],
  ["a connection's query of what is now", "sql", { connection: "shop", batch: "now" }, false],
  ["a request for the slot", "http", { connection: "api", path: "/x?to={slot_end}" }, true],
  ["a request that is the same for each slot", "http", { connection: "api", path: "/x" }, false],
  [
    "metrics as text, whatever they are asked with",
    "http",
    { connection: "api", path: "/metrics?at={slot_end}", format: "prometheus", metric: "up" },
    false,
  ],
  ["a search in the slot", "elasticsearch", { ...search, body: ranged }, true],
  ["a search in everything", "elasticsearch", { ...search, body: { query: { match_all: {} } } }, false],
] as const)("%s", (_, kind, options, isRepeatable) => {
  const source = sources[kind];
  const chosen = source?.options.parse(options);
  expect(source?.isRepeatable?.(chosen as never, connection)).toBe(isRepeatable);
});
