/** The `incidents` command over what is wrong with Bellwether itself. */
import { join } from "node:path";
import { expect, test } from "vitest";
import { Alerting } from "../../src/alerting.ts";
import { openState } from "../../src/state/database.ts";
import { SimulatedClock } from "../support/clock.ts";
import { definitions, route } from "../unit/alert/builders.ts";
import { quiet } from "../unit/alert/world.ts";
import { run, runAll } from "./run.ts";
import { makePlace, removePlace } from "./shop.ts";

test("listed by name, told as a story, acknowledged; nobody is named where no group is", async () => {
  const { dir, place } = makePlace();
  try {
    const clock = new SimulatedClock("2026-11-20T09:00:00Z");
    {
      await using state = await openState({ file: join(place.data, "state.db"), clock, log: quiet });
      const known = definitions({ route: route({ groupWaitMs: 0 }), groups: [], people: [] });
      const alerting = new Alerting({ clock, state, definitions: () => known });
      const reason = "restart influxd b: it goes on refusing writes";
      const sinceMs = clock.nowMs();
      await alerting.tellConditions([{ kind: "replica-stuck", subject: "b", severity: "critical", reason, sinceMs }]);
    }
    const list = await run(place, ["incidents"]);
    const [, line = ""] = list.out.split("\n");
    expect(line).toMatch(/open +critical +2026-11-20T09:00:00Z +\w+ +nobody +Bellwether: replica stuck \(b\)$/);
    const id = line.slice(0, 8);
    const [story, facts] = await runAll(place, [
      ["incidents", id],
      ["incidents", id, "--json"],
    ]);
    expect(story?.out).toMatch(/^Bellwether: replica stuck \(b\) \(critical, open\), group nobody, id /);
    expect(story?.out).toContain("alert firing: restart influxd b: it goes on refusing writes\n");
    expect(JSON.parse(facts?.out ?? "").alerts).toMatchObject([{ condition: "replica stuck (b)", observed: null }]);
    const ack = await run(place, ["ack", id, "--by", "Ana"]);
    expect(ack).toMatchObject({ code: 0, out: "acknowledged by Ana: Bellwether: replica stuck (b)\n" });
  } finally {
    removePlace(dir);
  }
});
