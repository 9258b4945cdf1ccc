/**
 * The clock and plain arithmetic on time. The only file that may ask the machine what time it is, or wait:
 * `test/layers.test.ts` looks for `Date.now`, `setTimeout` and their like everywhere else.
 * Calendar days and zones live in `zone.ts`, so that a browser need not load them.
 */
import type { Clock } from "./ports.ts";
import { Problem } from "./problem.ts";

export const secondMs = 1_000;
export const minuteMs = 60_000;
export const hourMs = 3_600_000;
/** 24 hours; a calendar day may be shorter or longer, see `zone.ts`. */
export const dayMs = 86_400_000;

/** The longest wait that a timer takes in one piece (2^31 - 1 ms); longer ones are cut into several. */
const timerMsMax = 2_147_483_647;

/** The machine's own clock. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  sleep: sleepReal,
};

/**
 * A clock that stands at `startMs` until it is started, and then runs `speed` times as fast as the machine's (the
 * demo's clock). Sleeps last `1 / speed` of their length, started or not.
 * @param speed simulated milliseconds per real millisecond, > 0
 */
export function acceleratedClock(startMs: number, speed: number): Clock & { start(): void } {
  let bornMs: number | null = null;
  return {
    start: () => {
      bornMs ??= performance.now();
    },
    nowMs: () => (bornMs === null ? startMs : Math.round(startMs + (performance.now() - bornMs) * speed)),
    sleep: (ms, signal) => sleepReal(ms / speed, signal),
  };
}

/** Starts measuring; the function it returns says how many real milliseconds have passed since. Monotonic. */
export function stopwatch(): () => number {
  const bornMs = performance.now();
  return () => performance.now() - bornMs;
}

/** When a {@link deadline} aborts at the latest, on the clock of {@link stopwatch}. */
const endsMs = new WeakMap<AbortSignal, number>();

/** A signal that aborts `timeoutMs` real milliseconds from now, or as soon as `parent` does. */
export function deadline(timeoutMs: number, parent?: AbortSignal): AbortSignal {
  const timeout = AbortSignal.timeout(timeoutMs);
  const signal = parent === undefined ? timeout : AbortSignal.any([parent, timeout]);
  const above = parent === undefined ? undefined : endsMs.get(parent);
  endsMs.set(signal, Math.min(above ?? Number.POSITIVE_INFINITY, performance.now() + timeoutMs));
  return signal;
}

/** Whether the signal aborted because time was up, and not because somebody wants to stop. */
export function timedOut(signal: AbortSignal): boolean {
  return signal.aborted && signal.reason instanceof DOMException && signal.reason.name === "TimeoutError";
}

/** Real milliseconds until a {@link deadline} aborts, >= 0; infinity for a signal that is none. */
export function timeLeftMs(signal: AbortSignal): number {
  return Math.max(0, (endsMs.get(signal) ?? Number.POSITIVE_INFINITY) - performance.now());
}

async function sleepReal(ms: number, signal: AbortSignal): Promise<void> {
  let leftMs = ms;
  do {
    const pieceMs = Math.min(leftMs, timerMsMax);
    await new Promise<void>((resolve, reject) => {
      signal.throwIfAborted();
      const abort = (): void => {
        clearTimeout(timer);
        reject(signal.reason);
      };
      const timer = setTimeout(() => {
        signal.removeEventListener("abort", abort);
        resolve();
      }, pieceMs);
      signal.addEventListener("abort", abort, { once: true });
    });
    leftMs -= pieceMs;
  } while (leftMs > 0);
}

const unitMs: Readonly<Record<string, number>> = {
  ms: 1,
  s: secondMs,
  m: minuteMs,
  h: hourMs,
  d: dayMs,
  w: 7 * dayMs,
};

/**
 * `90s`, `1m`, `1h30m`, `7d` as milliseconds. Units: ms, s, m, h, d (24 hours), w.
 * @returns undefined if the text is not a duration; a number without a unit is not one
 */
export function parseDurationMs(text: string): number | undefined {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|[smhdw])/g)];
  if (parts.length === 0 || parts.map((part) => part[0]).join("") !== text) return undefined;
  const totalMs = parts.reduce((sum, [, count, unit]) => sum + Number(count) * (unitMs[unit as string] as number), 0);
  return Number.isFinite(totalMs) ? Math.round(totalMs) : undefined;
}

/** Milliseconds as people write them, the two largest units at most: `1h30m`, `45s`, `3d`, `250ms`. */
export function formatDuration(ms: number): string {
  if (ms < 0) return `-${formatDuration(-ms)}`;
  if (ms < secondMs) return `${Math.round(ms)}ms`;
  const units: [string, number][] = [
    ["d", dayMs],
    ["h", hourMs],
    ["m", minuteMs],
    ["s", secondMs],
  ];
  let restMs = Math.round(ms / secondMs) * secondMs;
  const parts: string[] = [];
  for (const [unit, sizeMs] of units) {
    const count = Math.floor(restMs / sizeMs);
    restMs -= count * sizeMs;
    if (count > 0) parts.push(`${count}${unit}`);
    else if (parts.length > 0) break;
    if (parts.length === 2) break;
  }
  return parts.join("");
}

/**
 * A moment written by a person: ISO 8601 with a zone (`2026-11-21T09:30:00Z`, `...+08:00`), `now`, or `now-2h`.
 * @throws Problem if the text is neither, or has no zone
 */
export function parseTimeMs(text: string, nowMs: number): number {
  const relative = /^now(?:([+-])(.+))?$/.exec(text);
  if (relative) {
    const [, sign, duration] = relative;
    if (duration === undefined) return nowMs;
    const offsetMs = parseDurationMs(duration);
    if (offsetMs !== undefined) return sign === "-" ? nowMs - offsetMs : nowMs + offsetMs;
  } else if (/^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)$/.test(text)) {
    const timeMs = Date.parse(text);
    if (Number.isFinite(timeMs)) return timeMs;
  }
  throw new Problem(`not a time (got ${JSON.stringify(text)})`, {
    fix: "write ISO 8601 with a zone, 2026-11-21T09:30:00Z, or a time before now, now-2h",
  });
}

/** ISO 8601 in UTC, without milliseconds where they are zero. */
export function formatTimeUtc(timeMs: number): string {
  return new Date(timeMs).toISOString().replace(".000Z", "Z");
}

/** The start of the slot of length `stepMs` that holds `timeMs`; slots are aligned to the epoch, in UTC. */
export function floorToStep(timeMs: number, stepMs: number): number {
  return Math.floor(timeMs / stepMs) * stepMs;
}
