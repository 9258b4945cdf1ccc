import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { expect, test } from "vitest";
import { historyDays, liveFromMs, story } from "../../src/cli/demo/story.ts";
import { parseSelector } from "../../src/core/labels.ts";
import { dayMs, minuteMs } from "../../src/core/time.ts";
import { msToWall } from "../../src/core/zone.ts";
import { runDemo } from "./run-demo.ts";

/**
 * The demo, killed again and again: in its past, in its outages, in the middle of a mail. Each time it is started again
 * it goes on; at the end its story has come true, its store holds what the shop sold, minute by minute, and nobody got
 * a mail twice. `BELLWETHER_TEST_KILLS` says how often (default 8; the long form 50).
 */
const kills = Number(process.env.BELLWETHER_TEST_KILLS ?? 8);
/** Enough for history and story on a slow machine; a start that hangs is a failure. */
const runMsMax = 280_000;

test(`the demo survives kill -9, ${kills} times`, { timeout: 15 * minuteMs }, async () => {
  const dir = mkdtempSync(join(tmpdir(), "bellwether-kill-"));
  try {
    for (let kill = 0; kill < kills; kill += 1) {
      // Early and late, since the past takes about as long as the story: most starts live half a second to six.
      const lifeMs = 300 + Math.random() * (kill % 4 === 3 ? 12_000 : 4_000);
      const { code, signal, text } = await runDemo(dir, lifeMs);
      expect({ kill, code, signal, text }).toMatchObject({ code: null, signal: "SIGKILL" });
    }
    const { code, text } = await runDemo(dir, runMsMax);
    expect({ code, text: text.slice(-3_000) }).toMatchObject({ code: 0 });
    const facts = JSON.parse(text.trim().split("\n").at(-1) as string);
    expect(facts.cameTrue).toBe(true);
    checkStore(dir);
    checkMails(dir);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});

/** Every minute of the shop's open hours is in the store once, with exactly what the shop sold in it. */
function checkStore(dir: string): void {
  const fromMs = liveFromMs - historyDays * dayMs;
  const untilMs = (story.at(-1)?.toMs as number) - 2 * minuteMs;
  const state = new Database(join(dir, "state.db"), { readonly: true });
  const slots = state
    .prepare(
      "select start_ms as startMs, state from slots where sampler = 'shop-orders' and start_ms < ? order by start_ms",
    )
    .all(untilMs) as { startMs: number; state: string }[];
  state.close();
  const open = openMinutes(fromMs, untilMs);
  expect(slots.map(({ startMs }) => startMs)).toEqual(open);
  expect(slots.filter(({ state }) => state !== "done" && state !== "caught-up")).toEqual([]);

  const sold = soldInMinutes(dir);
  const stored = storedInMinutes(dir);
  const wrong = open.filter((startMs) => (stored.get(startMs) ?? "absent") !== (sold.get(startMs) ?? 0));
  expect(wrong).toEqual([]);
}

/** Starts of the minutes from 8 to 17 in London on Mondays to Fridays; the demo's days are all in summer time. */
function openMinutes(fromMs: number, untilMs: number): number[] {
  const minutes: number[] = [];
  for (let startMs = fromMs; startMs < untilMs; startMs += minuteMs) {
    const wall = new Date(msToWall(startMs, "Europe/London"));
    if (wall.getUTCDay() % 6 !== 0 && wall.getUTCHours() >= 8 && wall.getUTCHours() < 17) minutes.push(startMs);
  }
  return minutes;
}

function soldInMinutes(dir: string): Map<number, number> {
  const shop = new Database(join(dir, "shop.db"), { readonly: true });
  const rows = shop
    .prepare(
      `select substr(invoiced_at, 1, 16) as minute, count(*) as orders from invoices
       where cancelled = 0 and country = 'United Kingdom' group by 1`,
    )
    .all() as { minute: string; orders: number }[];
  shop.close();
  return new Map(rows.map(({ minute, orders }) => [Date.parse(`${minute.replace(" ", "T")}:00+01:00`), orders]));
}

function storedInMinutes(dir: string): Map<number, number> {
  const lines = readSeries(dir, 'orders{country="United Kingdom"}.orders');
  expect(new Set(lines.map(([timeMs]) => timeMs)).size).toBe(lines.length);
  return new Map(lines);
}

/** Rows of one series, straight from the file. */
function readSeries(dir: string, selector: string): [number, number][] {
  const { measurement, field } = parseSelector(selector);
  const db = new Database(join(dir, "series.db"), { readonly: true });
  const rows = db.prepare(seriesQuery).all({ measurement, field, tags: '%"United Kingdom"%' }) as {
    t: number;
    v: number;
  }[];
  db.close();
  return rows.map(({ t, v }) => [t, v]);
}

const seriesQuery = `select p.ts as t, p.value as v from points p join series s on s.id = p.series_id
  where s.measurement = @measurement and s.field = @field and s.tags like @tags order by 1`;

/** One file for each message that was sent, and no notice twice to one person. */
function checkMails(dir: string): void {
  const state = new Database(join(dir, "state.db"), { readonly: true });
  const rows = state.prepare("select id, state, notice_key, notifier, recipient from outbox").all() as Record<
    string,
    string
  >[];
  const transitions = state
    .prepare(
      "select subject_id, from_state, to_state, slot_ms, count(*) as n from transitions group by 1, 2, 3, 4 having n > 1",
    )
    .all();
  state.close();
  const sent = rows.filter((row) => row.state === "sent");
  expect(sent.length).toBeGreaterThan(5);
  expect(rows.filter((row) => !["sent", "cancelled"].includes(row.state as string))).toEqual([]);
  const files = readdirSync(join(dir, "mailbox")).filter((name) => name.endsWith(".eml"));
  expect(files.length).toBe(sent.length);
  for (const row of sent) expect(files.filter((name) => name.includes(row.id as string))).toHaveLength(1);
  const notices = rows.map((row) => `${row.notice_key} ${row.notifier} ${row.recipient}`);
  expect(new Set(notices).size).toBe(notices.length);
  expect(transitions).toEqual([]);
}
