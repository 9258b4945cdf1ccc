import { type Command, Option } from "commander";
import { type Replay, replay, type StoredRows, storedRows } from "../backtest.ts";
import type { Lifecycle, Sampler } from "../core/definitions.ts";
import { Problem } from "../core/problem.ts";
import { formatTimeUtc } from "../core/time.ts";
import { loadOptions } from "../desk.ts";
import { compareBacktests } from "./backtest-compare.ts";
import { compareFiles } from "./backtest-compare-csv.ts";
import { backtestFiles, type Kind } from "./backtest-csv.ts";
import { checkAnswered, show, showJson } from "./backtest-show.ts";
import {
  type CommonOptions,
  checkOrder,
  commonOptions,
  findSampler,
  openDesk,
  settingsOf,
  timeOf,
  usage,
} from "./context.ts";
import { ShareLine } from "./progress.ts";

type Options = CommonOptions & {
  readonly from?: string;
  readonly to?: string;
  readonly stored?: boolean;
  readonly csv?: string;
  readonly out?: string;
  readonly kind?: Kind;
  readonly compare?: string;
  readonly alerts?: boolean;
  readonly pending?: string;
  readonly recover?: string;
};

export function backtestCommand(program: Command): void {
  const command = program
    .command("backtest")
    .description("the whole engine over the past: alerts, people, messages; or over a folder of CSV files")
    .argument("[sampler...]", "names of samplers")
    .option("--from <time>", "ISO 8601 with a zone, or now-7d")
    .option("--to <time>", "end of the time; default: now")
    .option("--stored", "take the stored points instead of asking the source again")
    .option("--csv <dir>", "judge NAME.csv or NAME.csv.gz with timestamp,value (unix seconds) instead")
    .option("--out <dir>", "where NAME.csv with timestamp,anomaly,score goes")
    .addOption(
      new Option("--kind <kind>", "with --csv: what the values are; default: auto").choices(["count", "gauge", "auto"]),
    )
    .option(
      "--compare <path>",
      "another version of the sampler's file, or another config folder: alerts gained and lost; with --csv: a file with judge: in it",
    )
    .option("--alerts", "with --csv: also incidents and messages a week, by the life of alerts")
    .option(
      "--pending <n of m>",
      "with --alerts or --compare: bad rows that fire, of the latest so many; default: 2 of 3",
    )
    .option("--recover <n>", "with --alerts or --compare: good rows in a row that resolve; default: 3")
    .action((samplers: readonly string[], options: Options) =>
      options.csv === undefined ? overSamplers(samplers, options) : overFiles(samplers, options, options.csv),
    );
  commonOptions(command);
}

async function overSamplers(names: readonly string[], options: Options): Promise<void> {
  if (names.length === 0 || options.from === undefined || options.out !== undefined) {
    const what = options.out === undefined ? "a backtest needs samplers and a time" : "--out goes with --csv";
    throw usage(what, { fix: "write backtest SAMPLER --from now-7d, or backtest --csv DIR --out DIR" });
  }
  const fileOnly = (["kind", "alerts", "pending", "recover"] as const).find((name) => options[name] !== undefined);
  if (fileOnly !== undefined) {
    const fix = "leave it out; a sampler says itself how it is judged and its alerts live";
    throw usage("goes with --csv", { where: `--${fileOnly}`, fix });
  }
  if (options.compare !== undefined && new Set(names).size > 1) {
    throw usage("compares one sampler", { where: "--compare", fix: "name one sampler" });
  }
  await using desk = await openDesk(options);
  const samplers = [...new Set(names)].map((name) => findSampler(desk, name));
  const nowMs = desk.clock.nowMs();
  const fromMs = timeOf("--from", options.from, nowMs);
  const toMs = timeOf("--to", options.to ?? "now", nowMs);
  checkOrder(fromMs, toMs, options.to === undefined);
  const stored = options.stored ? storedRows(desk.store, fromMs) : null;
  const runner = stored ?? desk.runner;
  const check = (result: Replay) => {
    if (stored !== null) checkStored(samplers, stored, fromMs, toMs);
    checkAnswered(result);
  };
  if (options.compare !== undefined) {
    const [sampler] = samplers as [(typeof samplers)[number]];
    const { compare: path, json = false } = options;
    const { settings, env } = settingsOf(options);
    const load = loadOptions(settings, env, desk.clock);
    return await compareBacktests({ desk, load, sampler, path, fromMs, toMs, runner, check, json });
  }
  const progress = new ShareLine();
  const onProgress = (share: number) => progress.show(share);
  const { definitions, log } = desk;
  const result = await replay({ samplers, definitions, fromMs, toMs, runner, log, onProgress }).finally(() =>
    progress.end(),
  );
  const isSilent = result.unanswered.length === samplers.length;
  if (options.json) showJson(result, fromMs, toMs);
  if (stored !== null && !isSilent) checkStored(samplers, stored, fromMs, toMs);
  if (!options.json && !isSilent) show(result, fromMs, toMs);
  checkAnswered(result);
}

