import { describe, expect, test } from "vitest";
import type { Point } from "../../src/core/model.ts";
import { floorToStep, hourMs, minuteMs } from "../../src/core/time.ts";
import { influxd, whyMissing } from "../support/debian.ts";
import type { Influx } from "../support/servers/influx.ts";
import { Rig } from "./rig.ts";

/**
 * Coarser buckets of what came too late for the servers to sum it by themselves, and of what comes to servers that sum
 * nothing by themselves. Expected are sums and means reckoned from what was written.
 */
const missing = whyMissing(influxd);
const database = "faults";

describe.skipIf(missing !== null)(`coarser buckets${missing === null ? "" : ` (${missing})`}`, () => {
  test.each([
    ["servers with continuous queries", {}],
    ["servers without", { "continuous_queries.enabled": false }],
  ])("%s: sums and means of ten minutes and of an hour, on both", async (_, overrides) => {
    await using rig = await Rig.open({ a: { overrides }, b: { overrides } });
    const fromMs = floorToStep(Date.now() - 5 * hourMs, hourMs);
    const points: Point[] = Array.from({ length: 180 }, (_, minute) =>
      ["x", "y"].map((s, series) => ({
        measurement: "orders",
        tags: { s },
        fields: { n: minute * (series + 1), text: `${minute}` },
        timeMs: fromMs + minute * minuteMs,
      })),
    ).flat();
    await rig.mirror.write(points);
    await rig.mirror.drain(10_000);
    await rig.tend();
    await rig.mirror.drain(10_000);
    for (const server of [rig.a, rig.b]) {
      expect(await sums(server, "bellwether_10m")).toEqual(expected(points, 10 * minuteMs));
      expect(await sums(server, "bellwether_1h")).toEqual(expected(points, hourMs));
    }
  });

  test("a copy that comes back empty gets its sums back, those of raw points long gone among them", {
    timeout: 120_000,
  }, async () => {
    await using rig = await Rig.open();
    const oldMs = floorToStep(Date.now() - 200 * 24 * hourMs, hourMs);
    const old = { measurement: "orders", tags: { s: "x" }, fields: { sum_n: 5, mean_n: 2.5 }, timeMs: oldMs };
    await rig.mirror.appendCoarser("bellwether_1h", [old]);
    await rig.mirror.write([
      { measurement: "orders", tags: { s: "x" }, fields: { n: 7 }, timeMs: Date.now() - 5 * hourMs },
    ]);
    await rig.mirror.drain(10_000);
    await rig.b.stop();
    await rig.b.wipe();
    await rig.b.start();
    await rig.until("it is seen", () => rig.status("b").verifyReason !== null);
    await rig.tend();
    expect(await sums(rig.b, "bellwether_1h")).toEqual(await sums(rig.a, "bellwether_1h"));
    expect((await sums(rig.b, "bellwether_1h"))[`x ${oldMs}`]).toEqual([5, 2.5]);
  });

  test("a copy where nobody may make the buckets is told of once, and its windows are closed all the same", {
    timeout: 120_000,
  }, async () => {
    const writer = { name: "writer", password: "of points" };
    const admin = { name: "root", password: "of all" };
    const b = { admin, databases: [database], users: [{ ...writer, rights: { [database]: "all" as const } }] };
    await using rig = await Rig.open({ b, load: { userOfB: { user: writer.name, password: writer.password } } });
    const fromMs = floorToStep(Date.now() - 5 * hourMs, hourMs);
    for (const measurement of ["orders", "payments"]) {
      await rig.mirror.write([{ measurement, tags: {}, fields: { n: 7 }, timeMs: fromMs }]);
    }
    await rig.mirror.drain(10_000);
    await rig.tend();
    const { spool } = rig.mirror.status();
    expect({ open: spool.unsealedWindows, fault: spool.repairFault }).toEqual({ open: 0, fault: null });
    const told = rig.lines.map(({ text }) => text).filter((text) => text.includes("is not filled"));
    expect(told.map((text) => text.split(":")[0])).toEqual([
      "bellwether_10m of b is not filled",
      "bellwether_1h of b is not filled",
    ]);
    expect(rig.status("b").faults.join()).toMatch(/bellwether|denied|not authorized/i);
    expect(Object.values(await sums(rig.a, "bellwether_1h"))).toEqual([[7, 7]]);
  });
});

async function sums(server: Influx, bucket: string): Promise<Record<string, [number, number]>> {
  const { results } = await server.query(`select sum_n, mean_n from "${bucket}"."orders" group by s`, database);
  return Object.fromEntries(
    (results[0]?.series ?? []).flatMap(({ tags, values }) =>
      values.map(([timeMs, sum, mean]) => [`${tags?.s} ${timeMs}`, [sum, mean] as [number, number]]),
    ),
  );
}

function expected(points: readonly Point[], everyMs: number): Record<string, [number, number]> {
  const groups = Map.groupBy(points, ({ tags, timeMs }) => `${tags.s} ${floorToStep(timeMs, everyMs)}`);
  return Object.fromEntries(
    [...groups].map(([key, group]) => {
      const sum = group.reduce((all, { fields }) => all + (fields.n as number), 0);
      return [key, [sum, sum / group.length]];
    }),
  );
}
