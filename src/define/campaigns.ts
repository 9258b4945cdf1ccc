/** What campaigns of a calendar mean, as far as definitions can tell: values of tags are known only to points. Pure. */
import type { Calendar, Campaign, Sampler } from "../core/definitions.ts";
import { type Matcher, matches, parseMatcher } from "../core/labels.ts";

/** What is known of the series of one field of a sampler: labels with their values, tags without. */
type Known = { readonly labels: Readonly<Record<string, string>>; readonly isTag: (label: string) => boolean };

/** A campaign with what it may mean. */
type Meaning = {
  readonly campaign: Campaign;
  readonly matchers: readonly Matcher[];
  readonly fields: ReadonlySet<Known>;
};

/** Words that win over tags of the same name. */
const ownWords = ["sampler", "measurement", "field"];

export type Campaigns = {
  /** Those that overlap none before them. */
  readonly sound: readonly Campaign[];
  /** A later one that overlaps an earlier one, with a sampler that both may mean; null where none is needed to tell. */
  readonly overlaps: readonly { later: Campaign; earlier: Campaign; sampler: string | null }[];
  /** Those that mean nothing that samplers naming the calendar write. */
  readonly meaningless: readonly Campaign[];
};

/** @param samplers those that name the calendar; without any, campaigns are compared as if every series were theirs */
export function lookAtCampaigns({ campaigns }: Calendar, samplers: readonly Sampler[]): Campaigns {
  const known = samplers.length === 0 ? [anything] : samplers.flatMap(knownOf);
  const sound: Meaning[] = [];
  const overlaps: Campaigns["overlaps"][number][] = [];
  const meaningless: Campaign[] = [];
  for (const campaign of campaigns) {
    const matchers = campaign.match.map(parseMatcher);
    const fields = new Set(known.filter((each) => mayMean(matchers, each)));
    if (fields.size === 0) meaningless.push(campaign);
    const meaning = { campaign, matchers, fields };
    const other = sound.find((earlier) => campaign.fromMs < earlier.campaign.toMs && shared(earlier, meaning) !== null);
    if (other === undefined) sound.push(meaning);
    else {
      const sampler = shared(other, meaning)?.labels.sampler ?? null;
      overlaps.push({ later: campaign, earlier: other.campaign, sampler });
    }
  }
  return { sound: sound.map(({ campaign }) => campaign), overlaps, meaningless };
}

const anything: Known = { labels: {}, isTag: () => true };

function knownOf({ name, labels, point }: Sampler): Known[] {
  const isTag = (label: string): boolean => point.tags.includes(label) && !ownWords.includes(label);
  return point.fields.map((field) => ({
    labels: { ...labels, sampler: name, measurement: point.measurement, field },
    isTag,
  }));
}

function mayMean(matchers: readonly Matcher[], { labels, isTag }: Known): boolean {
  return matchers.every((matcher) => isTag(matcher.label) || matches(matcher, labels));
}

/** A field of which one series may be meant by both; null if there is none. */
function shared(a: Meaning, b: Meaning): Known | null {
  const [few, many] = a.fields.size < b.fields.size ? [a.fields, b.fields] : [b.fields, a.fields];
  for (const each of few) {
    if (many.has(each) && !excludes(a, b, each) && !excludes(b, a, each)) return each;
  }
  return null;
}

/** Whether `a` wants a tag to have a value that `b` refuses. */
function excludes(a: Meaning, b: Meaning, { isTag }: Known): boolean {
  return a.matchers.some(({ label, operator, value }) => {
    if (operator !== "=" || !isTag(label)) return false;
    return b.matchers.some((other) => other.label === label && !matches(other, { [label]: value }));
  });
}
