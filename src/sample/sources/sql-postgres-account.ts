/** What an account of PostgreSQL may do beyond reading, counted over the tables of its database. Pure but for its query. */
import { counted } from "../../core/words.ts";

const writing = ["INSERT", "UPDATE", "DELETE", "TRUNCATE"] as const;

/** Roles that come with the server and lead out of it, or past all rights. */
const mighty = [
  "pg_execute_server_program",
  "pg_write_server_files",
  "pg_read_server_files",
  "pg_write_all_data",
  "pg_signal_backend",
  "pg_checkpoint",
];

const counts = writing.map((right) => `count(*) filter (where has_table_privilege(c.oid, '${right}')) as "${right}"`);

/** One row: counts by right, and truths by the name of what is true. */
export const excessQuery = `
  select t.*, s."CREATE in schemas", r.rolsuper as "superuser", r.rolcreaterole as "CREATEROLE", r.rolcreatedb as "CREATEDB",
    r.rolreplication as "REPLICATION", r.rolbypassrls as "BYPASSRLS",
    has_database_privilege(current_database(), 'CREATE') as "CREATE in the database",
    (select count(*) from pg_catalog.pg_largeobject_metadata l where l.lomowner = r.oid) as "large objects",
    (select string_agg(m.rolname, ', ') from pg_catalog.pg_roles m
      where m.rolname = any('{${mighty.join(",")}}') and pg_has_role(m.oid, 'MEMBER')) as "roles"
  from pg_catalog.pg_roles r,
    (select ${counts.join(", ")} from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where c.relkind in ('r', 'p', 'v', 'f') and n.nspname not in ('pg_catalog', 'information_schema')
      and n.nspname !~ '^pg_(toast|temp)') t,
    (select count(*) filter (where has_schema_privilege(oid, 'CREATE')) as "CREATE in schemas"
      from pg_catalog.pg_namespace where nspname !~ '^pg_(toast|temp)') s
  where r.rolname = current_user`;

/** As short phrases; empty: it reads and no more. */
export function excessOf(row: Readonly<Record<string, unknown>>): string[] {
  const some = (name: string): number => Number(row[name] ?? 0);
  const roles = typeof row.roles === "string" ? [`member of ${row.roles}`] : [];
  const truths = Object.keys(row).filter((name) => row[name] === true);
  const schemas = some("CREATE in schemas");
  return [
    ...truths,
    ...roles,
    ...writing.filter((right) => some(right) > 0).map((right) => `${right} on ${counted(some(right), "table")}`),
    ...(schemas > 0 ? [`CREATE in ${counted(schemas, "schema")}`] : []),
    ...(some("large objects") > 0 ? [`owner of ${counted(some("large objects"), "large object")}`] : []),
  ];
}
