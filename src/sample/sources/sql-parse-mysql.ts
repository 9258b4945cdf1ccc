/**
 * Walks the tree that node-sql-parser makes of a query of MySQL or MariaDB. The library is more lenient than a server
 * and its tree has no firm shape; so every kind of node and every attribute is named here, and what is not is refused.
 */
import type { Findings, Scope, Side } from "./sql-parse-findings.ts";
import { callFix, mayCall } from "./sql-parse-functions.ts";
import { called, lower, meaningOf, type Token, tokensOf } from "./sql-text.ts";

type Node = { readonly [key: string]: unknown };

/** Of every node: what it carries beside its meaning. */
const anywhere = "type parentheses tableList columnList loc";

/** Kinds of node with the attributes that may be set; one without a type of its own goes by where it stands, `?from`. */
const kinds: Readonly<Record<string, string>> = {
  select:
    "with distinct columns from where groupby having orderby limit window _next set_op _orderby _limit parentheses_symbol into collate",
  "?into": "position",
  "?columns": "expr as",
  "?from": "table as db expr join on using joins prefix",
  "?joins": "table as db expr join on using prefix",
  dual: "",
  "?subquery": "ast",
  "?with": "name stmt columns",
  "?stmt": "ast",
  "?groupby": "columns modifiers",
  "?limit": "seperator value",
  "?_limit": "seperator value",
  "?args": "expr distinct orderby separator field source cast_type",
  "?separator": "keyword value",
  "?name": "name",
  "?target": "dataType length scale suffix",
  "?parentheses": "length",
  "?partitionby": "expr",
  "?orderby": "expr",
  "?_orderby": "expr",
  "?as_window_specification": "window_specification",
  "?window_specification": "name partitionby orderby window_frame_clause",
  "?expr": "name as_window_specification table as db join on using expr prefix",
  "?modifiers": "",
  ASC: "expr",
  DESC: "expr",
  aggr_func: "name args over",
  function: "name args over",
  window: "keyword expr as_window_specification",
  binary_expr: "operator left right",
  unary_expr: "operator expr",
  column_ref: "table db column collate",
  collate: "keyword collate",
  "?collate": "name",
  case: "expr args",
  when: "cond result",
  else: "result",
  cast: "keyword expr symbol target",
  extract: "args",
  interval: "expr unit",
  expr_list: "value",
  star: "value",
  number: "value",
  bigint: "value",
  bool: "value",
  null: "value",
  string: "value",
  single_quote_string: "value escape",
  ESCAPE: "value",
  backticks_quote_string: "value",
  default: "value",
  origin: "value suffix",
  param: "value",
  date: "value",
  time: "value",
  datetime: "value",
  timestamp: "value",
  datatype: "dataType length scale suffix",
};
const attributes = new Map(
  Object.entries(kinds).map(([kind, names]) => [kind, new Set(`${anywhere} ${names}`.split(" "))]),
);

const operators = new Set(
  [
    "AND OR XOR NOT && || ! = <> != < > <= >= + - * / % ~ | & ^ << >> DIV MOD IN IS BETWEEN LIKE REGEXP RLIKE EXISTS",
    "-> ->>",
  ]
    .join(" ")
    .split(" ")
    .concat(["NOT IN", "IS NOT", "NOT BETWEEN", "NOT LIKE", "NOT REGEXP", "NOT RLIKE", "NOT EXISTS"]),
);
/** Words that the library takes for functions when parentheses follow. */
const readAsCalls = new Set(["all", "any", "exists", "not", "some"]);
const comparisons = new Set(["=", "<", ">", "<=", ">=", "BETWEEN"]);

export async function loadMysql(): Promise<(shadow: string, findings: Findings) => void> {
  const library = await import("node-sql-parser/build/mysql.js");
  const parser = new library.default.Parser();
  return (text, findings) => {
    let tree: unknown;
    try {
      tree = parser.astify(mysqlShadow(text), { database: "mysql" });
    } catch (thrown) {
      if (!(thrown instanceof Error) || thrown instanceof RangeError) throw thrown;
      syntaxFault(thrown as Error & { location?: { start?: { offset?: number } } }, text, findings);
      return;
    }
    new Walker(findings).query(tree);
  };
}

/** The library gives up at the farthest place it got to; what it hoped for there would fill a page. */
function syntaxFault(
  { location }: { location?: { start?: { offset?: number } } },
  text: string,
  findings: Findings,
): void {
  if (findings.faults.length > 0) return;
  const at = location?.start?.offset;
  const near = at === undefined ? "" : ` near "${text.slice(at, at + 20).split("\n")[0]}"`;
  const fix =
    "correct it; if the server takes it, write it in a plainer way (names in `...`, no SQL keyword as a bare name), or have a view do it";
  findings.add("SQL-032", `cannot be read${near}`, fix, at);
}

