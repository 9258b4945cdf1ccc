/** Statements in other clothes, the same ones for the same seed: what still means the same, and what somebody would try. */
import { hostileStatements, ordinaryQueries, type SqlDialect } from "./hostile.ts";

/** Numbers in [0, 1) from a seed (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

type Random = () => number;
type Mutation = (sql: string, random: Random, dialect: SqlDialect) => string;

const pieces = /'(?:[^']|'')*'|"[^"]*"|`[^`]*`|\/\*[\s\S]*?\*\/|--[^\n]*\n?|[:@$]?\w+|[ \t\r\n]+|[\s\S]/g;
const isWord = (piece: string): boolean => /^[A-Za-z_]\w*$/.test(piece);
const isSpace = (piece: string): boolean => /^[ \t\r\n]+$/.test(piece);

function pick<T>(from: readonly T[], random: Random): T {
  return from[Math.floor(random() * from.length)] as T;
}

function each(sql: string, change: (piece: string) => string): string {
  return (sql.match(pieces) ?? []).map(change).join("");
}

/** These change no meaning, whatever the statement. */
const sameMeaning: readonly Mutation[] = [
  (sql, random) =>
    each(sql, (piece) =>
      isWord(piece)
        ? [...piece].map((char) => (random() < 0.5 ? char.toUpperCase() : char.toLowerCase())).join("")
        : piece,
    ),
  (sql, random) =>
    each(sql, (piece) => (isSpace(piece) ? pick([" ", "\n", "\t", "\r\n", "   ", " \n\t "], random) : piece)),
  (sql, random) =>
    each(sql, (piece) =>
      isSpace(piece) && random() < 0.6 ? pick([" /* x */ ", "/**/", " -- x\n", " /* ; drop */\n"], random) : piece,
    ),
  (sql, random) => each(sql, (piece) => (/^[(),]$/.test(piece) && random() < 0.5 ? `${piece} /* , */ ` : piece)),
  (sql) => `/* nightly */ ${sql}`,
  (sql) => `${sql} -- done`,
];

const lookalikes: Readonly<Record<string, string>> = {
  a: "а",
  e: "е",
  o: "о",
  c: "с",
  p: "р",
  i: "ı",
  s: "ｓ",
  k: "K",
};

/** What is put around a statement, or into it, in the hope that it gets through. */
const disguises: readonly Mutation[] = [
  (sql, random) => each(sql, (piece) => (isWord(piece) && random() < 0.2 ? alike(piece, random) : piece)),
  (sql, random) =>
    each(sql, (piece) =>
      isSpace(piece) && random() < 0.3 ? pick(["\u00a0", "\u2003", "\u200b ", "\u3000"], random) : piece,
    ),
  (sql, random) => each(sql, (piece) => (piece === ";" ? pick(["；", ";", " ; ", "\u037e"], random) : piece)),
  (sql, random) => {
    const at = Math.floor(random() * sql.length);
    return sql.slice(0, at) + pick(["\u0000", "\u200b", "\ufeff", "\u00ad", "\u2028"], random) + sql.slice(at);
  },
  (sql) => `select * from (${sql}) x`,
  (sql) => `with q as (${sql}) select * from q`,
  (sql) => `with a as (select 1 as n), q as (${sql}) select a.n from a`,
  (sql) => `select 1 as n where exists (${sql})`,
  (sql) => `select (${sql}) as "select"`,
  (sql) => `select coalesce((${sql}), 1) as n`,
  (sql) => `select case when 1 = 1 then (${sql}) else 0 end as n`,
  (sql) => `select n from (select 1 as n) a where n in (${sql})`,
  (sql) => `select 1 as n union all ${sql}`,
  (sql) => `select 1 as n; ${sql}`,
  (sql) => `select 1 as n /* ' */ ; ${sql} /* ' */`,
  (sql, random, dialect) => `${pick(ordinaryQueries(dialect), random).replace(/;\s*$|--.*$/g, "")}; ${sql}`,
  (sql, random, dialect) => `${sql}; ${pick(hostileStatements(dialect), random).sql}`,
  (sql, random, dialect) => `${pick(hostileStatements(dialect), random).sql}\nunion all\n${sql}`,
  (sql) => `/*! ${sql} */`,
  (sql) => `select 1 as n /*!50000 ; ${sql} */`,
  (sql) => `(${sql})`,
];

function alike(word: string, random: Random): string {
  const known = [...word].filter((char) => lookalikes[char] !== undefined);
  return known.length === 0 ? word : word.replace(pick(known, random), (char) => lookalikes[char] as string);
}

/**
 * A name of two words or less is no statement once it stands inside another (`select (begin)`), and a list of values
 * or a table is a harmless subquery: of these only what stands by itself is hostile.
 */
function mayStandInside(sql: string): boolean {
  const bare = sql.replace(/--[^\n]*|\/\*[\s\S]*?\*\//g, " ").trim();
  return bare.split(/\s+/).length > 2 && !/^(values|table)\b/i.test(bare);
}

/** Different hostile statements, made from the corpus by one to three mutations each. */
export function hostileMutations(dialect: SqlDialect, count: number, seed: number): string[] {
  const random = randomFrom(seed);
  const corpus = hostileStatements(dialect).filter(({ sql }) => mayStandInside(sql));
  const known = new Set(corpus.map(({ sql }) => sql));
  const made = new Set<string>();
  while (made.size < count) {
    let { sql } = pick(corpus, random);
    const disguised = random() < 0.6;
    if (disguised) sql = pick(disguises, random)(sql, random, dialect);
    const others = Math.floor(random() * 2) + (disguised ? 0 : 1);
    for (let more = 0; more < others; more += 1) sql = pick(sameMeaning, random)(sql, random, dialect);
    if (!known.has(sql)) made.add(sql);
  }
  return [...made];
}

/** Ordinary queries in other clothes: they mean what they meant. */
export function ordinaryMutations(dialect: SqlDialect, count: number, seed: number): string[] {
  const random = randomFrom(seed);
  const made = new Set<string>();
  const queries = ordinaryQueries(dialect);
  while (made.size < count) {
    let sql = pick(queries, random);
    for (let more = Math.floor(random() * 2); more >= 0; more -= 1)
      sql = pick(sameMeaning, random)(sql, random, dialect);
    made.add(sql);
  }
  return [...made];
}
