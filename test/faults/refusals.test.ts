/** Servers that answer, and say no. */
import { setTimeout as sleep } from "node:timers/promises";
import { minuteMs } from "../../src/core/time.ts";
import { type Fault, long, must, playFaults } from "./fault.ts";
import { database, measurement } from "./load.ts";
import type { Rig } from "./rig.ts";

const admin = { name: "root", password: "of all" };
const writer = { name: "writer", password: "of points" };
const outageMs = long ? 60_000 : 2_000;
const userOfB = { user: writer.name, password: writer.password };

/** B lets in nobody without a password; the store's user may do what it needs for the set-up. */
const guarded = {
  b: { admin, databases: [database], users: [{ ...writer, rights: { [database]: "all" } }] },
  load: { userOfB },
} as const;

/** What the writer may do is taken away and given back. */
function rights(title: string, code: number, take: (rig: Rig) => unknown, give: (rig: Rig) => unknown): Fault {
  return {
    id: "X14",
    title,
    options: guarded,
    play: async (rig) => {
      rig.generate();
      await sleep(1_000);
      await take(rig);
      await rig.until("the lane is parked", () => rig.lane("b").state === "parked");
      const { reason } = rig.lane("b");
      must(reason?.includes(`HTTP ${code}`) === true, "why it is parked", reason);
      await sleep(outageMs);
      rig.jump(31_000);
      const told = rig.mirror.conditions().find(({ kind }) => kind === "replica-parked");
      must(told?.subject === "b" && told.reason.includes(reason ?? ""), "what people are told", told);
      must(rig.lane("a").state !== "parked", "A is parked too");
      await give(rig);
      const takesMs = await rig.until("it takes points", () => rig.lane("b").state !== "parked", 5_000);
      await rig.caughtUp("b");
      return { "taken again after, ms": Math.round(takesMs) };
    },
  };
}

playFaults("copies that refuse", [
  {
    id: "X11",
    title: "a retention policy of B is dropped",
    options: { load: { pace: { pulseMs: 4_000 } } },
    play: async (rig) => {
      const bucket = "bellwether_10m";
      rig.generate();
      await sleep(1_000);
      await rig.b.query(`drop retention policy ${bucket} on ${database}`);
      const timeMs = Math.floor(Date.now() / minuteMs / 10) * 10 * minuteMs;
      await rig.mirror.appendCoarser(bucket, [{ measurement: "sums", tags: {}, fields: { sum_n: 7 }, timeMs }]);
      await rig.until("that lane is parked", () => rig.lane("b", bucket).state === "parked");
      const { reason } = rig.lane("b", bucket);
      let lagMs = 0;
      const healedMs = await rig.until("it goes on", () => {
        lagMs = Math.max(lagMs, rig.status("b").lagMs);
        must(rig.lane("b").state !== "parked", "the lane of raw points is parked too");
        return rig.lane("b", bucket).state === "idle";
      });
      must(/retention policy not found/.test(reason ?? ""), "why it was parked", reason);
      must(lagMs <= 1_000, "raw points were late, ms", lagMs);
      const { results } = await rig.b.query(`select sum_n from ${bucket}.sums`, database);
      must(results[0]?.series?.[0]?.values[0]?.[1] === 7, "what B stores of it", results);
      return { "raw lag, ms": lagMs, "healed after, ms": Math.round(healedMs) };
    },
  },
  {
    id: "X12",
    title: "one point of 5,000 that B does not take",
    options: { load: { series: 4_999, tickMs: 1_000 } },
    play: async (rig) => {
      // B alone has a text where a number will come: in one series, which the servers know by its field.
      await rig.b.write(database, `odd,s=x v="text" ${Date.now()}`);
      const before = rig.requests("b");
      const timeMs = Math.floor(Date.now() / 1_000) * 1_000;
      await rig.tick(timeMs, "medium", [{ measurement: "odd", tags: { s: "y" }, fields: { v: 1 }, timeMs }]);
      await rig.caughtUp("b");
      const shelf = rig.mirror.shelf({ limit: 10 });
      const [entry] = shelf;
      must(shelf.length === 1 && entry?.target === "b", "on the shelf", shelf);
      must(/field type conflict/.test(entry?.reason ?? ""), "why", entry);
      const stored = (await rig.stored(rig.b)).size;
      must(stored === 4_999, "good ones that B stores", stored);
      return { "extra requests": rig.requests("b") - before - 1, "stored on B": stored };
    },
    leaves: { shelved: true },
  },
  {
    id: "X13",
    title: "a field is a float in A and an integer in B",
    play: async (rig) => {
      await rig.burst(2);
      await rig.caughtUp("b");
      await rig.stop();
      await rig.b.query(`drop measurement ${measurement}`, database);
      await rig.b.write(database, `${measurement},s=s0 n=1i ${Date.now()}`);
      await rig.start();
      const fault = rig.status("b").faults.find((each) => each.includes('"n"'));
      must(fault?.includes(measurement) === true && fault.includes(" b "), "its set-up", rig.status("b").faults);
      await rig.burst(6);
      await Promise.all([rig.caughtUp("a"), rig.caughtUp("b")]);
      const shelf = rig.mirror.shelf({ limit: 100_000 });
      const names = shelf.every(
        ({ target, reason }) => target === "b" && /"n".*"load".*type float.*type integer/.test(reason),
      );
      must(shelf.length === 6 * rig.load.series && names, "on the shelf", [shelf.length, shelf[0]]);
      const told = rig.mirror.conditions().map(({ kind, subject }) => `${kind} ${subject}`);
      must(told.includes("shelf-grows b") && told.includes("replica-set-up b"), "what people are told", told);
      const onA = await rig.compare(rig.a);
      must(onA.lost + onA.wrong === 0, "A lacks points", onA);
      await rig.b.query(`drop measurement ${measurement}`, database);
      const started = Date.now();
      const { taken, left } = await rig.mirror.requeue("b", AbortSignal.timeout(60_000));
      must(taken === shelf.length && left === 0, "requeued", { taken, left });
      return { shelved: shelf.length, "requeued in, ms": Date.now() - started };
    },
  },
  {
    id: "X14",
    title: "B takes bodies of 1,000 bytes only",
    play: async (rig) => {
      rig.generate();
      await sleep(1_000);
      await rig.b.kill();
      await rig.b.start({ "http.max-body-size": 1_000 });
      const { failures } = rig.lane("b");
      await sleep(outageMs);
      await rig.rest();
      const refused = rig.lane("b").failures - failures;
      must(refused > 0, "bodies that were too large", refused);
      await rig.caughtUp("b", 60_000);
      return { "too large": refused, requests: rig.requests("b") };
    },
  },
  rights(
    "B no longer knows our password",
    401,
    (rig) => rig.b.query(`set password for ${writer.name} = 'another'`),
    (rig) => rig.b.query(`set password for ${writer.name} = '${writer.password}'`),
  ),
  rights(
    "B no longer lets us write",
    403,
    (rig) => rig.b.query(`revoke all on ${database} from ${writer.name}`),
    (rig) => rig.b.query(`grant all on ${database} to ${writer.name}`),
  ),
]);
