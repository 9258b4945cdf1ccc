/** The judge with one part replaced: a copy of the source that is changed and then loaded. */
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { Problem } from "../../src/core/problem.ts";
import type { Part, Replacement } from "./parts.ts";

/** What a copy of the source offers, as the source itself does. */
export type Judging = typeof import("../../src/judge/backtest.ts");

/** Copies what judging is made of, so that the source may change while the copies are judged with. */
export function copyOfSource(from: string, to: string): string {
  mkdirSync(to, { recursive: true });
  for (const folder of ["core", "judge"])
    cpSync(join(from, "src", folder), join(to, "src", folder), { recursive: true });
  cpSync(join(from, "package.json"), join(to, "package.json"));
  symlinkSync(join(from, "node_modules"), join(to, "node_modules"), "dir");
  return to;
}

/**
 * Every replacement of every part is tried before anything is judged.
 * @throws Problem if a text is there never, or more than once
 */
export function checkParts(source: string, parts: readonly Part[]): void {
  for (const { name, replacements } of parts) {
    for (const replacement of replacements) replaced(join(source, "src/judge", replacement.file), name, replacement);
  }
}

/** @param source a folder that {@link copyOfSource} made */
export async function variantOf(source: string, to: string, { name, replacements }: Part): Promise<Judging> {
  mkdirSync(to, { recursive: true });
  for (const each of ["src", "package.json"]) cpSync(join(source, each), join(to, each), { recursive: true });
  symlinkSync(join(source, "node_modules"), join(to, "node_modules"), "dir");
  for (const replacement of replacements) {
    const path = join(to, "src/judge", replacement.file);
    writeFileSync(path, replaced(path, name, replacement));
  }
  return import(pathToFileURL(join(to, "src/judge/backtest.ts")).href);
}

/** The text of the file with the replacement in it. */
function replaced(path: string, part: string, { file, from, to }: Replacement): string {
  const text = readFileSync(path, "utf8");
  const found = text.split(from);
  if (found.length === 2) return found.join(to);
  throw new Problem(`"${part}" replaces what is there ${found.length - 1} times: ${from}`, {
    where: `src/judge/${file}`,
    fix: "write the part in bench/accuracy/parts.ts anew, or take it out if the judge has it no more",
  });
}
