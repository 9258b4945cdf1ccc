/**
 * Fifty samplers of one second over a real PostgreSQL, of which five hang until they are cut after 2 s: how late the
 * other forty-five are, beside the same forty-five alone, in turns. Through scheduler, ledger, queue, worker and runner.
 */
import { openShop, type Play, type Played, play, quantile } from "../../test/faults/crowd.ts";
import { whyNoPostgres } from "../../test/support/servers/postgres.ts";
import { formatMs, median, printTable } from "../support.ts";

const rounds = 3;
const goal = 1.1;
const sound = { sound: 45, forMs: 15_000, shared: false, poolMax: 4 };
const crowds: Readonly<Record<string, Play>> = {
  alone: { ...sound, hanging: 0 },
  "a connection of their own": { ...sound, hanging: 5 },
  "the same 10 connections": { ...sound, hanging: 5, shared: true, poolMax: 10 },
  "the same 4 connections": { ...sound, hanging: 5, shared: true },
};

const missing = whyNoPostgres({ own: true });
if (missing !== null) {
  console.log(`left out: ${missing}`);
  process.exit();
}

await using shop = await openShop();
const seen = new Map<string, Played[]>(Object.keys(crowds).map((name) => [name, []]));
for (let round = 0; round < rounds; round += 1) {
  for (const [name, crowd] of Object.entries(crowds)) seen.get(name)?.push(await play(shop, crowd));
}

const of = (name: string, key: "startsMs" | "endsMs", share: number): number[] =>
  (seen.get(name) ?? []).map((played) => quantile(played[key], share));
const shown = (name: string, key: "startsMs" | "endsMs"): string =>
  [0.5, 0.99].map((share) => formatMs(median(of(name, key, share)))).join(" / ");

for (const key of ["startsMs", "endsMs"] as const) {
  const what = key === "startsMs" ? "starts" : "answers";
  const rows = Object.keys(crowds).map((name) => {
    const pairs = of(name, key, 0.99).map((ms, round) => ms / (of("alone", key, 0.99)[round] as number));
    const times = median(pairs);
    const lost = (seen.get(name) ?? []).reduce((sum, { failed }) => sum + failed, 0);
    return {
      what: name === "alone" ? "none hangs" : `5 hang, ${name}`,
      measured: `${shown(name, key)}, ${lost} attempts failed`,
      peer: name === "alone" ? "" : shown("alone", key),
      ratio: name === "alone" ? "" : times.toFixed(2),
      goal: name === "alone" ? "" : `p99 <= ${goal} times: ${times <= goal ? "met" : "missed"}`,
    };
  });
  printTable(`How late ${what} of 45 samplers are, p50 / p99 (${rounds} rounds of ${sound.forMs / 1_000} s)`, rows);
}
