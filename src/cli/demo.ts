/** The whole story on embedded defaults: a shop of real orders, its past, a day on a fast clock, and what came true. */
import { existsSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { type Command, InvalidArgumentError } from "commander";
import { App } from "../app.ts";
import { messageOf } from "../core/problem.ts";
import { acceleratedClock, dayMs, minuteMs, secondMs, stopwatch, systemClock } from "../core/time.ts";
import { formatLocal } from "../core/zone.ts";
import { openState } from "../state/database.ts";
import { stepOf } from "../state/outbox.ts";
import { type CommonOptions, commonOptions, openLog, settingsOf } from "./context.ts";
import { shopZone } from "./demo/drawing.ts";
import { startLocalInfluxes } from "./demo/influx.ts";
import { growShop, LiveShop, type ShopOptions } from "./demo/shop.ts";
import {
  demoSeed,
  historyDays,
  judgeStory,
  liveFromMs,
  type Observed,
  type Phase,
  story,
  storyEvents,
} from "./demo/story.ts";
import { Exit, exitCodes } from "./exit.ts";
import { paint, print } from "./output.ts";
import { ProgressBar } from "./progress.ts";
import { stopSignal } from "./start.ts";

type Options = CommonOptions & {
  readonly exit?: boolean;
  readonly port?: string;
  readonly speed?: number;
  readonly influx?: boolean;
};

/** Simulated minutes per real minute. */
const speeds = { watched: 60, exit: 150 };
const projectDir = dirname(dirname(import.meta.dirname));
/** How far ahead of the clock the shop sells, in simulated time: no sampler reads behind its slot. */
const aheadMs = 5 * minuteMs;
const lookMs = 20 * secondMs;

export function demoCommand(program: Command): void {
  const command = program
    .command("demo")
    .description("a shop of real orders is watched through a day with two outages and a rush, on a fast clock")
    .option("--exit", "end when the story is told; the last line is one JSON object")
    .option("--port <number>", "port of the console, 0 = any free one")
    .option("--influx", "keep the series in two local InfluxDBs, which it starts and ends")
    .option("--speed <factor>", `how fast the clock runs (${speeds.watched}; with --exit ${speeds.exit})`, factor)
    .action(demo);
  commonOptions(command, false);
}

async function demo(options: Options): Promise<void> {
  const elapsedMs = stopwatch();
  const data = options.data ?? join(projectDir, "var", "demo");
  const common = { config: options.config ?? projectDir, data };
  const dataDir = settingsOf(common).settings.dataDir;
  const fromMs = await resumeAtMs(dataDir);
  await using influxes = options.influx ? await startLocalInfluxes(dataDir) : null;
  const { settings, env } = settingsOf(common, {
    BELLWETHER_PORT: options.port,
    BELLWETHER_ZONE: shopZone,
    BELLWETHER_LOG: process.env.BELLWETHER_LOG ?? "error",
    // The story plays in the past of the servers' own clocks.
    BELLWETHER_KEEP_RAW: process.env.BELLWETHER_KEEP_RAW ?? "forever",
    INFLUX_URLS: influxes?.urls,
  });
  const speed = options.speed ?? (options.exit ? speeds.exit : speeds.watched);
  const clock = acceleratedClock(fromMs, speed);
  const shop = { file: join(settings.dataDir, "shop.db"), seed: demoSeed, events: storyEvents };
  print("Bellwether watches a shop. Its orders are real ones of a British shop (UCI Online Retail, CC BY 4.0).");
  await growPast(shop);
  await using app = await App.open({ settings, env, clock, log: openLog(settings.logLevel), tempo: speed, demo: true });
  print(`${paint("Console", "bold")}  ${app.url}`, `Mailbox  ${app.desk.mailboxDir}`);
  if (settings.influx.length > 0)
    print(`Series   in ${settings.influx.map(({ name, url }) => `${name} (${url})`).join(" and ")}`);
  const ended = new AbortController();
  const stopped = stopSignal().then(() => ended.abort());
  await loadPast(app);
  if (ended.signal.aborted) return;
  using live = new LiveShop(shop);
  live.advanceTo(fromMs + aheadMs);
  clock.start();
  app.run();
  await tellStory(app, live, clock, ended.signal);
  if (ended.signal.aborted) return;
  const outcome = judgeStory(story, await observed(app));
  print("", ...outcome.lines);
  if (options.exit) {
    const seconds = Math.round(elapsedMs() / secondMs);
    print(JSON.stringify({ cameTrue: outcome.cameTrue, seconds, console: app.url, ...outcome.facts }));
    if (!outcome.cameTrue) throw new Exit(exitCodes.failed);
    return;
  }
  print("", `The shop goes on. Look around at ${app.url}; Ctrl-C ends the demo.`);
  void keepSelling(app, live, clock, ended.signal);
  await stopped;
}

/**
 * Where the story goes on: a demo that was stopped in the middle is resumed; one that was told to its end begins anew,
 * with an empty folder.
 */
async function resumeAtMs(dataDir: string): Promise<number> {
  const file = join(dataDir, "state.db");
  if (!existsSync(file)) return liveFromMs;
  const state = await openState({ file, clock: systemClock, log: openLog("silent") });
  const [latest] = await state.slots.list({ state: "done", limit: 1 });
  await state[Symbol.asyncDispose]();
  if (latest === undefined) return liveFromMs;
  const reachedMs = Math.max(liveFromMs, latest.startMs + latest.stepMs);
  const endMs = (story.at(-1) as Phase).toMs;
  if (reachedMs < endMs) return reachedMs;
  for (const name of ["state.db", "series.db", "spool.db", "shop.db"]) {
    for (const suffix of ["", "-wal", "-shm", ".lock", ".reserve"])
      rmSync(join(dataDir, `${name}${suffix}`), { force: true });
  }
  for (const name of ["mailbox", "influx-a", "influx-b"]) rmSync(join(dataDir, name), { recursive: true, force: true });
  return liveFromMs;
}

async function growPast(shop: ShopOptions): Promise<void> {
  const bar = new ProgressBar(`Growing ${historyDays} days of orders`);
  const { invoices } = await growShop({ ...shop, liveFromMs, historyDays, onProgress: (share) => bar.show(share) });
  bar.end(`${invoices} orders and cancellations`);
}

async function loadPast(app: App): Promise<void> {
  const bar = new ProgressBar("Sampling and judging them");
  let slots = 0;
  await app.loadHistory(liveFromMs - historyDays * dayMs, liveFromMs, (left, of) => {
    slots = of;
    bar.show(of === 0 ? 1 : 1 - left / of);
  });
  bar.end(`${slots} slots`);
}

/** Sells, and prints what happens, until the last phase is over. */
async function tellStory(
  app: App,
  live: LiveShop,
  clock: { nowMs(): number; sleep(ms: number, signal: AbortSignal): Promise<void> },
  signal: AbortSignal,
): Promise<void> {
  const before = await app.desk.state.outbox.list({ state: "sent", limit: 1_000 });
  const told = new Set(before.map(({ id }) => id));
  for (const phase of story) {
    if (clock.nowMs() >= phase.toMs) continue;
    print("", paint(`${clockText(Math.max(phase.fromMs, clock.nowMs()))}  ${phase.title}`, "bold"));
    for (const line of phase.lines) print(`       ${line}`);
    while (clock.nowMs() < phase.toMs && !signal.aborted) {
      live.advanceTo(clock.nowMs() + aheadMs);
      await tellNews(app, told);
      await clock.sleep(lookMs, signal).catch(() => {});
    }
  }
  await tellNews(app, told);
}

/** One line for each message that reached somebody since the last look. */
async function tellNews(app: App, told: Set<string>): Promise<void> {
  const sent = await app.desk.state.outbox.list({ state: "sent", limit: 50 });
  for (const item of sent.toReversed()) {
    if (told.has(item.id) || item.sentMs === null) continue;
    told.add(item.id);
    const story = item.incidentId === null ? null : await app.desk.state.alerts.incident(item.incidentId);
    const colour = item.kind === "resolved" ? "green" : "red";
    const again = (stepOf(item)?.index ?? 0) > 0 ? " once more, for nobody acknowledged it" : "";
    const what = `${item.kind}${again}: ${story?.incident.title ?? ""}`;
    print(`${clockText(item.sentMs)}  ${paint("✉", colour)} to ${item.recipientName} by ${item.notifier}: ${what}`);
  }
}

async function observed(app: App): Promise<Observed[]> {
  const incidents = await app.desk.state.alerts.incidents({ limit: 1_000 });
  const stories = await Promise.all(incidents.map(({ id }) => app.desk.state.alerts.incident(id)));
  return stories.filter((one) => one !== null);
}

async function keepSelling(
  app: App,
  live: LiveShop,
  clock: { nowMs(): number; sleep(ms: number, signal: AbortSignal): Promise<void> },
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    // A shop that is busy for a moment sells a moment later.
    try {
      live.advanceTo(clock.nowMs() + aheadMs);
    } catch (thrown) {
      app.desk.log.warn({ err: thrown }, `the shop did not sell: ${messageOf(thrown)}`);
    }
    await clock.sleep(lookMs, signal).catch(() => {});
  }
}

function clockText(timeMs: number): string {
  return formatLocal(timeMs, shopZone).slice(11, 16);
}

function factor(text: string): number {
  const number = Number(text);
  if (number >= 1 && number <= 1_000) return number;
  throw new InvalidArgumentError("Write a number from 1 to 1000.");
}
