/** What the sources of one connection share: it lives as long as they do, and belongs to whoever made them. */
import type { Measure, SourceDeps } from "../../core/ports.ts";
import type { HttpClient } from "./http-client.ts";

type Entry = { readonly key: string; readonly client: HttpClient; holders: number };

const entriesOf = new WeakMap<SourceDeps, Map<string, Entry>>();

/** A share in a client; the last one that is given back closes it. */
export class ClientShare {
  readonly #deps: SourceDeps;
  readonly #entry: Entry;

  constructor(deps: SourceDeps, entry: Entry) {
    this.#deps = deps;
    this.#entry = entry;
    entry.holders += 1;
  }

  get client(): HttpClient {
    return this.#entry.client;
  }

  /** One more share, for as long as something is under way. */
  another(): ClientShare {
    return new ClientShare(this.#deps, this.#entry);
  }

  async giveBack(): Promise<void> {
    this.#entry.holders -= 1;
    if (this.#entry.holders > 0) return;
    const entries = entriesOf.get(this.#deps);
    if (entries?.get(this.#entry.key) === this.#entry) entries.delete(this.#entry.key);
    await this.#entry.client[Symbol.asyncDispose]();
  }
}

/** @param key equal for clients that may stand for each other: the connection's name and all of its options */
export function shareClient(deps: SourceDeps, key: string, make: () => HttpClient): ClientShare {
  const entries = entriesOf.get(deps) ?? new Map<string, Entry>();
  entriesOf.set(deps, entries);
  const entry = entries.get(key) ?? { key, client: make(), holders: 0 };
  entries.set(key, entry);
  return new ClientShare(deps, entry);
}

export function clientMeasures(deps: SourceDeps): Measure[] {
  return [...(entriesOf.get(deps)?.values() ?? [])].flatMap(({ client }) => client.measures());
}
