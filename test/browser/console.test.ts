import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import axe from "axe-core";
import type { Browser, BrowserContextOptions, Locator, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Alerting } from "../../src/alerting.ts";
import type { DataState } from "../../src/core/model.ts";
import { buildConsole } from "../../src/show/console/server.ts";
import { startChromium } from "../support/chromium.ts";
import { openShop, quiet, type Shop, shopProcesses } from "../support/console.ts";
import { chromium, whyMissing } from "../support/debian.ts";
import { ShakyStore } from "../support/shaky.ts";

/**
 * The console in a real browser, over real facts. Each page is also photographed into var/screenshots, for a person
 * to look at.
 */

const root = join(import.meta.dirname, "../..");
const pictures = join(root, "var/screenshots");
const missing = whyMissing(chromium);

const phone = { viewport: { width: 360, height: 740 }, hasTouch: true };
const germany = 'orders{country="Germany"}.orders';

let shop: Shop;
let store: ShakyStore;
let app: Awaited<ReturnType<typeof buildConsole>>;
let url: string;
const webDir = mkdtempSync(join(tmpdir(), "bellwether-web-"));
let browser: Browser;

describe.skipIf(missing !== null)(`the console${missing === null ? "" : ` (${missing})`}`, () => {
  beforeAll(async () => {
    mkdirSync(pictures, { recursive: true });
    buildWeb(webDir);
    shop = await openShop();
    store = new ShakyStore(shop.store);
    app = await buildConsole({ facts: { ...shop.facts, store }, log: quiet, webDir });
    url = await app.listen({ host: "127.0.0.1", port: 0 });
    browser = await startChromium(chromium.find() as string);
  }, 120_000);
  afterAll(async () => {
    await browser?.close();
    await app?.close();
    await shop?.[Symbol.asyncDispose]();
    rmSync(webDir, { recursive: true, force: true });
  });

  const pages: [name: string, path: string, ready: string][] = [
    ["overview", "/", "a.row"],
    ["series", `/series?s=${encodeURIComponent(germany)}&range=6h`, ".day"],
    ["series-24h", `/series?s=${encodeURIComponent('orders{country="United Kingdom"}.orders')}&range=24h`, ".day"],
    ["incidents", "/incidents", "a.incident"],
    ["incident-resolved", "/incidents/0197-uk", ".event"],
    ["incident-open", "/incidents/0198-de", ".event"],
    ["samplers", "/samplers", "li.sampler"],
    ["silences", "/silences", ".matchers"],
    ["copies", "/copies", ".shelf td"],
    ["mailbox", "/mailbox", ".mails a"],
    ["nowhere", "/no/such/page", ".empty"],
  ];
  const looks: [name: string, options: BrowserContextOptions][] = [
    ["light", { viewport: { width: 1280, height: 860 } }],
    ["dark", { viewport: { width: 1280, height: 860 }, colorScheme: "dark" }],
    ["phone", { ...phone, reducedMotion: "reduce" }],
  ];

  test.each(looks)(
    "every page loads without a complaint, fits, and can be used by everybody: %s",
    async (look, options) => {
      await withPage(options, async (page, complaints) => {
        const faults: string[] = [];
        for (const [name, path, ready] of pages) {
          await page.goto(url + path);
          await page.locator(ready).first().waitFor();
          await page.screenshot({ path: join(pictures, `${name}-${look}.png`), fullPage: look !== "light" });
          const beyond = await widthBeyond(page);
          if (beyond > 0) faults.push(`${name} is ${beyond} px wider than the window`);
          // The phone shows the same elements in the colours of the first look.
          if (look !== "phone") faults.push(...(await violations(page)).map((fault) => `${name}: ${fault}`));
        }
        expect([...faults, ...complaints]).toEqual([]);
      });
    },
  );

  test("a reader hears that a copy is behind, and no longer once it is not", async () => {
    await withPage({}, async (page) => {
      const note = page.getByText("One copy is behind: what you see may lack the newest points.");
      for (const path of ["/", `/series?s=${encodeURIComponent(germany)}&range=6h`]) {
        store.reads = "behind";
        await page.goto(url + path);
        await note.waitFor();
        expect(await violations(page)).toEqual([]);
        store.reads = "sound";
        await note.waitFor({ state: "detached", timeout: 15_000 });
      }
    });
  });

  test("search and levels narrow the overview, and the address remembers them", async () => {
    await withPage({}, async (page) => {
      await page.goto(url);
      await page.locator("a.row").first().waitFor();
      expect(await page.locator("a.row").first().getAttribute("href")).toContain("Germany");
      await page.keyboard.press("/");
      await page.keyboard.type("united");
      await page.waitForFunction(() => document.querySelectorAll("a.row").length === 2);
      expect(new URL(page.url()).searchParams.get("q")).toBe("united");
      await page.getByRole("button", { name: /Not judged/ }).click();
      await page.waitForFunction(() => document.querySelectorAll("a.row").length === 1);
      await page.reload();
      await page.waitForFunction(() => document.querySelectorAll("a.row").length === 1);
      await page.getByRole("searchbox").fill("atlantis");
      await page.getByText("No series matches").waitFor();
    });
  });

  test("the keyboard alone: skip link, arrow keys through the list, into a series and along its chart", async () => {
    await withPage({}, async (page) => {
      await page.goto(url);
      await page.locator("a.row").first().waitFor();
      await page.keyboard.press("Tab");
      expect(await page.evaluate(() => document.activeElement?.textContent)).toBe("Skip to the content");
      await page.locator("a.row").first().focus();
      await page.keyboard.press("ArrowDown");
      await page.keyboard.press("ArrowUp");
      await page.keyboard.press("Enter");
      await page.locator(".chart canvas").waitFor();
      await page.locator(".chart").focus();
      const when = () => page.locator(".point-when dd").textContent();
      await page.keyboard.press("End");
      expect(await when()).toContain("14:29");
      await page.keyboard.press("ArrowLeft");
      expect(await when()).toContain("14:28");
      await page.keyboard.press("Shift+ArrowLeft");
      expect(await when()).toContain("14:18");
      await page.keyboard.press("Enter");
      await page.locator("#explain-title", { hasText: "14:18" }).waitFor();
      await page.getByText("0 where 30 are usual at this time.").first().waitFor();
      await page.keyboard.press("+");
      await page.getByRole("button", { name: "Reset zoom" }).waitFor();
      await page.locator(".chart").focus();
      await page.keyboard.press("0");
      await page.getByRole("button", { name: "Reset zoom" }).waitFor({ state: "detached" });
    });
  });

  test("dragging over the chart zooms in, a click explains the point, the button resets", async () => {
    await withPage({ viewport: { width: 1280, height: 860 } }, async (page, complaints) => {
      await page.goto(`${url}/series?s=${encodeURIComponent(germany)}&range=6h`);
      const over = page.locator(".u-over");
      await over.waitFor();
      const box = (await over.boundingBox()) as { x: number; y: number; width: number; height: number };
      await page.mouse.move(box.x + box.width * 0.8, box.y + 60);
      await page.mouse.down();
      await page.mouse.move(box.x + box.width * 0.9, box.y + 60, { steps: 4 });
      await page.mouse.move(box.x + box.width * 0.99, box.y + 60, { steps: 4 });
      const zoomed = page.waitForResponse((response) => /points.*from=2026-11-20/.test(response.url()));
      await page.mouse.up();
      await page.getByRole("button", { name: "Reset zoom" }).waitFor();
      const query = new URL(page.url()).searchParams;
      const spanMs = Date.parse(query.get("to") as string) - Date.parse(query.get("from") as string);
      // A fifth of six hours, give or take a pixel.
      expect(spanMs / 60_000).toBeGreaterThan(66);
      expect(spanMs / 60_000).toBeLessThan(71);
      await zoomed;
      await expect
        .poll(async () => {
          await page.mouse.click(box.x + box.width * 0.2, box.y + 60);
          return page.locator("#explain-title").textContent();
        })
        .toContain("13:3");
      await page.getByText("is within what is usual at this time.").first().waitFor();
      await page.screenshot({ path: join(pictures, "series-zoomed.png") });
      await page.getByRole("button", { name: "Reset zoom" }).click();
      await page.getByRole("button", { name: "Reset zoom" }).waitFor({ state: "detached" });
      expect(complaints).toEqual([]);
    });
  });

  test("why, or why not, says what explain says: the kind, the days, today, alerts then and now, who was told", async () => {
    const ukOrders = 'orders{country="United Kingdom"}.orders';
    const then = "from=2026-11-20T13:00:00Z&to=2026-11-20T14:00:00Z";
    await withPage({ viewport: { width: 1280, height: 860 } }, async (page, complaints) => {
      let told: object | null = null;
      await page.route("**/series/explain?**", async (route) => {
        const asked = new URL(route.request().url());
        if (asked.searchParams.get("series") === ukOrders) asked.searchParams.set("at", "2026-11-20T13:30:00Z");
        const response = await route.fetch({ url: asked.href });
        await route.fulfill({ response, json: { ...(await response.json()), ...told } });
      });
      const panel = page.locator(".explain");
      await page.goto(`${url}/series?s=${encodeURIComponent(ukOrders)}&${then}`);
      await panel.getByRole("heading", { name: "How it was judged" }).waitFor();
      const [judged, alerts, who] = await panel.locator("h3 + .lines").allTextContents();
      expect(judged).toMatch(
        /^Judged as a count, as its values tell\.The days lead one to expect [\d.]+ to [\d.]+\.Lately 1\.04 of plan came in all\.The last seven days had 3 % less than the seven before\.$/,
      );
      expect(alerts).toMatch(/^Alert shop-orders was firing and is now resolved \(slots bbbggg\), last judged: /);
      expect(who).toMatch(/^Ana Silva by email: opened sent at .*Ana Silva by email: resolved sent at /);
      expect(await panel.locator(".gates tbody th").allTextContents()).toContain("Volume");
      await panel.screenshot({ path: join(pictures, "explain.png") });
      const stood = [`Alert shop-orders (firing, slots ${"b".repeat(200)}): far below what is usual.`];
      told = { told: [], stood, notes: ["This time lies in the future; this is what judging says of it now."] };
      await page.reload();
      await panel.getByText("Nobody was told.").waitFor();
      await panel.getByText("This time lies in the future").waitFor();
      expect(await panel.evaluate(({ scrollWidth, clientWidth }) => scrollWidth - clientWidth)).toBe(0);
      expect([...(await violations(page)), ...complaints]).toEqual([]);
      await page.unrouteAll({ behavior: "ignoreErrors" });
    });
  });

  test("an incident is acknowledged; who comes late hears who was first", async () => {
    await withPage({}, async (page) => {
      await page.goto(`${url}/incidents/0198-de`);
      await page.getByLabel("Your name").fill("Ana Silva");
      // Somebody is faster by a moment: the page still shows the incident as open.
      await shop.facts.act.acknowledge("0198-de", "Ben Ito");
      await page.getByRole("button", { name: "I have it" }).click();
      await page.getByText("Ben Ito acknowledged it at").or(page.getByText("Ben Ito took it on")).first().waitFor();
      await page.locator(".incident-top", { hasText: "Ben Ito took it on" }).waitFor();
      expect(await page.getByRole("button", { name: "I have it" }).count()).toBe(0);
    });
  });

  test("what is wrong with Bellwether itself has a name and a reason, no figures and no link to a series", async () => {
    const { state, clock, facts } = shop;
    const alerting = new Alerting({ clock, state, definitions: () => facts.definitions().definitions });
    const reason = "restart influxd b: it goes on refusing writes although its disk has room again";
    const sinceMs = clock.nowMs() - 60_000;
    await alerting.tellConditions([{ kind: "replica-stuck", subject: "b", severity: "critical", reason, sinceMs }]);
    await withPage({ viewport: { width: 1280, height: 860 } }, async (page, complaints) => {
      await page.goto(`${url}/incidents`);
      await page.locator("a.incident", { hasText: "Bellwether: replica stuck (b)" }).click();
      const card = page.locator("li.alert", { hasText: "replica stuck (b)" });
      await card.getByText(reason).waitFor();
      expect(await card.locator("a, dl").count()).toBe(0);
      await page.locator(".event", { hasText: "replica stuck (b) firing" }).waitFor();
      await page.screenshot({ path: join(pictures, "incident-own.png") });
      expect([...(await violations(page)), ...complaints]).toEqual([]);
    });
  });

  test("a silence is added, refused with its fault, and ended", async () => {
    await withPage({}, async (page) => {
      await page.goto(`${url}/silences`);
      await page.getByLabel("Matchers, one a line").fill("country=Spain");
      await page.getByLabel("Why").fill("A new shop opens");
      await page.getByLabel("Your name").fill("Ana Silva");
      await page.getByRole("button", { name: "Add the silence" }).click();
      await page.getByText("not a matcher").waitFor();
      await page.getByLabel("Matchers, one a line").fill('country="Spain"');
      await page.getByRole("button", { name: "Add the silence" }).click();
      const card = page.locator("li.card", { hasText: "A new shop opens" });
      await card.getByText("active").waitFor();
      await card.getByRole("button", { name: "End now" }).click();
      await card.getByText("ended", { exact: true }).waitFor();
    });
  });

  test("copies are compared, repaired and rid of their shelf, and each answer is a sentence", async () => {
    await withPage({ viewport: { width: 1280, height: 860 } }, async (page, complaints) => {
      await page.goto(url);
      await page.getByRole("link", { name: "Copies" }).click();
      await page.getByRole("heading", { name: "Copy b" }).waitFor();
      const [left, right] = await Promise.all(
        ["Copy a", "Copy b"].map((name) => page.getByRole("listitem").filter({ hasText: name }).boundingBox()),
      );
      expect(right?.y).toBe(left?.y);
      await page.getByLabel("Which time").selectOption("The last 7 days");
      await page.getByRole("button", { name: "Compare" }).focus();
      await page.keyboard.press("Enter");
      // Six measurements of 288 windows a day for seven days, less the latest ten minutes.
      await page.getByText("12,084 windows from Fri 13 Nov, 14:30 to Fri 20 Nov, 14:20 compared: 2 differ.").waitFor();
      await page.getByText("orders differs in 2 windows: Fri 20 Nov, 13:55; Fri 20 Nov, 14:15.").waitFor();
      expect(await page.evaluate(() => document.activeElement?.textContent)).toBe("Compare");
      await page.getByRole("button", { name: "Repair" }).click();
      await page.getByText("2 differed. 274 points were written to copies that lacked them.").waitFor();
      await page.getByText("Of 2 values nothing tells which copy is right.").waitFor();
      await page.screenshot({ path: join(pictures, "copies-repaired.png"), fullPage: true });
      await page.getByRole("button", { name: "Compare" }).click();
      await page.getByText("compared: all are equal.").waitFor();
      await page.getByLabel("Of which copy").selectOption("Copy a");
      await expect.poll(() => page.locator(".shelf tbody tr").count()).toBe(1);
      await page.getByRole("button", { name: "Requeue" }).click();
      await page.getByText("1 point was taken; none was refused again.").waitFor();
      await page.getByText("Nothing of copy a is on the shelf").waitFor();
      // A question that a newer one replaces is broken off.
      const others = complaints.filter((complaint) => !complaint.endsWith("ERR_ABORTED"));
      expect([...(await violations(page)), ...others]).toEqual([]);
    });
  });

  test("a run that is refused says why; without copies there is no such page in the menu", async () => {
    await withPage({}, async (page) => {
      await page.route("**/replicas/repair", (route) =>
        route.fulfill({ status: 409, json: { detail: "a compare is running", fix: "ask again when it has ended" } }),
      );
      await page.goto(`${url}/copies`);
      await page.getByRole("button", { name: "Repair" }).click();
      await page.getByText("Fix: ask again when it has ended.").waitFor();
    });
    const bare = await buildConsole({ facts: { ...shop.facts, replicas: null }, log: quiet, webDir });
    const bareUrl = await bare.listen({ host: "127.0.0.1", port: 0 });
    await withPage({}, async (page) => {
      await page.goto(`${bareUrl}/copies`);
      await page.getByText("Fix: set INFLUX_URLS to the addresses of two InfluxDBs.").waitFor();
      await page.getByRole("link", { name: "Silences" }).waitFor();
      expect(await page.getByRole("link", { name: "Copies" }).count()).toBe(0);
    });
    await bare.close();
  });

  test("a sampler's card says what the last hour took, and in words what is known of its latest data", async () => {
    await withPage({ viewport: { width: 1280, height: 860 } }, async (page, complaints) => {
      await page.goto(`${url}/samplers`);
      const orders = page.locator("li.sampler", { hasText: "Orders placed" });
      await orders.getByText("there 14:29").waitFor();
      // By the keyboard, as everything on the page.
      await orders.getByText("Last hour: 61 runs, on average 557ms late and 250ms long").focus();
      await page.keyboard.press("Enter");
      expect(await facts(orders)).toMatchObject({
        "Started late by": "557ms at most 2s",
        Took: "250ms at most 250ms",
        "System time": "2s",
        Rows: "366",
        "Rows gone through": "14,640",
      });
      const payments = page.locator("li.sampler", { hasText: "Payments that succeed" });
      await payments.locator(".chip", { hasText: "1 failed" }).waitFor();
      await payments.getByText("Last hour").click();
      await payments.getByText("Definition").click();
      expect(await facts(payments)).toMatchObject({
        "Last data": "late 14:28",
        "Rows gone through": "\u2013",
        "Waits for late rows": "2m",
        "Reads again": "3 slots",
        History: "15d",
      });
      expect(await payments.locator(".slot-failed").getAttribute("title")).toBe(
        "Fri 20 Nov, 14:23 failed, source down",
      );
      await page.screenshot({ path: join(pictures, "samplers-hour.png"), fullPage: true });
      expect([...(await violations(page)), ...complaints]).toEqual([]);
    });
  });

  test("a person's word ends a shadow period; who is refused hears why, and the card says that it is over", async () => {
    await withPage({ viewport: { width: 1280, height: 860 } }, async (page, complaints) => {
      await page.goto(`${url}/samplers`);
      const card = page.locator("li.sampler", { hasText: "Cancelled orders" });
      await card.getByText("Nobody is told until somebody ends it. Forecast: 0 alerts").waitFor();
      const button = card.getByRole("button", { name: "End it now" });
      expect(await button.isVisible()).toBe(false);
      await card.getByText("End the shadow period").focus();
      await page.keyboard.press("Enter");
      await card.getByText("This cannot be taken back.").waitFor();
      // Without a name it is not even asked for.
      await button.click();
      await card.getByLabel("Your name").fill("Ana Silva");
      await page.screenshot({ path: join(pictures, "samplers-shadow.png"), fullPage: true });
      expect([...(await violations(page)), ...complaints]).toEqual([]);
      const detail = "there is no shadow period to end: it ended at 2026-11-20T14:29:58Z by Ben Ito";
      await page.route("**/shadow/end", (route) =>
        route.fulfill({ status: 409, json: { detail, fix: "see /api/v1/samplers" } }),
      );
      await button.click();
      await card.getByText(detail).waitFor();
      await page.unroute("**/shadow/end");
      await button.click();
      await card.getByText("Its shadow period ended Fri 20 Nov, 14:30, by Ana Silva.").waitFor();
      expect(await card.getByText("End the shadow period").count()).toBe(0);
      expect(await violations(page)).toEqual([]);
    });
    const audit = await shop.state.audit.list({ limit: 20 });
    expect(audit.filter(({ action }) => action === "shadow.end")).toMatchObject([
      { actor: "Ana Silva", subject: "shop-cancelled" },
    ]);
  });

  test("what the calendar says of the days shown is drawn, and said in words that need no colour", async () => {
    await withPage({ viewport: { width: 1280, height: 860 } }, async (page, complaints) => {
      const says = page.getByRole("list", { name: "What the calendar says" });
      const saying = () => says.getByRole("listitem").allTextContents();
      await page.goto(`${url}/series?s=${encodeURIComponent('orders{country="United Kingdom"}.orders')}&range=24h`);
      await says.waitFor();
      const sale = "Campaign: Flash sale (expected: 1.5 to 2 times the usual)";
      expect(await saying()).toEqual(["Holiday: Founders' days, Thu 19 Nov", `${sale}, Fri 20 Nov, 12:00 to 18:00`]);
      // The holiday ends after 9.5 of the 24 hours, the sale begins after 21.5.
      expect(await footColours(page, 1, [0.2, 0.6])).toEqual(["#6f7b79", "none"]);
      expect(await footColours(page, 5, [0.2, 0.8, 0.91])).toEqual(["#eef2f2", "none", "#0d6b63"]);
      const day = page.locator(".point-day dd");
      await page.locator(".chart").focus();
      await page.keyboard.press("Home");
      expect(await day.textContent()).toBe("Holiday: Founders' days");
      await page.keyboard.press("End");
      expect(await day.textContent()).toBe(`Weekday; ${sale}`);
      await page.goto(`${url}/series?s=cancelled.orders&range=7d`);
      await page.locator(".key-workday").waitFor();
      expect(await saying()).toEqual([
        "Weekend",
        "Worked weekend: Stocktaking, Sun 15 Nov",
        "Holiday: Founders' days, Wed 18 Nov to Thu 19 Nov",
      ]);
      await page.screenshot({ path: join(pictures, "series-calendar.png") });
      expect([...(await violations(page)), ...complaints]).toEqual([]);
      await page.goto(`${url}/series?s=${encodeURIComponent(germany)}&range=6h`);
      await page.locator(".chart canvas").waitFor();
      expect(await says.count()).toBe(0);
    });
    await withPage(phone, async (page) => {
      await page.goto(`${url}/series?s=${encodeURIComponent('orders{country="France"}.orders')}&range=24h`);
      await page
        .getByText("Campaign: Advent (expected: as from 2026-10-20 on, times 1.1), Fri 20 Nov to Sat 21 Nov")
        .waitFor();
      expect(await widthBeyond(page)).toBe(0);
    });
  });

  test("who does the work is shown where there are several, and who is gone, with what that means", async () => {
    await withPage({}, async (page) => {
      await page.goto(`${url}/samplers`);
      const gone = page.getByRole("row").filter({ hasText: "shop-2" });
      await gone.locator(".chip-warning", { hasText: "gone" }).waitFor();
      expect(await gone.locator("td").allTextContents()).toEqual([
        "worker",
        "Fri 20 Nov, 06:30version 0.1.0-test",
        "8m ago",
      ]);
      await page.getByText("Others do its work.").waitFor();
    });
    const [alive, gone] = shopProcesses;
    const told: [Shop["facts"]["processes"], text: string | null][] = [
      [() => [{ ...alive, role: "console" }, gone], "No worker is left: start one."],
      [() => [gone], "No worker is left: start one."],
      [() => [alive, { ...gone, alive: true }], "shop-2 alive"],
      [() => [alive], null],
    ];
    for (const [processes, text] of told) {
      const other = await buildConsole({ facts: { ...shop.facts, processes }, log: quiet, webDir });
      const otherUrl = await other.listen({ host: "127.0.0.1", port: 0 });
      await withPage({}, async (page) => {
        const answered = page.waitForResponse(/processes/);
        await page.goto(`${otherUrl}/samplers`);
        await answered;
        await page.locator("li.sampler").first().waitFor();
        if (text !== null) await page.getByText(text).waitFor();
        expect(await page.getByRole("heading", { name: "Processes" }).count()).toBe(text === null ? 0 : 1);
        expect(await page.getByText("did not end in order").count()).toBe(text?.startsWith("No") ? 1 : 0);
      });
      await other.close();
    }
  });

  test("why a slot has no value is said in words: late, source down, missing", async () => {
    let state: DataState = "late";
    const explain: Shop["facts"]["explain"] = async (series, timeMs) => {
      const found = await shop.facts.explain(series, timeMs);
      return found && { ...found, verdict: { ...found.verdict, state } };
    };
    const other = await buildConsole({ facts: { ...shop.facts, explain }, log: quiet, webDir });
    const otherUrl = await other.listen({ host: "127.0.0.1", port: 0 });
    await withPage({}, async (page) => {
      const words: [DataState, string][] = [
        ["late", "late it may still come"],
        ["source-down", "source down nobody could ask"],
        ["missing", "missing there is no value, which is not zero"],
        ["zero", "zero, which is known"],
        ["value", "a value"],
      ];
      for (const [shown, text] of words) {
        state = shown;
        await page.goto(`${otherUrl}/series?s=${encodeURIComponent(germany)}&range=1h`);
        const panel = page.locator(".explain");
        await panel.locator(".day").first().waitFor();
        expect(await facts(panel)).toMatchObject({ Data: text });
        if (shown === "source-down") expect(await violations(page)).toEqual([]);
      }
    });
    await other.close();
  });

  test("a message is shown as its reader sees it, with its chart", async () => {
    await withPage({ viewport: { width: 1280, height: 860 } }, async (page, complaints) => {
      await page.goto(`${url}/mailbox`);
      await page.locator(".mails a").first().click();
      const body = page.frameLocator("iframe").locator("body");
      await body.getByText("Germany").first().waitFor();
      expect(
        await body
          .locator("img")
          .first()
          .evaluate((image: HTMLImageElement) => image.naturalWidth),
      ).toBeGreaterThan(300);
      expect(complaints).toEqual([]);
      await page.screenshot({ path: join(pictures, "mailbox-open.png") });
    });
  });

  test("when the server is gone the page says so, keeps what it has, and recovers by itself", async () => {
    await withPage({ viewport: { width: 1280, height: 860 } }, async (page) => {
      await page.clock.install();
      await page.goto(url);
      await page.locator("a.row").first().waitFor();
      await page.route("**/api/**", (route) => route.abort());
      await page.clock.runFor(6_000);
      await page.getByText("The server does not answer").waitFor();
      expect(await page.locator("a.row").count()).toBeGreaterThan(5);
      await page.screenshot({ path: join(pictures, "server-gone.png") });
      await page.unroute("**/api/**");
      await page.clock.runFor(6_000);
      await page.getByText("The server does not answer").waitFor({ state: "detached" });
    });
  });

  test("a page asked for while the server is gone shows the fault", async () => {
    await withPage({}, async (page) => {
      await page.route("**/api/**", (route) => route.abort());
      await page.goto(`${url}/samplers`);
      await page.getByRole("button", { name: "Try again" }).waitFor();
      await page.screenshot({ path: join(pictures, "fault.png") });
    });
  });

  test("not ready is said on every page, and the theme is the reader's to choose", async () => {
    shop.unready = "history is being loaded";
    await withPage({}, async (page) => {
      await page.goto(url);
      await page.getByText("history is being loaded").waitFor();
      await page.getByRole("button", { name: "Use the dark colours" }).click();
      expect(await page.evaluate(() => getComputedStyle(document.body).backgroundColor)).toBe("rgb(15, 21, 20)");
      await page.reload();
      await page.getByRole("button", { name: "Use the light colours" }).waitFor();
    });
    shop.unready = null;
  });

  test("the app is small", () => {
    const names = readFileSync(join(webDir, "index.html"), "utf8");
    const scripts = [...names.matchAll(/src="\/(assets\/[^"]+\.js)"/g)].map(([, name]) => name as string);
    expect(scripts).toHaveLength(1);
    expect(names).not.toMatch(/<script(?![^>]*src=)/);
    expect(gzipSync(readFileSync(join(webDir, scripts[0] as string))).length).toBeLessThan(48_000);
  });
});

