import { join } from "node:path";
import { afterAll, beforeAll, describe } from "vitest";
import { openState, type State } from "../../src/state/database.ts";
import { type Mariadb, startMariadb, whyNoMariadb } from "../support/servers/mariadb.ts";
import { type Postgres, startPostgres, whyNoPostgres } from "../support/servers/postgres.ts";
import { silent, testFolder } from "../unit/store/support.ts";
import { stateContract } from "./state.ts";

const folder = testFolder("state-contract");
let files = 0;

stateContract("SQLite, in memory, which has one connection", () => {
  let state: Promise<State> | undefined;
  return (clock) => {
    state ??= openState({ file: ":memory:", clock, log: silent });
    return state;
  };
});

stateContract("SQLite, two connections to one file", () => {
  files += 1;
  const file = join(folder, `${files}.db`);
  return (clock) => openState({ file, clock, log: silent });
});

const servers = [
  { name: "PostgreSQL", missing: whyNoPostgres(), start: (): Promise<Postgres | Mariadb> => startPostgres() },
  { name: "MariaDB", missing: whyNoMariadb(), start: (): Promise<Postgres | Mariadb> => startMariadb() },
];

describe.each(servers)("$name, two pools", ({ name, missing, start }) => {
  let server: Postgres | Mariadb;
  let url: string;
  beforeAll(async () => {
    if (missing !== null) return;
    server = await start();
    url = await server.database();
  });
  afterAll(async () => server?.[Symbol.asyncDispose]());

  describe.skipIf(missing !== null)(missing ?? "is there", () => {
    stateContract(name, () => {
      let emptied: Promise<void> | undefined;
      return async (clock) => {
        const state = await openState({ url, clock, log: silent });
        // Making the tables anew for each test would take longer than all of the tests.
        emptied ??= server.empty(url);
        await emptied;
        return state;
      };
    });
  });
});
