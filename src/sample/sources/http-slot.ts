/** The slot's bounds inside a request. Pure. */
import type { TimeWindow } from "../../core/model.ts";
import { formatTimeUtc, secondMs } from "../../core/time.ts";

const placeholder = /\{(slot_start|slot_end)\}/g;

export type TimeForm = "iso" | "epoch-s" | "epoch-ms";
type Texts = { readonly path: string; readonly params: Readonly<Record<string, string>> };
type Bounds = Readonly<Record<"slot_start" | "slot_end", string | number>>;

/** A placeholder that looks meant and is not known: `{slot_begin}`, `${x}`; null if there is none. */
export function strayPlaceholder(text: string): string | null {
  return /\$\{[^}]*\}?|\{slot_\w*\}|:slot_\w+/.exec(text.replace(placeholder, ""))?.[0] ?? null;
}

/** Whether the request tells its slot from another one. */
export function bindsSlot({ path, params, body }: Texts & { readonly body?: unknown }): boolean {
  const texts = [path, ...Object.values(params)];
  return (
    texts.some((text) => text.search(placeholder) >= 0) || /":slot_(?:start|end)"/.test(JSON.stringify(body ?? {}))
  );
}

/** Bounds as the server reads times; seconds are whole. */
export function boundsOf({ fromMs, toMs }: TimeWindow, time: TimeForm): Bounds {
  const form = (timeMs: number): string | number => {
    if (time === "epoch-ms") return timeMs;
    return time === "epoch-s" ? Math.floor(timeMs / secondMs) : formatTimeUtc(timeMs);
  };
  return { slot_start: form(fromMs), slot_end: form(toMs) };
}

/** The URL to ask: what is bound is encoded, so that it cannot become more than a value. */
export function urlOf(base: string, options: Texts, bounds: Bounds): URL {
  const bound = (text: string, encode: (value: string) => string): string =>
    text.replace(placeholder, (_, name: keyof Bounds) => encode(String(bounds[name])));
  const start = new URL(base);
  const url = new URL(start.href.replace(/\/$/, "") + bound(options.path, encodeURIComponent));
  for (const [name, value] of Object.entries(options.params)) {
    url.searchParams.append(
      name,
      bound(value, (text) => text),
    );
  }
  return url;
}

/** The body to POST: texts that are a placeholder as a whole become the bound; numbers stay numbers. */
export function bodyOf(body: unknown, bounds: Bounds): unknown {
  if (body === ":slot_start") return bounds.slot_start;
  if (body === ":slot_end") return bounds.slot_end;
  if (Array.isArray(body)) return body.map((each) => bodyOf(each, bounds));
  if (typeof body !== "object" || body === null) return body;
  return Object.fromEntries(Object.entries(body).map(([key, value]) => [key, bodyOf(value, bounds)]));
}
