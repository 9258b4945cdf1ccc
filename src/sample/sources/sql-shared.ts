/** What the sources of one connection share: it lives as long as they do, and belongs to whoever made them. */
import type { Connection } from "../../core/definitions.ts";
import type { Measure, SourceDeps } from "../../core/ports.ts";
import { type Share, type Shareable, Shares } from "../../core/shares.ts";

/** What a source of one kind of connection is made from. `query` has passed the check of its text. */
export type Asked = {
  readonly connection: Connection;
  readonly query: string;
  readonly rowsMax: number;
};

const things = new Shares<Shareable>();

/** @param key equal for things that may stand for each other: the connection's name and all of its options */
export function share<T extends Shareable>(deps: SourceDeps, key: string, make: () => T): Share<T> {
  return things.share(deps, key, make) as Share<T>;
}

export function sharedMeasures(deps: SourceDeps): Measure[] {
  return things.measures(deps);
}
