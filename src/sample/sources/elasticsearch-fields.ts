/** Whether the fields that a search names are there: what is not would read as zero. Pure. */
import { Problem } from "../../core/problem.ts";
import { isMap, type JsonMap } from "./elasticsearch-queries.ts";

export type Fields = {
  /** The field that tells a document's time; null where the body says so itself. */
  readonly time: string | null;
  readonly searched: readonly string[];
  readonly aggregated: readonly string[];
};

/** Names that stand for one field each: a pattern is not looked up. */
export function namesOf({ time, searched, aggregated }: Fields): string[] {
  const all = new Set([...(time === null ? [] : [time]), ...searched, ...aggregated]);
  return [...all].filter((name) => !name.includes("*"));
}

/** @param answer of `_field_caps`, with the types that each field has in the indices */
export function fieldProblems(fields: Fields, answer: JsonMap, index: string, where: string): Problem[] {
  const found = isMap(answer.fields) ? answer.fields : {};
  return namesOf(fields).flatMap((name) => {
    const types = isMap(found[name]) ? (found[name] as JsonMap) : {};
    const kinds = Object.keys(types).filter((type) => type !== "unmapped");
    const problem = (code: string, what: string, fix: string): Problem[] => [new Problem(what, { code, where, fix })];
    if (name === fields.time) {
      if (kinds.length === 0) {
        return problem(
          "ELS-012",
          `no index of ${index} has the field ${name}`,
          "name the field of a document's time as time",
        );
      }
      if (kinds.every((kind) => kind === "date" || kind === "date_nanos")) return [];
      return problem(
        "ELS-012",
        `${name} is ${kinds.join(", ")} in ${index}, and no date`,
        "name a field of type date as time",
      );
    }
    if (kinds.length === 0) {
      return problem(
        "ELS-013",
        `unknown field ${name} in ${index}`,
        "name a field that the index has; without it all would be 0",
      );
    }
    const grouped = fields.aggregated.includes(name);
    if (!grouped || kinds.some((kind) => isMap(types[kind]) && (types[kind] as JsonMap).aggregatable === true))
      return [];
    const fix = `use a field of type keyword, often ${name}.keyword`;
    return problem("ELS-014", `${name} is ${kinds.join(", ")} in ${index}, which cannot be grouped or summed up`, fix);
  });
}
