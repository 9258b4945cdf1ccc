/** A process that races another one on the same file or database: for slots, for alerts, for messages. Prints what it won. */
import { once } from "node:events";
import { openState } from "../../../src/state/database.ts";
import { alert, changes, slot } from "../../contracts/state.ts";
import { SimulatedClock } from "../../support/clock.ts";

const [place, owner, count] = process.argv.slice(2) as [string, string, string];
const log = { debug() {}, info() {}, warn() {}, error() {} };
const clock = new SimulatedClock("2026-11-21T09:30:00Z");
const nowMs = clock.nowMs();
await using state = await openState({ ...(place.includes("://") ? { url: place } : { file: place }), clock, log });
process.stdout.write("ready\n");
await once(process.stdin, "data");

const fromMs = Date.now();
const won: Record<"slots" | "alerts" | "items", string[]> = { slots: [], alerts: [], items: [] };
for (let turn = 0; turn < Number(count); turn += 1) {
  const leased = await state.slots.lease(slot(-3, `s${turn}`), owner, nowMs, nowMs + 60_000);
  if (leased !== null) won.slots.push(leased.sampler);
  const after = alert(`${owner} ${turn}`, { fingerprint: `same ${turn}` });
  if (await state.alerts.apply(changes({ alerts: [{ before: null, after }] }))) won.alerts.push(after.fingerprint);
  for (const item of await state.outbox.claim(owner, nowMs, 60_000, 2)) won.items.push(item.id);
}
process.stdout.write(`${JSON.stringify({ ...won, fromMs, toMs: Date.now() })}\n`);
process.stdin.destroy();
