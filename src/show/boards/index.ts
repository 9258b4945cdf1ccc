/** Everything that Grafana is given, as files. Pure. */
import { boardMark, uidPrefix } from "./board.ts";
import { datasourcesYaml, providerYaml, yamlMark } from "./datasources.ts";
import type { Dashboard } from "./grafana.ts";
import { overviewBoard } from "./overview.ts";
import { type Shown, samplerBoard } from "./sampler.ts";

/** The folder of the boards, within that of the provisioning. */
export const boardsFolder = "dashboards";

/** All boards; the order of samplers does not matter. */
export function boardsOf(samplers: Iterable<Shown>): Dashboard[] {
  const sorted = [...samplers].sort((one, other) => (one.name < other.name ? -1 : 1));
  return [overviewBoard(sorted), ...sorted.map(samplerBoard)];
}

/** Path within the folder of the provisioning -> text. */
export function provisioningFiles(samplers: Iterable<Shown>): ReadonlyMap<string, string> {
  const boards = boardsOf(samplers).map((board): [string, string] => [
    `${boardsFolder}/${board.uid}.json`,
    `${JSON.stringify(board, null, 2)}\n`,
  ]);
  return new Map([
    ["datasources/datasources.yaml", datasourcesYaml()],
    [`${boardsFolder}/provider.yaml`, providerYaml()],
    ...boards,
  ]);
}

/** Whether we made a file, so that it may be written over or, if it is a board, deleted. */
export function isGenerated(path: string, text: string): boolean {
  if (!path.endsWith(".json")) return text.startsWith(yamlMark);
  try {
    const board: unknown = JSON.parse(text);
    if (typeof board !== "object" || board === null || !("tags" in board) || !("uid" in board)) return false;
    return String(board.uid).startsWith(uidPrefix) && Array.isArray(board.tags) && board.tags.includes(boardMark);
  } catch {
    return false;
  }
}
