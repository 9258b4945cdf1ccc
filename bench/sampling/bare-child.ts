/** The simplest process that reads a SQLite file for somebody: prepares once, answers each message with its rows. */
import Sqlite from "better-sqlite3";

const [, , file = "", query = ""] = process.argv;
const statement = new Sqlite(file, { readonly: true }).prepare(query);
process.on("message", (bindings: object) => {
  process.send?.(statement.all(bindings));
});
