/** A process that commits row after row to a SQLite file and prints what became of each. */
import Sqlite from "better-sqlite3";

const [file = "", rows = "10"] = process.argv.slice(2);
const db = new Sqlite(file);
db.pragma("journal_mode = wal");
db.pragma("synchronous = full");
db.exec("create table if not exists rows (n integer primary key)");
const insert = db.prepare("insert into rows values (?)");
for (let n = 0; n < Number(rows); n += 1) {
  try {
    insert.run(n);
    console.log(`${n} ok`);
  } catch (thrown) {
    console.log(`${n} ${(thrown as { code?: string }).code}`);
  }
}
