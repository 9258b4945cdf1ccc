/** Counts what there is in the file and in each InfluxDB, so that an import need not be taken at its word. */
import type { TimeWindow } from "./core/model.ts";
import type { TimeSeriesStore } from "./core/ports.ts";
import { Problem } from "./core/problem.ts";
import { dayMs, deadline, minuteMs } from "./core/time.ts";
import type { Mirror } from "./store/mirror.ts";

/** What one question spans: halved where that is too much, or takes too long, down to the least. */
const spanMs = { most: dayMs, least: minuteMs };
const askTimeoutMs = 2 * minuteMs;

type Counted = {
  readonly measurement: string;
  readonly fields: readonly string[];
  readonly window: TimeWindow;
};

/** Values of one measurement, as they were sampled. @throws Problem, retryable, if a copy does not answer */
export async function countBoth(
  { file, mirror }: { readonly file: TimeSeriesStore; readonly mirror: Mirror },
  { measurement, fields, window }: Counted,
  signal: AbortSignal,
): Promise<{ file: number; copies: Record<string, number> }> {
  const counts = { file: 0, copies: {} as Record<string, number> };
  const inFile = async (part: TimeWindow): Promise<void> => {
    signal.throwIfAborted();
    const { series } = await file.read({ measurement, fields, windows: [part] });
    counts.file += series.reduce((sum, { timesMs }) => sum + timesMs.length, 0);
  };
  const inCopies = async (part: TimeWindow): Promise<void> => {
    const soon = deadline(askTimeoutMs, signal);
    for (const { name, pieces } of await mirror.summaries(measurement, part, spanMs.most, soon)) {
      const values = pieces.flatMap((piece) => piece.fields).reduce((sum, { count }) => sum + count, 0);
      counts.copies[name] = (counts.copies[name] ?? 0) + values;
    }
  };
  for (let fromMs = window.fromMs; fromMs < window.toMs; fromMs += spanMs.most) {
    const part = { fromMs, toMs: Math.min(window.toMs, fromMs + spanMs.most) };
    await byHalves(part, inFile);
    await byHalves(part, inCopies);
  }
  return counts;
}

async function byHalves(window: TimeWindow, ask: (part: TimeWindow) => Promise<void>): Promise<void> {
  try {
    await ask(window);
  } catch (thrown) {
    const lengthMs = window.toMs - window.fromMs;
    if (!(thrown instanceof Problem) || lengthMs <= spanMs.least) throw thrown;
    const middleMs = window.fromMs + Math.floor(lengthMs / 2);
    await byHalves({ fromMs: window.fromMs, toMs: middleMs }, ask);
    await byHalves({ fromMs: middleMs, toMs: window.toMs }, ask);
  }
}
