/**
 * Samplers that are new and tell nobody yet: which they are, what they would have told, and the word that ends it. When
 * looking began and who ended it are transitions of the sampler in the state, from `shadow` to `live`.
 */
import { randomUUID } from "node:crypto";
import { forecast } from "./alert/shadow.ts";
import { isShadowOf, type Shadowed } from "./alert/shadow-key.ts";
import type { Definitions, Sampler } from "./core/definitions.ts";
import { fingerprint } from "./core/labels.ts";
import type { Noise, ShadowState, Transition } from "./core/model.ts";
import type { Clock, Measure, Measured } from "./core/ports.ts";
import { dayMs, formatTimeUtc, minuteMs } from "./core/time.ts";
import type { IncidentStory } from "./state/alerts.ts";
import type { State } from "./state/database.ts";

/** How far a forecast looks back at most. */
const lookBackMs = 28 * dayMs;
/** Incidents read at once, and how many of one sampler are looked at: those beyond shorten the time that was seen. */
const pageRows = 1_000;
const livesMax = 500;
/** How old a forecast may be before it is made again. */
const freshMs = minuteMs;
/** Ended silences matter too: they held when the shadow would have spoken. */
const silencesMax = 1_000;

export type ShadowDeps = {
  readonly clock: Clock;
  readonly state: State;
  readonly definitions: () => Definitions;
};

type Life = { readonly beganMs: number | null; readonly endedMs: number | null; readonly endedBy: string | null };

/** `over`: it has ended before, by its date or by somebody's word; else the definition has none. */
type Ending = { readonly done: true } | { readonly done: false; readonly over: boolean; readonly reason: string };

export class Shadows implements Measured {
  readonly #deps: ShadowDeps;
  /** Of those that somebody ended, which is for good. */
  readonly #ended = new Map<string, Life>();
  readonly #began = new Set<string>();
  readonly #forecasts = new Map<string, { atMs: number; state: ShadowState }>();

  constructor(deps: ShadowDeps) {
    this.#deps = deps;
  }

  /** Who is in shadow, for one plan. */
  async read(): Promise<Shadowed> {
    const reasons = new Map<string, { endMs: number; reason: string }>();
    const defined = this.#defined();
    const lives = await this.#lives(defined);
    for (const sampler of defined) {
      const { untilMs } = sampler.shadow;
      const { endedMs } = lives.get(keyOf(sampler)) as Life;
      const until = untilMs === null ? "somebody ends it" : formatTimeUtc(untilMs);
      const endMs = Math.min(untilMs ?? Number.POSITIVE_INFINITY, endedMs ?? Number.POSITIVE_INFINITY);
      reasons.set(sampler.name, { endMs, reason: `${sampler.name} is in its shadow period until ${until}` });
    }
    return (name, atMs) => {
      const found = reasons.get(name);
      return found !== undefined && atMs < found.endMs ? found.reason : null;
    };
  }

