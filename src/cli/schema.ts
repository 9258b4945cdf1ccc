import type { Command } from "commander";
import { kinds } from "../app.ts";
import { Problem, Problems } from "../core/problem.ts";
import { jsonSchema, schemaKinds } from "../define/schema.ts";
import { printJson } from "./output.ts";

export function schemaCommand(program: Command): void {
  program
    .command("schema")
    .description("prints the JSON Schema of a kind of definition, for editors")
    .argument("<kind>", schemaKinds.join(" | "))
    .action((kind: string) => {
      if (!schemaKinds.includes(kind)) {
        throw new Problems([new Problem(`unknown kind ${kind}`, { fix: `one of ${schemaKinds.join(", ")}` })]);
      }
      printJson(jsonSchema(kind, kinds));
    });
}
