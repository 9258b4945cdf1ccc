/** What changes copies: done here, or by the process that has the spool. */
import { Problem } from "../../core/problem.ts";
import { formatTimeUtc, secondMs, systemClock } from "../../core/time.ts";
import { counted } from "../../core/words.ts";
import { openMirror } from "../../desk.ts";
import type { Api } from "../../show/console/api.ts";
import { comparisonView } from "../../show/console/views.ts";
import type { Mirror } from "../../store/mirror.ts";
import { type CommonOptions, openLog, settingsOf } from "../context.ts";
import { Exit, exitCodes } from "../exit.ts";
import { print, printJson } from "../output.ts";
import { stopSignal } from "../start.ts";
import { checkCopies, checkTarget, type SpanOptions, spanOf } from "./open.ts";
import { Running } from "./running.ts";

type RepairOptions = SpanOptions & { readonly url?: string };
type RequeueOptions = CommonOptions & { readonly target?: string; readonly url?: string };

/** How long what is in the spool may take to reach the copies before this process ends and leaves the rest there. */
const drainMs = 30 * secondMs;

export async function repairReplicas(options: RepairOptions): Promise<void> {
  const { deep = false } = options;
  const window = spanOf(options, systemClock.nowMs());
  const asked = { from: formatTimeUtc(window.fromMs), to: formatTimeUtc(window.toMs), deep };
  const done = await change(options, {
    here: async (mirror, signal) => comparisonView(window, deep, await mirror.repair(window, deep, signal)),
    there: (running, signal) => running.order("repair", asked, signal),
  });
  if (options.json) printJson(done);
  else {
    const { differingWindows, windows, repaired, undecided, undecidedValues } = done;
    const sentence = `${counted(windows, "window")} of five minutes compared, ${differingWindows} differed, ${counted(repaired, "point")} written`;
    print(...undecided, sentence);
    if (undecidedValues > 0)
      print(`${counted(undecidedValues, "value")} left as they are: nothing tells which is right`);
  }
  if (done.undecidedValues > 0) throw new Exit(exitCodes.failed);
}

export async function requeueShelf(options: RequeueOptions): Promise<void> {
  const { settings } = settingsOf(options);
  checkCopies(settings);
  checkTarget(settings, options.target);
  const { target } = options;
  const done = await change<Api["Requeued"]>(options, {
    here: (mirror, signal) => mirror.requeue(target, signal),
    there: (running, signal) => running.order("requeue", { target }, signal),
  });
  if (options.json) printJson(done);
  else print(`${counted(done.taken, "point")} taken, ${done.left} refused again`);
  if (done.left > 0) throw new Exit(exitCodes.failed);
}

/** Does it here if nobody has the spool, else has it done by whoever has it. Ctrl-C breaks it off. */
async function change<Result>(
  options: CommonOptions & { readonly url?: string },
  ways: {
    readonly here: (mirror: Mirror, signal: AbortSignal) => Promise<Result>;
    readonly there: (running: Running, signal: AbortSignal) => Promise<Result>;
  },
): Promise<Result> {
  const { settings } = settingsOf(options);
  checkCopies(settings);
  const stopping = new AbortController();
  void stopSignal().then(() =>
    stopping.abort(new Problem("broken off; what was written until then stays, and is right")),
  );
  let mirror: Mirror;
  try {
    mirror = await openMirror({ settings, clock: systemClock, log: openLog("error") }, false, () => {});
  } catch (thrown) {
    if (!(thrown instanceof Problem) || thrown.code !== "SPL-001") throw thrown;
    return ways.there(await Running.holding(settings, options.url, thrown), stopping.signal);
  }
  await using _ = mirror;
  const result = await ways.here(mirror, stopping.signal);
  // What a copy lacks for longer stays in the spool; the next start carries it.
  await mirror.drain(drainMs).catch(() => {});
  return result;
}
