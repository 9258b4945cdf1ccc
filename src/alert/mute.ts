/** The one mute question, "is this label set muted, and why?", and what a silence must be to be accepted. */
import { type Matcher, matchesAll, parseMatcher } from "../core/labels.ts";
import type { Labels, Silence } from "../core/model.ts";
import { messageOf, Problem, Problems } from "../core/problem.ts";
import { dayMs, formatTimeUtc } from "../core/time.ts";

/** The longest that one silence may last. */
const silenceMsMax = 30 * dayMs;

/** Answers why these labels were muted at that time; null: they were not. */
export type Muter = (labels: Labels, atMs: number) => string | null;

/** @param silences those that may matter, ended ones too: the question may be about the past */
export function muter(silences: readonly Silence[]): Muter {
  const ready = silences.map((silence) => ({ silence, matchers: readMatchers(silence) }));
  return (labels, atMs) => {
    const found = ready.find(
      ({ silence, matchers }) =>
        matchers !== null && silence.startsMs <= atMs && atMs < silence.endsMs && matchesAll(matchers, labels),
    );
    return found === undefined ? null : muteReason(found.silence);
  };
}

/** All silences that held for these labels at that time, as sentences. */
export function mutesAt(silences: readonly Silence[], labels: Labels, atMs: number): string[] {
  return silences.filter((silence) => muter([silence])(labels, atMs) !== null).map(muteReason);
}

function muteReason(silence: Silence): string {
  return `silenced by ${silence.author} until ${formatTimeUtc(silence.endsMs)}: ${silence.reason}`;
}

/** Null for a silence whose matchers cannot be read, or that has none: it mutes nothing, rather than everything. */
function readMatchers(silence: Silence): Matcher[] | null {
  try {
    return silence.matchers.length === 0 ? null : silence.matchers.map(parseMatcher);
  } catch {
    return null;
  }
}

/** @throws Problems (SIL-001) with every fault of a silence that is about to be added */
export function checkSilence(silence: Silence): void {
  const faults: [boolean, string, string][] = [
    [silence.matchers.length === 0, "a silence without matchers", 'name what to silence, country="Germany"'],
    [silence.reason.trim() === "", "a silence without a reason", "say why, for those who will ask"],
    [silence.author.trim() === "", "a silence without an author", "say who asks for it"],
    [!(silence.endsMs > silence.startsMs), "a silence that ends before it starts", "give an end after its start"],
    [silence.endsMs - silence.startsMs > silenceMsMax, "a silence of more than 30 days", "give an earlier end"],
  ];
  const problems = faults
    .filter(([wrong]) => wrong)
    .map(([, what, fix]) => new Problem(what, { code: "SIL-001", fix }));
  for (const text of silence.matchers) {
    try {
      parseMatcher(text);
    } catch (thrown) {
      problems.push(thrown instanceof Problem ? thrown : new Problem(messageOf(thrown), { code: "SIL-001" }));
    }
  }
  if (problems.length > 0) throw new Problems(problems);
}
