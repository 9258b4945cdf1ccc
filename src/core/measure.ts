/** Numbers about ourselves by their short names: `bellwether_` goes before them, `_total` behind a counter's. */
import type { Measure } from "./ports.ts";

export function counter(name: string, help: string, value: number, labels?: Measure["labels"]): Measure {
  return { name: `bellwether_${name}_total`, help, kind: "counter", value, labels };
}

export function gauge(name: string, help: string, value: number, labels?: Measure["labels"]): Measure {
  return { name: `bellwether_${name}`, help, kind: "gauge", value, labels };
}