/**
 * The query as the library can read it, each character at its place: what its grammar lacks stands for something of
 * the same shape. Names of functions have been looked at before.
 */
function mysqlShadow(text: string): string {
  const all = tokensOf(text);
  const tokens = meaningOf(all);
  const place = new Map(tokens.map((token, at) => [token, at]));
  return all
    .map((token) => {
      const at = place.get(token);
      return at === undefined ? token.text : (shadowOf(tokens, at) ?? token.text).padEnd(token.text.length);
    })
    .join("");
}

const stand: Readonly<Record<string, string>> = {
  variance: "abs",
  std: "abs",
  stddev: "abs",
  bit_and: "abs",
  bit_or: "abs",
  bit_xor: "abs",
  json_arrayagg: "abs",
  json_objectagg: "abs",
};

/** What stands for a token; null: itself. */
function shadowOf(tokens: readonly Token[], at: number): string | null {
  const token = tokens[at] as Token;
  const word = lower(token);
  if (token.kind === "word" && called(tokens, at) && Object.hasOwn(stand, word)) return stand[word] as string;
  // `<=>` is a comparison as `<=` is.
  if (token.text === ">" && tokens[at - 1]?.text === "=" && tokens[at - 2]?.text === "<") {
    return tokens[at - 2]?.at === token.at - 2 ? "" : null;
  }
  return inIndexHint(tokens, at) ? "" : null;
}

/** Whether the token is part of `use index (a, b)`, which only tells which index to read by. */
function inIndexHint(tokens: readonly Token[], at: number): boolean {
  for (let start = at; start >= 0 && start > at - 12; start -= 1) {
    if (!/^(use|force|ignore)$/.test(lower(tokens[start])) || tokens[start]?.kind !== "word") continue;
    if (!/^(index|key)$/.test(lower(tokens[start + 1])) || tokens[start + 2]?.text !== "(") return false;
    const close = tokens.findIndex(({ text }, each) => each > start && text === ")");
    const inside = tokens.slice(start + 3, close);
    return close >= at && inside.every(({ kind, text }) => kind === "word" || kind === "quoted" || text === ",");
  }
  return false;
}

class Walker {
  readonly #findings: Findings;

  constructor(findings: Findings) {
    this.#findings = findings;
  }

  query(tree: unknown): void {
    const statements = Array.isArray(tree) ? tree : [tree];
    if (statements.length > 1) this.#findings.add("SQL-001", "more than one statement", "write one SELECT");
    for (const statement of statements) this.#select(statement as Node, new Set(), new Map());
  }