/** Builds the app as `npm start` does, into a folder of its own. */
function buildWeb(dir: string): void {
  const vite = join(root, "node_modules/vite/bin/vite.js");
  const { NODE_ENV: _test, ...env } = process.env;
  const args = [vite, "build", "--logLevel", "warn", "--outDir", dir, "--emptyOutDir"];
  const done = spawnSync(process.execPath, args, { cwd: root, env, encoding: "utf8" });
  if (done.status !== 0) throw new Error(`${done.stdout}${done.stderr}`);
}

/** Runs `visit` in a page of its own; `complaints` collects console errors and failed requests. */
async function withPage(options: BrowserContextOptions, visit: (page: Page, complaints: string[]) => Promise<void>) {
  const context = await browser.newContext(options);
  try {
    const page = await context.newPage();
    page.setDefaultTimeout(8_000);
    const complaints: string[] = [];
    page.on("console", (message) => {
      if (message.type() === "error" || message.type() === "warning") complaints.push(message.text());
    });
    page.on("pageerror", (error) => complaints.push(String(error)));
    page.on("requestfailed", (request) => {
      // What the page itself takes back, as something else was chosen meanwhile, is no complaint.
      const reason = request.failure()?.errorText;
      if (reason !== "net::ERR_ABORTED") complaints.push(`${request.url()} ${reason}`);
    });
    page.on("response", (response) => {
      if (response.status() >= 400) complaints.push(`${response.url()} ${response.status()}`);
    });
    await visit(page, complaints);
  } finally {
    await context.close();
  }
}

