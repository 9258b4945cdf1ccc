/** `backtest SAMPLER --compare OTHER.yaml`: the alerts gained and lost between two definitions. */
import { type Replay, type ReplayOptions, replay } from "../backtest.ts";
import { type Mark, readOnce } from "../backtest-compare.ts";
import { readOther } from "../backtest-other.ts";
import type { Sampler } from "../core/definitions.ts";
import { formatDuration } from "../core/time.ts";
import type { Desk, loadOptions } from "../desk.ts";
import { showCompared } from "./backtest-compare-show.ts";
import { ShareLine } from "./progress.ts";

type Task = Pick<ReplayOptions, "fromMs" | "toMs" | "runner"> & {
  readonly desk: Desk;
  /** How definitions are read, the other version too. */
  readonly load: ReturnType<typeof loadOptions>;
  readonly sampler: Sampler;
  /** The other version: a file, or a config folder. */
  readonly path: string;
  /** @throws Problem if nothing was there to judge, so that no difference says nothing */
  readonly check: (result: Replay) => void;
  readonly json: boolean;
};

/** Incidents that are looked at for what people said of them; the newest. */
const incidentsMax = 10_000;

export async function compareBacktests(task: Task): Promise<void> {
  const { desk, load, sampler, path, fromMs, toMs, runner, check, json } = task;
  const { definitions, log } = desk;
  const other = await readOther(path, sampler, load);
  const marks = await confirmedIn(desk, sampler, fromMs, toMs);
  const progress = new ShareLine();
  const common = { fromMs, toMs, runner: readOnce(runner), log };
  const run = (samplers: readonly Sampler[], by: typeof definitions, done: number): Promise<Replay> => {
    const onProgress = (share: number) => progress.show((done + share) / 2);
    return replay({ ...common, samplers, definitions: by, onProgress });
  };
  try {
    const now = await run([sampler], definitions, 0);
    const then = await run([other.samplers.get(sampler.name) as Sampler], other, 1);
    progress.end();
    const [name, time] = [sampler.name, formatDuration(toMs - fromMs)];
    const title = `${name} in ${time}, as it is now and by ${path}; its rows were read once`;
    const facts = { sampler: name };
    const compared = { title, facts, path, fromMs, toMs, now, other: then, marks, bySeries: false };
    if (!json) check(now);
    showCompared(compared, json);
    if (json) check(now);
  } finally {
    progress.end();
  }
}

/** Alerts of incidents that somebody acknowledged: what people took on was worth telling. */
async function confirmedIn({ state }: Desk, sampler: Sampler, fromMs: number, toMs: number): Promise<Mark[]> {
  const incidents = await state.alerts.incidents({ limit: incidentsMax, beforeMs: toMs });
  const taken = incidents.filter(({ acknowledgedBy, resolvedMs }) => {
    return acknowledgedBy !== null && (resolvedMs === null || resolvedMs > fromMs);
  });
  const stories = await Promise.all(taken.map(({ id }) => state.alerts.incident(id)));
  const alerts = stories.flatMap((story) => story?.alerts ?? []).filter((alert) => alert.sampler === sampler.name);
  return alerts.map(({ series, sinceMs, resolvedMs }) => ({ series, fromMs: sinceMs, toMs: resolvedMs }));
}