  #select(select: Node, outerCtes: ReadonlySet<string>, outer: Scope): void {
    if (select.type !== "select") {
      this.#findings.onlySelect();
      return;
    }
    const ctes = this.#with(select.with, outerCtes, outer);
    const own = new Map<string, string | null>();
    for (const item of list(select.from)) this.#names(item, ctes, own);
    const scope = new Map([...own, ...[...outer].filter(([name]) => !own.has(name))]);
    this.#conjuncts(select.where, scope, own);
    for (const item of list(select.from)) this.#joins(item, scope, own);
    if (isNode(select._next)) this.#select(select._next, ctes, outer);
    this.#attributes("select", select, ctes, scope, new Set(["with", "_next"]));
  }

  #with(clauses: unknown, outer: ReadonlySet<string>, scope: Scope): ReadonlySet<string> {
    const names = new Set(outer);
    for (const clause of list(clauses)) {
      if (clause.recursive === true) this.#findings.recursive();
      const stmt = clause.stmt as Node | undefined;
      this.#select((isNode(stmt?.ast) ? stmt.ast : (stmt ?? {})) as Node, names, scope);
      this.#attributes("?with", clause, names, scope, new Set(["stmt", "recursive"]));
      names.add(String((clause.name as Node | undefined)?.value ?? clause.name));
    }
    return names;
  }

  #names(item: Node, ctes: ReadonlySet<string>, own: Map<string, string | null>): void {
    if (typeof item.table === "string") {
      const db = typeof item.db === "string" ? item.db : undefined;
      const isCte = db === undefined && ctes.has(item.table);
      const written = this.#findings.table(db, item.table, isCte);
      own.set(typeof item.as === "string" ? item.as : item.table, isCte ? null : written);
    } else if (Array.isArray(item.expr)) {
      for (const each of list(item.expr)) this.#names(each, ctes, own);
    } else if (item.type !== "dual") own.set(typeof item.as === "string" ? item.as : `?${own.size}`, null);
    for (const each of list(item.joins)) this.#names(each, ctes, own);
  }

  #joins(item: Node, scope: Scope, direct: Scope): void {
    this.#conjuncts(item.on, scope, direct);
    if (Array.isArray(item.expr)) for (const each of list(item.expr)) this.#joins(each, scope, direct);
    for (const each of list(item.joins)) this.#joins(each, scope, direct);
  }

  #conjuncts(condition: unknown, scope: Scope, direct: Scope): void {
    if (!isNode(condition) || condition.type !== "binary_expr") return;
    const operator = String(condition.operator).toUpperCase();
    if (operator === "AND" || operator === "&&") {
      this.#conjuncts(condition.left, scope, direct);
      this.#conjuncts(condition.right, scope, direct);
    } else if (comparisons.has(operator)) {
      const [left, right] = [sideOf(condition.left), sideOf(condition.right)];
      const qualified = [left, right].some((side) => side.columns.some(({ path }) => path.length > 1));
      this.#findings.compared(left, right, qualified ? scope : direct);
    }
  }

  #node(node: unknown, role: string, ctes: ReadonlySet<string>, scope: Scope): void {
    if (Array.isArray(node)) {
      for (const each of node) this.#node(each, role, ctes, scope);
      return;
    }
    if (!isNode(node)) return;
    const kind = kindOf(node, role);
    if (kind === "select") this.#select(node, ctes, scope);
    else if (!attributes.has(kind)) {
      const word = kind.replace(/^\?/, "").replaceAll("_", " ").slice(0, 40);
      this.#findings.unknown(word, "write it with plain SELECT, or have a view compute it");
    } else {
      this.#meaning(kind, node);
      this.#attributes(kind, node, ctes, scope);
    }
  }

  #attributes(kind: string, node: Node, ctes: ReadonlySet<string>, scope: Scope, done?: ReadonlySet<string>): void {
    const allowed = attributes.get(kind) as ReadonlySet<string>;
    for (const [name, value] of Object.entries(node)) {
      if (value === null || value === undefined || value === false || done?.has(name)) continue;
      if (Array.isArray(value) && value.every((each) => each === null || each === undefined)) continue;
      if (!allowed.has(name)) this.#refuse(name);
      else if (name !== "tableList" && name !== "columnList") this.#node(value, `?${name}`, ctes, scope);
    }
  }

  #refuse(name: string): void {
    if (name === "locking_read") this.#findings.add("SQL-003", "takes locks", "remove FOR UPDATE or FOR SHARE");
    else if (name === "keyword" || name === "into") this.#findings.add("SQL-004", "writes", "remove INTO");
    else this.#findings.unknown(name.replaceAll("_", " "), "remove it");
  }

  #meaning(kind: string, node: Node): void {
    if (kind === "function" || kind === "aggr_func") this.#call(node);
    if (kind === "binary_expr" || kind === "unary_expr") {
      const operator = String(node.operator).toUpperCase();
      if (!operators.has(operator)) this.#findings.unknown(`operator ${operator}`, "use a plain one");
    }
    if (kind === "param" && node.value !== "slot_start" && node.value !== "slot_end") {
      this.#findings.add("SQL-010", `unknown parameter ${String(node.value)}`, "use :slot_start and :slot_end");
    }
  }

  /** Once more under the name that the tree has, since the words may deceive. */
  #call(node: Node): void {
    const path = isNode(node.name) ? [node.name.schema, ...list(node.name.name)].filter(Boolean) : [node.name];
    const name = path.map((part) => String(isNode(part) ? part.value : part).toLowerCase()).join(".");
    if (readAsCalls.has(name) || mayCall("mysql", name)) return;
    const shown = `function ${name.slice(0, 60)} is not allowed`;
    if (this.#findings.faults.some((fault) => fault.startsWith(`SQL-006 ${shown}`))) return;
    this.#findings.add("SQL-006", shown, callFix("mysql", name));
  }
}

function kindOf(node: Node, role: string): string {
  if (typeof node.type === "string") return node.type;
  return isNode(node.ast) ? "?subquery" : role;
}

/** Columns and bounds of an expression; subqueries are looked at by themselves. */
function sideOf(expression: unknown): Side {
  const side: Side = { columns: [], bounds: [] };
  const visit = (value: unknown, wrapped: boolean): void => {
    if (Array.isArray(value)) for (const each of value) visit(each, wrapped);
    if (!isNode(value) || isNode(value.ast)) return;
    if (value.type === "column_ref") {
      const path = [value.table, value.column].filter((part) => typeof part === "string");
      side.columns.push({ path, wrapped });
    } else if (value.type === "param") {
      side.bounds.push(value.value === "slot_start" ? "slot_start" : "slot_end");
    } else {
      const inner = wrapped || (typeof value.type === "string" && value.type !== "expr_list");
      for (const each of Object.values(value)) visit(each, inner);
    }
  };
  visit(expression, false);
  return side;
}

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function list(value: unknown): readonly Node[] {
  if (isNode(value)) return [value];
  return Array.isArray(value) ? value.filter(isNode) : [];
}