  /** Writes down that looking at it has begun; once. */
  async begin(sampler: Sampler): Promise<void> {
    const { clock, state } = this.#deps;
    const { shadow } = sampler;
    if (shadow === undefined || (shadow.untilMs ?? Number.POSITIVE_INFINITY) <= clock.nowMs()) return;
    const key = keyOf({ ...sampler, shadow });
    if (this.#began.has(key)) return;
    if ((await state.alerts.transitions(key)).length === 0) {
      await state.alerts.apply({ ...nothing, transitions: [this.#transition(key, null, "shadow", "its first slot")] });
    }
    this.#began.add(key);
  }

  /** Ends it now; what goes on is told within seconds, as new. Who is first ends it, the others hear who was. */
  async end(name: string, by: string): Promise<Ending> {
    const sampler = this.#find(name);
    if (sampler === undefined) {
      return { done: false, over: false, reason: "there is no shadow period to end: it has none" };
    }
    const { endedMs, endedBy } = await this.#life(sampler);
    if (endedMs === null) return (await this.#writeEnd(sampler, by)) ? { done: true } : this.end(name, by);
    const ended = `it ended at ${formatTimeUtc(endedMs)}${endedBy === null ? "" : ` by ${endedBy}`}`;
    return { done: false, over: true, reason: `there is no shadow period to end: ${ended}` };
  }

  /** False: somebody was faster. */
  #writeEnd(sampler: InShadow, by: string): Promise<boolean> {
    const { clock, state } = this.#deps;
    const { name, shadow } = sampler;
    const key = keyOf(sampler);
    const told = { id: randomUUID(), atMs: clock.nowMs(), actor: by, action: "shadow.end", subject: name };
    return state.alerts.apply({
      ...nothing,
      // One id for whoever ends it, and ids are unique.
      transitions: [{ ...this.#transition(key, "shadow", "live", by), id: `${key}-live` }],
      audit: [{ ...told, detail: `shadow: ${shadow.text}` }],
    });
  }

  /** Every sampler whose definition has a shadow period, those whose is over too; by name. */
  async list(): Promise<ShadowState[]> {
    const found: ShadowState[] = [];
    for (const sampler of this.#defined()) found.push(await this.#look(sampler));
    return found;
  }

  /** Null: the definition has none. */
  async of(name: string): Promise<ShadowState | null> {
    const sampler = this.#find(name);
    return sampler === undefined ? null : this.#look(sampler);
  }

  async measures(): Promise<Measure[]> {
    const shadowed = await this.read();
    const nowMs = this.#deps.clock.nowMs();
    const value = this.#defined().filter(({ name }) => shadowed(name, nowMs) !== null).length;
    const help = "Samplers in their shadow period: judged, and nobody is told.";
    return [{ name: "bellwether_samplers_in_shadow", help, kind: "gauge", value }];
  }

  #defined() {
    const all = [...this.#deps.definitions().samplers.values()];
    return all
      .flatMap((sampler) => (sampler.shadow === undefined ? [] : [{ ...sampler, shadow: sampler.shadow }]))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  #find(name: string): InShadow | undefined {
    return this.#defined().find((each) => each.name === name);
  }

  /** By {@link keyOf}; one question for all, since every plan asks. */
  async #lives(samplers: readonly InShadow[]): Promise<ReadonlyMap<string, Life>> {
    const keys = samplers.map(keyOf);
    const open = keys.filter((key) => !this.#ended.has(key));
    const found = open.length === 0 ? [] : await this.#deps.state.alerts.transitions(...open);
    const transitions = Map.groupBy(found, ({ subjectId }) => subjectId);
    const lives = new Map(this.#ended);
    for (const key of open) {
      const own = transitions.get(key) ?? [];
      const ended = own.find(({ to }) => to === "live");
      const beganMs = own.find(({ to }) => to === "shadow")?.atMs ?? null;
      const life = { beganMs, endedMs: ended?.atMs ?? null, endedBy: ended?.reason ?? null };
      lives.set(key, life);
      if (ended !== undefined) this.#ended.set(key, life);
    }
    return lives;
  }

  /** Over by somebody's word, or as its date has come. */
  async #life(sampler: InShadow): Promise<Life> {
    const said = (await this.#lives([sampler])).get(keyOf(sampler)) as Life;
    const { untilMs } = sampler.shadow;
    const dateMs = untilMs !== null && untilMs <= this.#deps.clock.nowMs() ? untilMs : null;
    return { ...said, endedMs: said.endedMs ?? dateMs };
  }

  async #look(sampler: InShadow): Promise<ShadowState> {
    const nowMs = this.#deps.clock.nowMs();
    const key = keyOf(sampler);
    const known = this.#forecasts.get(key);
    const { beganMs, endedMs, endedBy } = await this.#life(sampler);
    const { untilMs } = sampler.shadow;
    const isFresh = known !== undefined && nowMs - known.atMs < freshMs && known.state.endedMs === endedMs;
    if (isFresh) return known.state;
    const toMs = endedMs ?? nowMs;
    const fromMs = Math.max(beganMs ?? toMs, toMs - lookBackMs);
    const state = {
      ...{ sampler: sampler.name, beganMs, untilMs, endedMs, endedBy },
      forecast: await this.#forecast(sampler.name, fromMs, toMs),
    };
    this.#forecasts.set(key, { atMs: nowMs, state });
    return state;
  }

  async #forecast(name: string, fromMs: number, toMs: number): Promise<Noise> {
    const { state, definitions } = this.#deps;
    const lives: IncidentStory[] = [];
    let sinceMs = fromMs;
    let beforeMs = toMs + 1;
    while (beforeMs > sinceMs) {
      const page = await state.alerts.incidents({ limit: pageRows, beforeMs });
      for (const incident of page) {
        if (incident.openedMs < sinceMs || !isShadowOf(incident, name)) continue;
        const story = await state.alerts.incident(incident.id);
        if (story !== null) lives.push(story);
        if (lives.length >= livesMax) sinceMs = incident.openedMs;
      }
      const last = page.at(-1);
      if (last === undefined || page.length < pageRows) break;
      beforeMs = last.openedMs;
    }
    const silences = await state.silences.list({ limit: silencesMax });
    return forecast(name, lives, { definitions: definitions(), silences, nowMs: toMs }, sinceMs);
  }

  #transition(subjectId: string, from: string | null, to: string, reason: string): Transition {
    const atMs = this.#deps.clock.nowMs();
    return { id: randomUUID(), subject: "sampler", subjectId, from, to, atMs, slotMs: null, reason };
  }
}

type InShadow = Sampler & { readonly shadow: NonNullable<Sampler["shadow"]> };

const nothing = { alerts: [], incidents: [], transitions: [], outbox: [], cancel: [], audit: [] } as const;

/** What was ended is one shadow period: with another date the definition begins a new one. */
function keyOf({ name, shadow }: InShadow): string {
  return `shadow-${fingerprint({ sampler: name, shadow: shadow.text })}`;
}
