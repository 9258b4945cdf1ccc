import { expect, test } from "vitest";
import { Alerting } from "../../../src/alerting.ts";
import { hourMs } from "../../../src/core/time.ts";
import { buildConsole } from "../../../src/show/console/server.ts";
import { openShop, quiet } from "../../support/console.ts";

test("an incident about Bellwether itself names what is wrong; of a series that is null", async () => {
  await using shop = await openShop(hourMs);
  const app = await buildConsole({ facts: shop.facts, log: quiet, webDir: "/nowhere" });
  try {
    const { state, clock, facts } = shop;
    const alerting = new Alerting({ clock, state, definitions: () => facts.definitions().definitions });
    const reason = "restart influxd b";
    const sinceMs = clock.nowMs() - 60_000;
    await alerting.tellConditions([
      { kind: "replica-stuck", subject: "b", severity: "critical", reason, sinceMs },
      { kind: "spool-full", subject: "spool", severity: "warning", reason: "make room", sinceMs },
    ]);
    const { items } = (await app.inject("/api/v1/incidents")).json();
    expect(items[0]).toMatchObject({ title: "Bellwether: replica stuck (b), spool full", group: "shop-team" });
    const story = (await app.inject(`/api/v1/incidents/${items[0].id}`)).json();
    const found = story.alerts.map(({ condition, observed }: { condition: string; observed: null }) => [
      condition,
      observed,
    ]);
    expect(found.toSorted()).toEqual([
      ["replica stuck (b)", null],
      ["spool full", null],
    ]);
    const ofSeries = (await app.inject(`/api/v1/incidents/${shop.openIncident}`)).json();
    expect(ofSeries.alerts[0].condition).toBeNull();
    // The series that its alert is filed under is no series: nobody makes it, and the overview is as it was.
    const series = encodeURIComponent(story.alerts[0].series);
    expect((await app.inject(`/api/v1/series/points?series=${series}`)).statusCode).toBe(404);
    expect((await app.inject("/api/v1/overview")).body).not.toContain("bellwether{");
  } finally {
    await app.close();
  }
});
