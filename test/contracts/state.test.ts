import { join } from "node:path";
import { openState, type State } from "../../src/state/database.ts";
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
