/** Fifty samplers over a real PostgreSQL, five of which hang: the other forty-five stay on time. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Postgres, whyNoPostgres } from "../support/servers/postgres.ts";
import type { Shop } from "../unit/sample/sql-shop.ts";
import { openShop, type Played, play, quantile } from "./crowd.ts";

const missing = whyNoPostgres({ own: true });
const all = { sound: 45, forMs: 5_000, shared: false, poolMax: 4 };
const turns = 2;

const p99 = ({ startsMs }: Played): number => quantile(startsMs, 0.99);
const middle = (values: readonly number[]): number => quantile(values, 0.5);

function tell(what: string, played: Played): void {
  const { startsMs, endsMs, cut, failed, missed, due } = played;
  const of = (values: readonly number[]): string => [0.5, 0.99].map((share) => quantile(values, share)).join("/");
  const fate = `${due} slots, ${failed} attempts failed, ${missed} slots missed; ${cut} reads cut`;
  console.log(`${what}: starts p50/p99 ${of(startsMs)} ms late, answers ${of(endsMs)} ms; ${fate}`);
}

describe.skipIf(missing !== null)(`samplers that hang${missing === null ? "" : ` (${missing})`}`, () => {
  let shop: Shop<Postgres>;
  beforeAll(async () => {
    shop = await openShop();
  });
  afterAll(() => shop[Symbol.asyncDispose]());

  test("by a connection of their own: the others notice nothing", { timeout: 240_000 }, async () => {
    const without: Played[] = [];
    const beside: Played[] = [];
    for (let turn = 0; turn < turns; turn += 1) {
      without.push(await play(shop, { ...all, hanging: 0 }));
      beside.push(await play(shop, { ...all, hanging: 5 }));
    }
    for (const played of without) tell("without", played);
    for (const played of beside) tell("beside five that hang", played);
    const [alone, late] = [middle(without.map(p99)), middle(beside.map(p99))];
    console.log(`lateness p99: ${alone} ms without, ${late} ms beside them, ${(late / alone).toFixed(2)} times`);
    for (const { cut } of beside) expect(cut).toBeGreaterThanOrEqual(5);
    expect(middle(beside.map(({ missed }) => missed))).toBe(0);
    // Wide, since others work on this machine too: held up by one that hangs, a slot would be 2 s late.
    expect(late).toBeLessThan(3 * alone + 500);
  });

  // Those that hang take all four places at first; whoever waits in vain for his whole time counts as cut himself.
  test("by the others' connection: it is not given up, and places come free", async () => {
    const played = await play(shop, { ...all, forMs: 8_000, hanging: 5, shared: true });
    tell("beside five on the same four connections", played);
    // Cut and slowed down: they hold a place for 2 s, each time after a longer rest.
    expect(played.cut).toBeGreaterThanOrEqual(5);
    expect(played.cut).toBeLessThan(30);
    expect(played.missed).toBeLessThan(played.due / 2);
  });
});