/** The figures below an element, by their names. */
async function facts(within: Locator): Promise<Record<string, string>> {
  const found = await within
    .locator(".fact")
    .evaluateAll((all) => all.map((one) => [...one.children].map(({ textContent }) => textContent ?? "")));
  return Object.fromEntries(found);
}

/** What is drawn on the chart so many pixels above its foot, at these parts of its width: colours, or `none`. */
function footColours(page: Page, above: number, parts: readonly number[]): Promise<string[]> {
  return page.evaluate(
    ([above, parts]) => {
      const canvas = document.querySelector(".chart canvas") as HTMLCanvasElement;
      const plot = (document.querySelector(".u-over") as HTMLElement).getBoundingClientRect();
      const { left, top } = canvas.getBoundingClientRect();
      const copy = Object.assign(document.createElement("canvas"), { width: canvas.width, height: canvas.height });
      const drawn = copy.getContext("2d", { willReadFrequently: true }) as CanvasRenderingContext2D;
      drawn.drawImage(canvas, 0, 0);
      return parts.map((part) => {
        const { data } = drawn.getImageData(plot.left - left + part * plot.width, plot.bottom - top - above - 1, 1, 1);
        const digits = [...data].map((one) => one.toString(16).padStart(2, "0"));
        return data[3] === 0 ? "none" : `#${digits.slice(0, 3).join("")}`;
      });
    },
    [above, parts] as const,
  );
}

/** Pixels that the page is wider than the window. */
function widthBeyond(page: Page): Promise<number> {
  return page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
}

/** Faults of accessibility, by axe: WCAG 2.2 A and AA. */
async function violations(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  return page.evaluate(async () => {
    const { axe: found } = globalThis as unknown as { axe: { run(options: object): Promise<AxeResults> } };
    const { violations } = await found.run({
      runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    });
    return violations.flatMap(({ id, nodes }) =>
      nodes.map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary}`),
    );
  });
}

type AxeResults = { violations: { id: string; nodes: { html: string; failureSummary: string }[] }[] };
