import type { Command } from "commander";
import { jsonSchema, schemaKinds } from "../define/schema.ts";
import { kinds } from "../desk.ts";
import { usage } from "./context.ts";
import { printJson } from "./output.ts";

export function schemaCommand(program: Command): void {
  program
    .command("schema")
    .description("prints the JSON Schema of a kind of definition, for editors")
    .argument("<kind>", schemaKinds.join(" | "))
    .action((kind: string) => {
      if (!schemaKinds.includes(kind)) {
        throw usage(`there is no kind ${JSON.stringify(kind)}`, { fix: `one of ${schemaKinds.join(", ")}` });
      }
      printJson(jsonSchema(kind, kinds));
    });
}
