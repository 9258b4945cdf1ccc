/**
 * Walks the tree of PostgreSQL's own parser. Every kind of node and every attribute of it is named here; what is not
 * named is refused, so that syntax of a later version is refused until somebody has thought about it.
 */

import type { Findings, Scope, Side } from "./sql-parse-findings.ts";
import { callFix, mayCall } from "./sql-parse-functions.ts";

type Node = { readonly [key: string]: unknown };

/** Kinds of node, with the attributes that may be set. `location` and scalars that change no meaning are among them. */
const kinds: Readonly<Record<string, string>> = {
  SelectStmt:
    "distinctClause targetList fromClause whereClause groupClause groupDistinct havingClause windowClause valuesLists sortClause limitOffset limitCount limitOption withClause op all larg rarg groupAll",
  WithClause: "ctes location",
  CommonTableExpr: "ctename aliascolnames ctematerialized ctequery location",
  ResTarget: "name val location indirection",
  ColumnRef: "fields location",
  ParamRef: "number location",
  A_Star: "",
  A_Const: "ival fval boolval sval isnull location",
  A_Expr: "kind name lexpr rexpr location rexpr_list_start rexpr_list_end",
  A_ArrayExpr: "elements location list_start list_end",
  A_Indirection: "arg indirection",
  A_Indices: "is_slice lidx uidx",
  BoolExpr: "boolop args location",
  BooleanTest: "arg booltesttype location",
  NullTest: "arg nulltesttype location argisrow",
  CaseExpr: "arg args defresult location",
  CaseWhen: "expr result location",
  CoalesceExpr: "args location",
  MinMaxExpr: "op args location",
  CollateClause: "arg collname location",
  FuncCall:
    "funcname args agg_order agg_filter over agg_within_group agg_star agg_distinct func_variadic funcformat location",
  GroupingFunc: "args location",
  GroupingSet: "kind content location",
  NamedArgExpr: "name arg argnumber location",
  RowExpr: "args row_format location",
  SQLValueFunction: "op typmod location",
  SortBy: "node sortby_dir sortby_nulls location",
  SubLink: "subLinkType testexpr operName subselect location",
  TypeCast: "arg typeName location",
  TypeName: "names typmods typemod arrayBounds location",
  WindowDef: "name refname partitionClause orderClause frameOptions startOffset endOffset location",
  Alias: "aliasname colnames",
  RangeVar: "schemaname relname inh relpersistence alias location",
  RangeSubselect: "lateral subquery alias",
  RangeFunction: "lateral ordinality functions alias is_rowsfrom",
  JoinExpr: "jointype isNatural larg rarg quals usingClause alias join_using_alias rtindex",
  List: "items",
  String: "sval",
  Integer: "ival",
};
const attributes = new Map(Object.entries(kinds).map(([kind, names]) => [kind, new Set(names.split(" "))]));

/** Attributes that hold a node of one kind, and so do not name it. */
const oneKind: Readonly<Record<string, string>> = {
  withClause: "WithClause",
  typeName: "TypeName",
  over: "WindowDef",
  alias: "Alias",
  join_using_alias: "Alias",
  collClause: "CollateClause",
};

/** Those that do something, by the attribute or kind that says so. */
const operators = new Set(
  "= <> != < > <= >= + - * / % ^ || == ~ ~* !~ !~* ~~ ~~* !~~ !~~* -> ->> #> #>> @> <@ ?| ?& && & | # << >> @ |/ ||/".split(
    " ",
  ),
);
const types = new Set(
  `bool int2 int4 int8 float4 float8 numeric text varchar bpchar char name date time timetz timestamp timestamptz
  interval json jsonb uuid integer bigint smallint real decimal boolean blob int double float string unsigned`.split(
    /\s+/,
  ),
);
/** Names that PostgreSQL's grammar gives to constructs of SQLite's own names. */
const comparisons = new Set("= <> < > <= >= ==".split(" "));

