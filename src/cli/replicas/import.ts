import { existsSync } from "node:fs";
import { join } from "node:path";
import { Problem } from "../../core/problem.ts";
import { formatTimeUtc, systemClock } from "../../core/time.ts";
import { counted } from "../../core/words.ts";
import { openMirror } from "../../desk.ts";
import { type ImportResult, importSeries } from "../../importing.ts";
import { stores } from "../../store/stores/index.ts";
import { type CommonOptions, checkOrder, openLog, settingsOf, timeOf } from "../context.ts";
import { Exit, exitCodes } from "../exit.ts";
import { print, printJson, table, timeText } from "../output.ts";
import { ProgressBar, ShareLine } from "../progress.ts";
import { stopSignal } from "../start.ts";
import { checkCopies } from "./open.ts";

type Options = CommonOptions & { readonly back?: boolean; readonly from?: string; readonly to?: string };

/** Values that one read of the file returns at most: with more, an hour or less is asked for. */
const fileValuesMax = 200_000;

export async function importReplicas(options: Options): Promise<void> {
  const { settings } = settingsOf(options);
  checkCopies(settings);
  const { back = false } = options;
  const nowMs = systemClock.nowMs();
  const fromMs = options.from === undefined ? undefined : timeOf("--from", options.from, nowMs);
  const toMs = options.to === undefined ? undefined : timeOf("--to", options.to, nowMs);
  if (fromMs !== undefined && toMs !== undefined) checkOrder(fromMs, toMs);
  const stopping = new AbortController();
  void stopSignal().then(() => stopping.abort(new Problem("broken off; run it again, and it goes on here")));
  const path = join(settings.dataDir, "series.db");
  if (!back && !existsSync(path)) {
    throw new Problem("there are no series to import", { where: path, fix: "name its folder with --data" });
  }
  const log = openLog("error");
  // Both are opened for writing, so no Bellwether runs here meanwhile, in whichever shape. What is read is opened
  // first: where it is refused, nothing has been made at the other place.
  await using held = new AsyncDisposableStack();
  const openCopies = async () => held.use(await openMirror({ settings, clock: systemClock, log }, false, () => {}));
  const openFile = () =>
    held.use(stores.sqlite.create({ file: path, valuesMax: fileValuesMax }, { clock: systemClock, log }));
  const early = back ? await openCopies() : null;
  const file = openFile();
  const mirror = early ?? (await openCopies());
  const { keepRawMs, keepPointsMs: keepMs, dataDir } = settings;
  const progressFile = join(dataDir, "import.json");
  const bar = options.json ? new ShareLine() : new ProgressBar(back ? "Bringing points back" : "Importing points");
  const result = await importSeries(
    { back, fromMs, toMs, keepRawMs, keepMs, progressFile },
    { file, mirror, clock: systemClock, timer: systemClock, onProgress: (share) => bar.show(share) },
    stopping.signal,
  );
  const faults = faultsOf(result);
  if (bar instanceof ShareLine) {
    bar.end();
    const { rawFromMs, ...facts } = result;
    printJson({ ...facts, rawFrom: rawFromMs === null ? null : formatTimeUtc(rawFromMs), faults });
  } else {
    const values = result.measurements.reduce((sum, { read }) => sum + read, 0);
    bar.end(result.before ? `nothing new, ${counted(values, "value")} before` : counted(values, "value"));
    print(...summary(result), ...(faults.length === 0 ? ["all of it is there"] : faults));
  }
  if (faults.length > 0) throw new Exit(exitCodes.failed);
}

/** What is not as it should be at the end, a sentence each. */
function faultsOf({ back, measurements, staleSpans }: ImportResult): string[] {
  const faults: string[] = [];
  for (const { measurement, file, copies, refused } of measurements) {
    const source = back ? Math.max(0, ...Object.values(copies)) : file;
    for (const [place, values] of back ? [["series.db", file] as const] : Object.entries(copies)) {
      const lacking = source - refused - values;
      if (lacking > 0) faults.push(`${place} lacks ${counted(lacking, "value")} of ${measurement}`);
    }
  }
  if (staleSpans > 0) {
    faults.push(
      `${staleSpans} stretches of time could only be read from a copy that may lack points: bellwether replicas status`,
    );
  }
  return faults;
}

function summary({ rawFromMs, measurements, refused }: ImportResult): string[] {
  const names = Object.keys(measurements[0]?.copies ?? {});
  const header = ["measurement", "values", "as sampled", "summed up", "no sum", "too old", "left out"];
  const rows = measurements.map(({ measurement, read, raw, summed, unsummed, tooOld, refused: left, file, copies }) => {
    return [measurement, read, raw, summed, unsummed, tooOld, left, file, ...names.map((name) => copies[name] ?? 0)];
  });
  const lines = table([...header, "in series.db", ...names.map((name) => `in ${name}`)], rows);
  for (const [what, values] of Object.entries(refused)) lines.push(`${counted(values, "value")} left out: ${what}`);
  const all = measurements.every(({ read, raw, refused: left }) => read === raw + left);
  if (rawFromMs === null || all) return lines;
  const bound = `the InfluxDBs keep points as they were sampled from ${timeText(rawFromMs)} on (BELLWETHER_KEEP_RAW)`;
  return [...lines, `${bound}: earlier ones go as sums and means, and the last columns count from there on`];
}
