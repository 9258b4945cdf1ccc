/** The `shadow` command over a sampler whose shadow period has seen an outage. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Alerting } from "../../src/alerting.ts";
import { systemClock } from "../../src/core/time.ts";
import { Shadows } from "../../src/shadow.ts";
import { openState } from "../../src/state/database.ts";
import { SimulatedClock } from "../support/clock.ts";
import { definitions, group, minuteMs, route, sampler, verdict } from "../unit/alert/builders.ts";
import { quiet } from "../unit/alert/world.ts";
import { runInside } from "./run.ts";
import { makePlace, removePlace } from "./shop.ts";

test("listed with its noise, ended once, in the audit; a sampler without one is told apart", async () => {
  const { dir, place } = makePlace();
  try {
    const none = await runInside(place, ["shadow", "list"]);
    expect(none).toMatchObject({ code: 0, out: "no sampler has a shadow period\n" });
    expect(await runInside(place, ["shadow", "end", "shop-orders"])).toMatchObject({
      code: 1,
      err: "sampler shop-orders - there is no shadow period to end: it has none. Fix: take one that bellwether shadow list shows as running.\n",
    });
    const file = join(place.config, "samplers/shop/orders.yaml");
    writeFileSync(file, `${readFileSync(file, "utf8")}shadow: true\n`);
    // Two days ago, as the process saw it.
    const beganMs = Math.floor(systemClock.nowMs() / minuteMs - 2 * 24 * 60) * minuteMs;
    {
      const clock = new SimulatedClock(new Date(beganMs).toISOString());
      await using state = await openState({ file: join(place.data, "state.db"), clock, log: quiet });
      const shadowed = sampler({
        shadow: { text: "true", untilMs: null },
        alerting: { pendingCount: 1, pendingOf: 1, recoverCount: 1 },
      });
      const known = definitions({
        samplers: [shadowed],
        route: route({ groupWaitMs: 0 }),
        groups: [group("shop-team", ["ana"])],
      });
      const shadows = new Shadows({ clock, state, definitions: () => known });
      const alerting = new Alerting({ clock, state, definitions: () => known, shadows });
      for (const level of ["critical", "normal"] as const) {
        await alerting.tellSlot(shadowed, [verdict({ level, timeMs: clock.nowMs() - minuteMs })]);
        await clock.advance(minuteMs);
      }
    }
    const [header, line, part] = (await runInside(place, ["shadow", "list"])).out.split("\n");
    expect(header).toMatch(/^sampler +state +until +seen +severity +by +alerts +messages +people$/);
    expect(line).toMatch(/^shop-orders +running +ended by hand +2d\S* +all +all +3\.5 +14 +2$/);
    expect(part).toMatch(/^ +critical +email +14 +2$/);
    const facts = JSON.parse((await runInside(place, ["shadow", "list", "--json"])).out);
    expect(facts).toMatchObject([{ sampler: "shop-orders", until: null, ended: null, alerts: 1, messages: 4 }]);
    const ended = await runInside(place, ["shadow", "end", "shop-orders", "--by", "Ana Silva"]);
    expect(ended).toMatchObject({ code: 0, out: "ended: shop-orders tells from now on\n" });
    const again = await runInside(place, ["shadow", "end", "shop-orders", "--json"]);
    expect(again.err).toMatch(
      /^sampler shop-orders - there is no shadow period to end: it ended at \S+Z by Ana Silva\. Fix: /,
    );
    const after = (await runInside(place, ["shadow", "list"])).out.split("\n")[1];
    expect(after).toMatch(/^shop-orders +ended by Ana Silva +\d{4}-/);
    await using state = await openState({ file: join(place.data, "state.db"), clock: systemClock, log: quiet });
    const [entry] = await state.audit.list({ limit: 1 });
    expect(entry).toMatchObject({ actor: "Ana Silva", action: "shadow.end", subject: "shop-orders" });
  } finally {
    removePlace(dir);
  }
});