export async function loadPostgres(): Promise<(shadow: string, findings: Findings) => void> {
  const library = await import("libpg-query");
  await library.loadModule();
  return (text, findings) => {
    const shadow = text.replace(/:slot_start\b/g, "$1".padEnd(11)).replace(/:slot_end\b/g, "$2".padEnd(9));
    let tree: Node;
    try {
      tree = library.parseSync(shadow === "" ? " " : shadow) as unknown as Node;
    } catch (thrown) {
      if (!library.hasSqlDetails(thrown)) throw thrown;
      syntaxFault(thrown.message, thrown.sqlDetails?.cursorPosition, findings);
      return;
    }
    new Walker(shadow, findings).query(tree);
  };
}

function syntaxFault(message: string, at: number | undefined, findings: Findings): void {
  if (findings.faults.some((fault) => /^SQL-0(0[1-5]|10)/.test(fault))) return;
  if (/memory exhausted|stack depth/.test(message)) {
    findings.add("SQL-033", "too much inside each other", "write a shorter query, or have a view do a part of it");
    return;
  }
  const sqlite = findings.dialect === "sqlite";
  const fix = sqlite
    ? 'correct it; if SQLite takes it, write it as the standard does (LIMIT n OFFSET m, "..." around names)'
    : "correct it";
  findings.add("SQL-032", `cannot be read: ${message}`, fix, at);
}

class Walker {
  readonly #findings: Findings;
  readonly #text: string;
  readonly #ascii: boolean;

  constructor(text: string, findings: Findings) {
    this.#text = text;
    this.#findings = findings;
    // biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII is meant
    this.#ascii = /^[\x00-\x7f]*$/.test(text);
  }

  query(tree: Node): void {
    const statements = list(tree.stmts);
    if (statements.length > 1) this.#findings.add("SQL-001", "more than one statement", "write one SELECT");
    for (const statement of statements) {
      const stmt = statement.stmt as Node | undefined;
      const select = stmt?.SelectStmt as Node | undefined;
      if (select === undefined) this.#findings.onlySelect();
      else this.#select(select, new Set(), new Map());
    }
  }

