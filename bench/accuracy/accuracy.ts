/**
 * How far the shipped defaults can be trusted: our `backtest --csv` and each peer, one process after the other, over the
 * same labelled series; a scorer that is no part of the project gives the figures.
 * `npm run bench:accuracy -- DIR...`; it takes minutes to an hour and is no part of `npm run bench`.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { formatProblem, Problem } from "../../src/core/problem.ts";
import { stopwatch } from "../../src/core/time.ts";
import { benchFolder } from "../support.ts";
import { copySeries, type Folder, type Options, readOptions } from "./options.ts";
import { type Peer, peers } from "./peers/index.ts";
import { pythonForScorer, withPackage } from "./python.ts";
import { type Row, score, tablesOf } from "./score.ts";
import { readLines } from "./series.ts";

const root = resolve(import.meta.dirname, "../..");
/** Our own row; always there, because the others stand beside it. */
const ours = "bellwether";

/** A detector as a program that judges one folder into another. */
type Detector = { readonly name: string; readonly command: (from: string, to: string) => readonly string[] };

const our: Detector = {
  name: ours,
  command: (from, to) => [process.execPath, join(root, "src/main.ts"), "backtest", "--csv", from, "--out", to],
};

try {
  const names = peers.map(({ name }) => name);
  run(readOptions(process.argv.slice(2), root, { call: "npm run bench:accuracy", what: "peer", names, always: ours }));
} catch (thrown) {
  if (!(thrown instanceof Problem)) throw thrown;
  console.error(formatProblem(thrown));
  process.exit(2);
}

function run({ folders, scorer, only, out }: Options): void {
  const python = pythonForScorer();
  const detectors = [our, ...peers.filter(({ name }) => only.includes(name)).flatMap(detectorOf)];
  const home = out ?? benchFolder();
  for (const folder of folders) {
    const name = basename(resolve(folder.path));
    const labels = copySeries(folder, join(home, name, "series"));
    const points = folder.files.reduce((sum, file) => sum + readLines(join(labels, file)).lines.length, 0);
    console.log(`\n${name}: ${told(folder)}, ${points} points`);
    const rows: Row[] = [];
    for (const detector of detectors) {
      const elapsedMs = stopwatch();
      rows.push(judged(detector, { labels, points, out: join(home, name, detector.name), scorer, python }));
      console.error(`  ${detector.name} (${(elapsedMs() / 1_000).toFixed(0)} s)`);
    }
    console.log(["", ...tablesOf(rows)].join("\n"));
    writeFileSync(join(home, name, "results.json"), `${JSON.stringify(rows, null, 1)}\n`);
  }
  if (out !== undefined) console.log(`\noutputs and results.json of each folder are in ${out}`);
}

/** Every series, or how few of how many: a subset is never silent. */
function told({ files, all }: Folder): string {
  return files.length === all ? `all ${all} series` : `${files.length} of ${all} series, the same for every row`;
}

/** None where its package cannot be had, and it says so. */
function detectorOf(peer: Peer): Detector[] {
  const { name, what } = peer;
  if ("judge" in peer) {
    console.log(`${name}: ${what}`);
    return [{ name, command: (from, to) => [process.execPath, join(import.meta.dirname, "peer.ts"), name, from, to] }];
  }
  const installed = withPackage(peer.pip);
  if ("why" in installed) {
    console.log(`${name}: LEFT OUT, ${peer.pip} could not be installed: ${installed.why}`);
    return [];
  }
  console.log(`${name} ${installed.version}: ${what}`);
  const script = join(import.meta.dirname, "peers/pypi.py");
  return [{ name, command: (from, to) => [installed.python, script, name, from, to] }];
}

type Task = {
  readonly labels: string;
  readonly points: number;
  readonly out: string;
  readonly scorer: string;
  readonly python: string;
};

/** Time is that of the whole process: its start, reading, judging, writing. */
function judged(detector: Detector, { labels, points, out, scorer, python }: Task): Row {
  mkdirSync(out, { recursive: true });
  const [program = "", ...args] = detector.command(labels, out);
  // One thread each, so that times compare.
  const env = { ...process.env, OMP_NUM_THREADS: "1", OPENBLAS_NUM_THREADS: "1", PYTHONDONTWRITEBYTECODE: "1" };
  const elapsedMs = stopwatch();
  const { status, stderr, error } = spawnSync(program, args, { encoding: "utf8", env, maxBuffer: 2 ** 26 });
  const usPerPoint = (elapsedMs() * 1_000) / points;
  if (status !== 0) {
    const said = error?.message ?? stderr.trim().split("\n").at(-1);
    return { name: detector.name, usPerPoint, scores: { why: `it ended with ${status}: ${said}` } };
  }
  return { name: detector.name, usPerPoint, scores: score(scorer, python, { labels, out, json: `${out}.json` }) };
}
