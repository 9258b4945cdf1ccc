/** The tables of the series store, and its statements, prepared once. */
import type Sqlite from "better-sqlite3";

/**
 * Times come first in the key: a slot is appended at the end of the file, where ten thousand series would otherwise
 * be ten thousand places to write to. `value` has no type of its own, so that a text of digits stays a text.
 */
export const seriesVersions: readonly string[] = [
  `create table series (
      id integer primary key,
      measurement text not null,
      tags text not null,
      field text not null,
      kind text not null,
      unique (measurement, tags, field)
    );
    create table latest (series_id integer primary key, ts integer not null, quiet_ms integer);
    create table points (ts integer not null, series_id integer not null, value not null,
      primary key (ts, series_id)) without rowid;
    create view readable as
      select datetime(p.ts / 1000, 'unixepoch') as time, s.measurement, s.tags, s.field, p.value
      from points p join series s on s.id = p.series_id;`,
];

export type Cell = number | string | null;

export type Statements = ReturnType<typeof prepareStatements>;

export function prepareStatements(database: Sqlite.Database) {
  return {
    series: database.prepare("select * from series join latest on series_id = id order by id"),
    insertSeries: bulkInsert(database, "insert into series (id, measurement, tags, field, kind)", 5),
    insertLatest: bulkInsert(database, "insert or replace into latest (series_id, ts, quiet_ms)", 3),
    insertPoints: bulkInsert(database, "insert or replace into points (ts, series_id, value)", 3),
    /** The times at which there is any point: one step down the tree each, however many points lie between. */
    times: database
      .prepare<[{ fromMs: number; toMs: number }], number>(
        `with recursive times (ts) as (
           select min(ts) from points where ts >= @fromMs
           union all
           select (select min(p.ts) from points p where p.ts > times.ts) from times where times.ts < @toMs
         ) select ts from times where ts < @toMs`,
      )
      .pluck(),
    /** All series of a run of numbers at the times given. */
    run: database
      .prepare<[string, number, number], [number, number, number | string]>(
        `select p.ts, p.series_id, p.value from json_each(?) t
         cross join points p on p.ts = t.value and p.series_id between ? and ?`,
      )
      .raw(),
    oldest: database.prepare<[], number>("select min(ts) from points").pluck(),
    timeAfterRows: database
      .prepare<[number, number], number>("select ts from points where ts < ? order by ts limit 1 offset ?")
      .pluck(),
    deletePoints: database.prepare<[number]>("delete from points where ts < ?"),
    deleteSeries: database.prepare<[number]>(
      "delete from series where id in (select series_id from latest where ts < ?)",
    ),
    deleteLatest: database.prepare<[number]>("delete from latest where ts < ?"),
    forgetNonzero: database.prepare<[number]>("update latest set quiet_ms = null where ts - quiet_ms < ?"),
  };
}

/** Rows that one statement inserts; twice as fast as one by one. */
const bulkRows = 32;

/** Inserts rows, given as their cells one after another, in that order. */
function bulkInsert(database: Sqlite.Database, into: string, columnCount: number): (cells: readonly Cell[]) => void {
  const row = `(${Array(columnCount).fill("?").join(", ")})`;
  const one = database.prepare(`${into} values ${row}`);
  const many = database.prepare(`${into} values ${Array(bulkRows).fill(row).join(", ")}`);
  return (cells) => {
    let start = 0;
    for (const size = columnCount * bulkRows; start + size <= cells.length; start += size) {
      many.run(cells.slice(start, start + size));
    }
    for (; start < cells.length; start += columnCount) one.run(cells.slice(start, start + columnCount));
  };
}