  /** Place in the text of a node: the parser counts bytes. */
  #at(node: Node): number | undefined {
    const { location } = node;
    if (typeof location !== "number" || location < 0) return undefined;
    return this.#ascii ? location : Buffer.from(this.#text).subarray(0, location).toString().length;
  }

  #select(select: Node, outerCtes: ReadonlySet<string>, outer: Scope): void {
    const ctes = this.#with(select.withClause as Node | undefined, outerCtes, outer);
    const scope = new Map(outer);
    const own = new Map<string, string | null>();
    for (const item of list(select.fromClause)) this.#names(item, ctes, own);
    for (const [name, table] of own) scope.set(name, table);
    // A name without its table is one of this query's own tables, where it has one.
    const near: Scope = own.size > 0 ? new Map([...own].concat([...outer].filter(([name]) => !own.has(name)))) : scope;
    const direct: Scope = own;
    this.#conjuncts(select.whereClause as Node | undefined, near, direct);
    for (const item of list(select.fromClause)) this.#joins(item, near, direct);
    for (const side of ["larg", "rarg"]) {
      if (select[side] !== undefined) this.#select(select[side] as Node, ctes, outer);
    }
    this.#attributes("SelectStmt", select, ctes, scope, new Set(["withClause", "larg", "rarg"]));
  }

  /** Queries of WITH see those before them, not themselves. */
  #with(clause: Node | undefined, outer: ReadonlySet<string>, scope: Scope): ReadonlySet<string> {
    if (clause === undefined) return outer;
    const names = new Set(outer);
    if (clause.recursive === true) this.#findings.recursive(this.#at(clause));
    for (const item of list(clause.ctes)) {
      const cte = item.CommonTableExpr as Node;
      const select = (cte.ctequery as Node | undefined)?.SelectStmt as Node | undefined;
      if (select === undefined) this.#findings.onlySelect(this.#at(cte));
      else this.#select(select, names, scope);
      this.#attributes("CommonTableExpr", cte, names, scope, new Set(["ctequery"]));
      names.add(String(cte.ctename));
    }
    return names;
  }

  /** Names that an item of FROM brings. */
  #names(item: Node, ctes: ReadonlySet<string>, own: Map<string, string | null>): void {
    const [kind, node] = only(item);
    const alias = (node.alias as Node | undefined)?.aliasname;
    if (kind === "RangeVar") {
      const { schemaname, relname } = node as { schemaname?: string; relname: string };
      const isCte = schemaname === undefined && ctes.has(relname);
      const written = this.#findings.table(schemaname, relname, isCte, this.#at(node));
      own.set(String(alias ?? relname), isCte ? null : written);
    } else if (kind === "JoinExpr") {
      for (const side of ["larg", "rarg"]) if (node[side] !== undefined) this.#names(node[side] as Node, ctes, own);
    } else own.set(String(alias ?? `?${own.size}`), null);
  }

  #joins(item: Node, scope: Scope, direct: Scope): void {
    const [kind, node] = only(item);
    if (kind !== "JoinExpr") return;
    // The condition of an outer join leaves the outer side's rows; it still bounds what is read of the other.
    this.#conjuncts(node.quals as Node | undefined, scope, direct);
    for (const side of ["larg", "rarg"]) if (node[side] !== undefined) this.#joins(node[side] as Node, scope, direct);
  }

  /** Conditions that all must hold. */
  #conjuncts(condition: Node | undefined, scope: Scope, direct: Scope): void {
    if (condition === undefined) return;
    const [kind, node] = only(condition);
    if (kind === "BoolExpr" && node.boolop === "AND_EXPR") {
      for (const each of list(node.args)) this.#conjuncts(each, scope, direct);
    }
    if (kind !== "A_Expr") return;
    const between = node.kind === "AEXPR_BETWEEN" || node.kind === "AEXPR_BETWEEN_SYM";
    if (!between && !comparisons.has(nameOf(node.name))) return;
    const sides = [node.lexpr, node.rexpr].map((side) => sideOf(side));
    const qualified = sides.some((side) => side.columns.some(({ path }) => path.length > 1));
    this.#findings.compared(sides[0] as Side, sides[1] as Side, qualified ? scope : direct);
  }

  /** Any node: `{ Kind: { ... } }`. */
  #node(wrapped: unknown, ctes: ReadonlySet<string>, scope: Scope): void {
    if (typeof wrapped !== "object" || wrapped === null || Object.keys(wrapped).length === 0) return;
    const [kind, node] = only(wrapped as Node);
    if (kind === "SelectStmt") {
      this.#select(node, ctes, scope);
      return;
    }
    if (!attributes.has(kind)) {
      this.#refuse(kind, node);
      return;
    }
    this.#meaning(kind, node);
    this.#attributes(kind, node, ctes, scope);
  }

  #attributes(kind: string, node: Node, ctes: ReadonlySet<string>, scope: Scope, done?: ReadonlySet<string>): void {
    const allowed = attributes.get(kind) as ReadonlySet<string>;
    for (const [name, value] of Object.entries(node)) {
      if (!allowed.has(name)) this.#refuseAttribute(kind, name, node);
      else if (done?.has(name) || kind === "A_Const" || typeof value !== "object" || value === null) continue;
      else if (Array.isArray(value)) for (const each of value) this.#node(each, ctes, scope);
      else this.#node(oneKind[name] === undefined ? value : { [oneKind[name]]: value }, ctes, scope);
    }
  }

  #refuse(kind: string, node: Node): void {
    const at = this.#at(node);
    if (/^(Insert|Update|Delete|Merge)Stmt$/.test(kind)) this.#findings.onlySelect(at);
    else this.#findings.unknown(wordOf(kind), "write it with plain SELECT, or have a view compute it", at);
  }

  #refuseAttribute(kind: string, name: string, node: Node): void {
    const at = this.#at(node);
    if (name === "intoClause") this.#findings.add("SQL-004", "writes", "remove INTO", at);
    else if (name === "lockingClause") {
      this.#findings.add("SQL-003", "takes locks", "remove FOR UPDATE or FOR SHARE", at);
    } else if (name === "recursive") this.#findings.recursive(at);
    else this.#findings.unknown(`${wordOf(kind)} with ${wordOf(name)}`, "remove it", at);
  }

  /** What of a node is more than its shape: the names of functions, operators and types. */
  #meaning(kind: string, node: Node): void {
    if (kind === "FuncCall") this.#call(node);
    if (kind === "A_Expr" || kind === "SubLink") this.#operator(node);
    if (kind === "TypeName") this.#type(node);
    if (kind === "SQLValueFunction" && !/TIME|DATE/.test(String(node.op))) {
      const name = String(node.op).replace("SVFOP_", "").toLowerCase();
      this.#findings.add("SQL-006", `${name} is not allowed`, callFix(this.#findings.dialect, name), this.#at(node));
    }
    if (kind === "A_Indirection" && list(node.indirection).some((each) => only(each)[0] !== "A_Indices")) {
      this.#findings.unknown("a field of an expression", "name a column", this.#at(node));
    }
  }

  #call(node: Node): void {
    // Of SQLite every call was looked at under its own name.
    if (this.#findings.dialect !== "postgres") return;
    const path = list(node.funcname).map((part) => String((part.String as Node).sval));
    const name = path.at(-1) as string;
    const own = path.length === 1 || (path.length === 2 && path[0] === "pg_catalog");
    const at = this.#at(node);
    if (!own || !mayCall("postgres", name)) {
      const shown = path.join(".").slice(0, 60);
      this.#findings.add("SQL-006", `function ${shown} is not allowed`, callFix("postgres", name.toLowerCase()), at);
      return;
    }
    this.#findings.functions.add(name);
    if (name !== "lpad" && name !== "rpad") return;
    const [, width] = list(node.args);
    const value = ((width?.A_Const as Node | undefined)?.ival as Node | undefined)?.ival ?? 0;
    if (width?.A_Const === undefined || Number(value) > 1000) {
      this.#findings.add("SQL-006", `${name} with such a width is not allowed`, "write a number up to 1000", at);
    }
  }

  #operator(node: Node): void {
    const path = list(node.name ?? node.operName).map((part) => String((part.String as Node).sval));
    if (path.length === 0) return;
    const words = /^(BETWEEN|NOT BETWEEN)( SYMMETRIC)?$/;
    const known = path.length === 1 && (operators.has(path[0] as string) || words.test(path[0] as string));
    if (!known)
      this.#findings.add("SQL-006", `operator ${path.join(".")} is not allowed`, "use a plain one", this.#at(node));
  }

  #type(node: Node): void {
    const path = list(node.names).map((part) => String((part.String as Node).sval));
    const own = path.length === 1 || path[0] === "pg_catalog";
    if (own && types.has(String(path.at(-1)).toLowerCase())) return;
    const fix = "use a number, text, boolean, date, time, interval, json or uuid";
    this.#findings.add("SQL-006", `type ${path.join(".").slice(0, 60)} is not allowed`, fix, this.#at(node));
  }
}

