/** Things that several holders share: made with the first, closed with the last. */
import type { Measure } from "./ports.ts";

export interface Shareable extends AsyncDisposable {
  measures(): readonly Measure[];
}

/** Holders of one owner whose keys are equal share one thing. */
export class Shares<T extends Shareable> {
  readonly #entriesOf = new WeakMap<object, Map<string, Entry<T>>>();

  /**
   * @param owner what is shared belongs to it, and is not shared with others
   * @param key equal for things that may stand for each other
   */
  share(owner: object, key: string, make: () => T): Share<T> {
    const entries = this.#entriesOf.get(owner) ?? new Map<string, Entry<T>>();
    this.#entriesOf.set(owner, entries);
    const entry = entries.get(key) ?? { thing: make(), holders: 0, forget: () => entries.delete(key) };
    entries.set(key, entry);
    return new Share(entry);
  }

  /** Of everything that the owner's holders share now. */
  measures(owner: object): Measure[] {
    return [...(this.#entriesOf.get(owner)?.values() ?? [])].flatMap(({ thing }) => [...thing.measures()]);
  }
}

type Entry<T> = { readonly thing: T; holders: number; readonly forget: () => void };

/** A share in a thing; the last one that is given back closes it. */
export class Share<T extends AsyncDisposable> {
  readonly #entry: Entry<T>;

  constructor(entry: Entry<T>) {
    this.#entry = entry;
    entry.holders += 1;
  }

  get thing(): T {
    return this.#entry.thing;
  }

  /** One more share, for as long as something is under way. */
  another(): Share<T> {
    return new Share(this.#entry);
  }

  async giveBack(): Promise<void> {
    this.#entry.holders -= 1;
    if (this.#entry.holders > 0) return;
    this.#entry.forget();
    await this.#entry.thing[Symbol.asyncDispose]();
  }
}
