/** What the sources of one connection share: it lives as long as they do, and belongs to whoever made them. */
import type { Connection } from "../../core/definitions.ts";
import type { Measure, SourceDeps } from "../../core/ports.ts";

/** What a source of one kind of connection is made from. `query` has passed the check of its text. */
export type Asked = {
  readonly connection: Connection;
  readonly query: string;
  readonly rowsMax: number;
};

export interface Shareable extends AsyncDisposable {
  measures(): readonly Measure[];
}

type Entry = { readonly key: string; readonly thing: Shareable; holders: number };

const entriesOf = new WeakMap<SourceDeps, Map<string, Entry>>();

/** A share in a thing; the last one that is given back closes it. */
export class Share<T extends Shareable> {
  readonly #deps: SourceDeps;
  readonly #entry: Entry;

  constructor(deps: SourceDeps, entry: Entry) {
    this.#deps = deps;
    this.#entry = entry;
    entry.holders += 1;
  }

  get thing(): T {
    return this.#entry.thing as T;
  }

  /** One more share, for as long as something is under way. */
  another(): Share<T> {
    return new Share(this.#deps, this.#entry);
  }

  async giveBack(): Promise<void> {
    this.#entry.holders -= 1;
    if (this.#entry.holders > 0) return;
    const entries = entriesOf.get(this.#deps);
    if (entries?.get(this.#entry.key) === this.#entry) entries.delete(this.#entry.key);
    await this.#entry.thing[Symbol.asyncDispose]();
  }
}

/** @param key equal for things that may stand for each other: the connection's name and all of its options */
export function share<T extends Shareable>(deps: SourceDeps, key: string, make: () => T): Share<T> {
  const entries = entriesOf.get(deps) ?? new Map<string, Entry>();
  entriesOf.set(deps, entries);
  const entry = entries.get(key) ?? { key, thing: make(), holders: 0 };
  entries.set(key, entry);
  return new Share<T>(deps, entry);
}

export function sharedMeasures(deps: SourceDeps): Measure[] {
  return [...(entriesOf.get(deps)?.values() ?? [])].flatMap(({ thing }) => [...thing.measures()]);
}