/** Columns and bounds of an expression; subqueries are looked at by themselves. */
function sideOf(expression: unknown): Side {
  const side: Side = { columns: [], bounds: [] };
  const visit = (value: unknown, wrapped: boolean): void => {
    if (Array.isArray(value)) {
      for (const each of value) visit(each, wrapped);
      return;
    }
    if (typeof value !== "object" || value === null) return;
    for (const [kind, node] of Object.entries(value as Node)) {
      if (kind === "SubLink") continue;
      if (kind === "ColumnRef") {
        const path = list((node as Node).fields).map((part) => String((part.String as Node | undefined)?.sval ?? "*"));
        side.columns.push({ path, wrapped });
      } else if (kind === "ParamRef") side.bounds.push((node as Node).number === 1 ? "slot_start" : "slot_end");
      // A row of columns is served by an index as they are; attributes begin with a small letter.
      else visit(node, wrapped || (/^[A-Z]/.test(kind) && kind !== "RowExpr" && kind !== "List"));
    }
  };
  visit(expression, false);
  return side;
}

function list(value: unknown): readonly Node[] {
  return Array.isArray(value) ? (value as Node[]) : [];
}

/** `{ Kind: { ... } }` as a pair. */
function only(wrapped: Node): [string, Node] {
  const [[kind, node] = ["nothing", {}]] = Object.entries(wrapped);
  return [kind, (node ?? {}) as Node];
}

function nameOf(path: unknown): string {
  return list(path)
    .map((part) => String((part.String as Node).sval))
    .join(".");
}

/** `RangeTableSample` as people read it: `range table sample`. */
function wordOf(kind: string): string {
  return kind
    .replace(/(?<=[a-z])(?=[A-Z])/g, " ")
    .replace(/_/g, " ")
    .toLowerCase();
}
