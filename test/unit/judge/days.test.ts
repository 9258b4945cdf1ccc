import { describe, expect, test } from "vitest";
import { daysBeforeMs, msToWall } from "../../../src/core/zone.ts";
import { ZoneDays } from "../../../src/judge/days.ts";

describe.each(["UTC", "Europe/London", "America/New_York", "Australia/Lord_Howe", "Asia/Shanghai", "America/St_Johns"])(
  "in %s the same slot on past days is what the calendar says",
  (zone) => {
    const days = new ZoneDays(zone);
    // Weeks around each of the year's changes of offset, in steps that meet every quarter of an hour.
    test.each(["2026-03-06", "2026-03-27", "2026-04-03", "2026-10-02", "2026-10-23", "2026-10-30"])(
      "from %s",
      (from) => {
        const startMs = Date.parse(`${from}T00:00:00Z`);
        for (let timeMs = startMs; timeMs < startMs + 10 * 86_400_000; timeMs += 105 * 60_000) {
          expect(days.wallMs(timeMs)).toBe(msToWall(timeMs, zone));
          for (const day of [1, 2, 7]) {
            expect([timeMs, day, days.beforeMs(timeMs, day)]).toEqual([timeMs, day, daysBeforeMs(timeMs, day, zone)]);
          }
        }
      },
    );
  },
);
