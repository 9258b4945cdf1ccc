/** Asks the API, once or again and again. */
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { deadline, secondMs, systemClock } from "../../core/time.ts";
import type { Api } from "../console/api.ts";

const answerMsMax = 15 * secondMs;

/** A refusal of the API, or a server that does not answer (`status` 0). */
export class ApiError extends Error {
  readonly status: number;
  readonly details: Api["Problem"] | null;

  constructor(status: number, message: string, details: Api["Problem"] | null = null) {
    super(message);
    this.status = status;
    this.details = details;
  }
}

async function ask(
  path: string,
  signal: AbortSignal | undefined,
  init: RequestInit = {},
  timeoutMs = answerMsMax,
): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(`/api/v1${path}`, { ...init, signal: deadline(timeoutMs, signal) });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0, "The server does not answer");
  }
  if (response.ok) return response;
  const details = await response.json().catch(() => null);
  throw new ApiError(response.status, details?.detail ?? `The server answered ${response.status}`, details);
}

/** @param timeoutMs how long the answer may take, ms; default 15 s */
export async function post<Answer>(path: string, body: object, timeoutMs = answerMsMax): Promise<Answer> {
  const headers = { "content-type": "application/json" };
  const init = { method: "POST", headers, body: JSON.stringify(body) };
  const response = await ask(path, undefined, init, timeoutMs);
  return response.status === 204 ? (undefined as Answer) : response.json();
}

export type Polled<Answer> = {
  /** The last answer; kept while the server is gone. Null until the first one. */
  readonly data: Answer | null;
  /** Why the last request failed; null when it did not. */
  readonly error: ApiError | null;
  /** When `data` was last confirmed, by this machine's clock. */
  readonly atMs: number | null;
  readonly reload: () => void;
};

/**
 * Asks for `path` now and every `everyMs`, while the page is visible. The browser sends the ETag of what it has, and
 * an unchanged answer changes nothing on the page. `path` null: asks nothing.
 */
export function usePolled<Answer>(path: string | null, everyMs: number): Polled<Answer> {
  const [state, setState] = useState<Omit<Polled<Answer>, "reload">>({ data: null, error: null, atMs: null });
  const [round, setRound] = useState(0);
  const shown = useRef<{ path: string | null; tag: string | null }>({ path: null, tag: null });
  // `round` is there so that a reload asks anew at once.
  useEffect(() => {
    if (path === null) return;
    const controller = new AbortController();
    const { signal } = controller;
    const once = async () => {
      try {
        const response = await ask(path, signal, { cache: "no-cache" });
        const tag = response.headers.get("etag");
        const same = tag !== null && shown.current.path === path && shown.current.tag === tag;
        const data = same ? null : ((await response.json()) as Answer);
        if (signal.aborted) return;
        shown.current = { path, tag };
        const atMs = systemClock.nowMs();
        setState((before) => ({ data: data ?? before.data, error: null, atMs }));
      } catch (error) {
        if (!signal.aborted) setState((before) => ({ ...before, error: error as ApiError }));
      }
    };
    const run = async () => {
      while (!signal.aborted) {
        await once();
        await systemClock.sleep(everyMs, signal);
        await visible(signal);
      }
    };
    run().catch(() => undefined);
    return () => controller.abort();
  }, [path, everyMs, round]);
  const reload = useCallback(() => setRound((before) => before + 1), []);
  return { ...state, reload };
}

/** Waits until somebody can see the page. */
function visible(signal: AbortSignal): Promise<void> {
  if (!document.hidden) return Promise.resolve();
  return new Promise((resolve) => {
    document.addEventListener("visibilitychange", () => resolve(), { once: true, signal });
  });
}
