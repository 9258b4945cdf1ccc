/** Matchers, selectors and fingerprints: one language for rules, routes, silences, inhibitions and `series`. */
import { createHash } from "node:crypto";
import { RE2JS } from "re2js";
import type { Labels, SeriesId, Tags } from "./model.ts";
import { Problem } from "./problem.ts";

/** `country="Germany"`, `country!="Germany"`, `country=~"Ger.*"`, `country!~"Ger.*"`; patterns match the whole value. */
export type Matcher = {
  readonly label: string;
  readonly operator: "=" | "!=" | "=~" | "!~";
  readonly value: string;
  /** Linear-time regular expression (RE2 syntax); null for the plain operators. */
  readonly pattern: RE2JS | null;
};

const matcherText = /^\s*([A-Za-z_][A-Za-z0-9_]*)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"\s*$/;

/** @throws Problem if the text is not a matcher or its pattern is not in the RE2 syntax */
export function parseMatcher(text: string): Matcher {
  const found = matcherText.exec(text);
  if (found === null) {
    throw new Problem(`not a matcher (got ${JSON.stringify(text)})`, {
      fix: 'write label="value", with one of = != =~ !~',
    });
  }
  const [, label, operator, quoted] = found as unknown as [string, string, Matcher["operator"], string];
  const value = quoted.replace(/\\(["\\])/g, "$1");
  return { label, operator, value, pattern: operator.endsWith("~") ? compilePattern(value) : null };
}

/** @throws Problem RUL-001 if it is not in the RE2 syntax */
export function compilePattern(value: string): RE2JS {
  try {
    return RE2JS.compile(value);
  } catch (cause) {
    throw new Problem(`not a linear regular expression (got ${JSON.stringify(value)})`, {
      code: "RUL-001",
      fix: "use the RE2 syntax: no look-around, no back-references",
      cause,
    });
  }
}

/** Matchers that hold for exactly these values of these tags. */
export function matchersOf(tags: Tags): Matcher[] {
  return Object.entries(tags).map(([label, value]) => ({ label, operator: "=", value, pattern: null }));
}

/** A label that is absent reads as the empty text, as in Alertmanager. */
export function matches(matcher: Matcher, labels: Labels): boolean {
  const actual = labels[matcher.label] ?? "";
  switch (matcher.operator) {
    case "=":
      return actual === matcher.value;
    case "!=":
      return actual !== matcher.value;
    case "=~":
      return (matcher.pattern as RE2JS).matches(actual);
    case "!~":
      return !(matcher.pattern as RE2JS).matches(actual);
  }
}

export function matchesAll(matchers: readonly Matcher[], labels: Labels): boolean {
  return matchers.every((matcher) => matches(matcher, labels));
}

/** `orders{country="Germany"}.amount`; every part but the measurement may be left out. */
export type Selector = {
  readonly measurement: string;
  readonly tags: readonly Matcher[];
  readonly field: string | null;
};

/** @throws Problem if the text is not a selector */
export function parseSelector(text: string): Selector {
  const found = /^([^{}.\s]+)(?:\{(.*)\})?(?:\.([^{}.\s]+))?$/s.exec(text.trim());
  if (found === null) {
    throw new Problem(`not a series selector (got ${JSON.stringify(text)})`, {
      fix: 'write measurement{tag="value"}.field',
    });
  }
  const [, measurement, inside, field] = found;
  const parts = inside?.match(/(?:[^,"]|"(?:[^"\\]|\\.)*")+/g) ?? [];
  return { measurement: measurement as string, tags: parts.map(parseMatcher), field: field ?? null };
}

/** A series as text that {@link parseSelector} reads: `orders{country="Germany"}.amount`. */
export function formatSeries(series: SeriesId): string {
  const tags = tagsKey(series.tags);
  return `${series.measurement}${tags === "" ? "" : `{${tags}}`}.${series.field}`;
}

/** Tags in a fixed order as one text: equal tags, equal text. */
export function tagsKey(tags: Tags): string {
  return Object.keys(tags)
    .sort()
    .map((key) => `${key}=${JSON.stringify(tags[key])}`)
    .join(",");
}

/** 16 hexadecimal digits that are equal for equal labels, whatever their order. */
export function fingerprint(labels: Labels): string {
  return createHash("sha256").update(tagsKey(labels)).digest("hex").slice(0, 16);
}

/** What matchers of rules, silences and campaigns see of a series. */
export function seriesLabels({ name, labels }: { name: string; labels: Labels }, series: SeriesId): Labels {
  return { ...labels, ...series.tags, sampler: name, measurement: series.measurement, field: series.field };
}