/**
 * Says of which samplers there was nothing to judge.
 * @throws Problem if that is so of all of them
 */
function checkStored(samplers: readonly Sampler[], { found }: StoredRows, fromMs: number, toMs: number): void {
  const lacking = samplers.filter(({ name }) => !found.has(name)).map(({ name }) => name);
  if (lacking.length === 0) return;
  const time = `from ${formatTimeUtc(fromMs)} to ${formatTimeUtc(toMs)}`;
  if (lacking.length < samplers.length) {
    process.stderr.write(`no points of ${lacking.join(", ")} are stored ${time}\n`);
    return;
  }
  const fix = "give a time that bellwether series shows points of, or leave --stored out";
  throw new Problem(`no points are stored ${time}`, { where: lacking.join(", "), fix });
}

async function overFiles(samplers: readonly string[], options: Options, dir: string): Promise<void> {
  const { out, compare: path, kind = "auto", json = false } = options;
  const samplersOnly = (["from", "to", "stored"] as const).find((name) => options[name] !== undefined);
  if (samplersOnly !== undefined) {
    throw usage("goes with samplers", { where: `--${samplersOnly}`, fix: "leave it out; files are judged whole" });
  }
  if (samplers.length > 0 || (out === undefined) === (path === undefined)) {
    const fix = "write backtest --csv DIR --out DIR, or backtest --csv DIR --compare FILE";
    throw usage("--csv takes no samplers, and needs one of --out and --compare", { fix });
  }
  if (path !== undefined) return await compareFiles({ dir, path, kind, json, lifecycle: lifecycleOf(options) });
  const { alerts, pending, recover } = options;
  const lonely = pending === undefined ? "recover" : "pending";
  if (!alerts && (pending ?? recover) !== undefined) {
    throw usage("goes with --alerts or --compare", { where: `--${lonely}`, fix: "add --alerts" });
  }
  backtestFiles({ dir, out: out as string, kind, json, lifecycle: alerts ? lifecycleOf(options) : null });
}

function lifecycleOf({ pending, recover }: Options): Lifecycle {
  const [, count, of] = /^\s*(\d+)\s+of\s+(\d+)\s*$/.exec(pending ?? "2 of 3") ?? [];
  const [pendingCount, pendingOf] = [Number(count), Number(of)];
  const recoverCount = /^\d+$/.test(recover ?? "3") ? Number(recover ?? 3) : 0;
  if (!(pendingCount >= 1 && pendingCount <= pendingOf && pendingOf <= 100)) {
    throw usage(`wants n of m with 1 <= n <= m <= 100 (got ${JSON.stringify(pending)})`, {
      where: "--pending",
      fix: 'write for example "2 of 3"',
    });
  }
  if (!(recoverCount >= 1 && recoverCount <= 100)) {
    throw usage(`wants a whole number from 1 to 100 (got ${JSON.stringify(recover)})`, {
      where: "--recover",
      fix: "write for example 3",
    });
  }
  return { pendingCount, pendingOf, recoverCount };
}
