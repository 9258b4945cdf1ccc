/** Prints what all faults came to, as one table: for `npm run test:faults`. */
import type { TestModule } from "vitest/node";
import { Skips } from "../support/skips.ts";
import type { Row } from "./fault.ts";

const columns = ["points", "lost", "wrong", "invented", "differing"] as const;

export default class Table extends Skips {
  override onTestRunEnd(modules: readonly TestModule[]): void {
    const tests = modules.flatMap((module) => [...module.children.allTests()]);
    const rows = tests.flatMap((test) => test.meta().fault ?? []).sort((a, b) => numberOf(a) - numberOf(b));
    console.log(`\n${[["fault", ...columns, "seen"], ...rows.map(cells)].map((row) => aligned(row)).join("\n")}`);
    const failed = tests.filter((test) => test.result().state === "failed");
    for (const test of failed) console.log(`FAILED  ${test.name}`);
    super.onTestRunEnd(modules);
  }
}

function numberOf({ id }: Row): number {
  return Number(id.replace(/\D/g, ""));
}

function cells(row: Row): string[] {
  const figures = Object.entries(row.figures).map(([name, value]) => `${name} ${value}`);
  return [`${row.id} ${row.title}`, ...columns.map((column) => String(row[column])), figures.join("; ")];
}

function aligned([fault = "", ...rest]: readonly string[]): string {
  const numbers = rest.slice(0, -1).map((cell) => cell.padStart(9));
  return `${fault.padEnd(58)}${numbers.join(" ")}  ${rest.at(-1)}`;
}
