/** A peer as a process: `peer.ts NAME IN OUT` writes `timestamp,anomaly,score` for each series of a folder. */
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { peers } from "./peers/index.ts";
import { readGrid, seriesOf } from "./series.ts";

const [name, from = "", to = ""] = process.argv.slice(2);
const peer = peers.find((one) => one.name === name);
if (peer === undefined || !("judge" in peer)) throw new Error(`no peer is called ${name}`);
for (const file of readdirSync(from).sort()) {
  const series = seriesOf(file);
  if (series === undefined) continue;
  const grid = readGrid(join(from, file));
  const scores = peer.judge(grid);
  const lines = grid.rows.map(({ timeS, cell }) => {
    const score = Number((scores[cell] as number).toPrecision(6));
    return `${timeS},${score >= 1 ? 1 : 0},${score}`;
  });
  writeFileSync(join(to, `${series}.csv`), ["timestamp,anomaly,score", ...lines, ""].join("\n"));
}
