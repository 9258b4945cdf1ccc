import { mkdtemp, readdir, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Mailbox } from "../../../src/notify/mailbox.ts";
import { email } from "../../../src/notify/notifiers/email.ts";
import { message } from "../../contracts/notifier.ts";
import { SimulatedClock } from "../../support/clock.ts";
import { quiet } from "../alert/world.ts";

const never = new AbortController().signal;
let dir = "";
let clock: SimulatedClock;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "bellwether-mailbox-"));
  clock = new SimulatedClock("2026-11-20T10:41:00Z");
});
afterEach(() => rm(dir, { recursive: true }));

const send = (id: string, fields: Parameters<typeof message>[1] = {}) =>
  email
    .create({ mailboxDir: dir, from: "Bellwether <bellwether@shop.example>" }, { clock, log: quiet })
    .send(message("ana@shop.example", { id, ...fields }), never);

test("lists newest first, bounded, paged", async () => {
  for (const id of ["a", "b", "c"]) {
    await send(id, { subject: `Über ${id}` });
    clock.jump("1m");
  }
  const mailbox = new Mailbox(dir);
  const first = await mailbox.list(2);
  expect(first).toEqual([
    { id: "20261120T104300Z-c", atMs: Date.parse("2026-11-20T10:43:00Z"), to: "ana@shop.example", subject: "Über c" },
    { id: "20261120T104200Z-b", atMs: Date.parse("2026-11-20T10:42:00Z"), to: "ana@shop.example", subject: "Über b" },
  ]);
  expect((await mailbox.list(2, first[1]?.id)).map(({ id }) => id)).toEqual(["20261120T104100Z-a"]);
  expect(await mailbox.count()).toBe(3);
});

test("a folder that is not there is empty", async () => {
  expect(await new Mailbox(join(dir, "none")).list(9)).toEqual([]);
});

test("reads a message whole, its picture within", async () => {
  const chart = new Uint8Array([137, 80, 78, 71]);
  await send("a", {
    chart,
    html: '<p>hello <a href="https://console.example/x">x</a></p><img src="cid:chart" alt="c">',
  });
  const mail = await new Mailbox(dir).read("20261120T104100Z-a");
  expect(mail).toMatchObject({ from: "Bellwether <bellwether@shop.example>", to: "ana@shop.example" });
  expect(mail?.text).toContain("orders is 3");
  expect(mail?.html?.trim()).toBe(
    '<p>hello <a href="https://console.example/x">x</a></p><img src="data:image/png;base64,iVBORw==" alt="c">',
  );
});

test.each([
  ["<script>alert(1)</script>x", "x"],
  ["<img src=x onerror=alert(1)>", "<img>"],
  ['<img src="https://tracker.example/x.png">', "<img>"],
  ["<a href='javascript:alert(1)'>x</a>", "<a>x</a>"],
  ['<iframe src="https://evil.example"></iframe>x', "x"],
  ['<form action="/api/v1/silences"><input name="a"></form>x', "x"],
  ['<meta http-equiv="refresh" content="0;url=https://evil.example">x', "x"],
  ["<scr<script></script>ipt>alert(1)</scr<script></script>ipt>x", "x"],
  ["<img/onerror=alert(1) src=x>", "<img>"],
  ["<p>one on=1 &amp; only=2</p>", "<p>one on=1 &amp; only=2</p>"],
  ["<script src=https://evil.example/x.js>", ""],
  ["<svg onload=alert(1)><circle/></svg>x", "x"],
])("shows %s as %s", async (html, shown) => {
  await send("a", { html });
  expect((await new Mailbox(dir).read("20261120T104100Z-a"))?.html?.trim()).toBe(shown);
});

test("only its own files, by plain names", async () => {
  await writeFile(join(dir, "notes.txt"), "x");
  await writeFile(join(dir, "secret.eml"), "Subject: s\r\n\r\nx");
  await symlink("/etc/passwd", join(dir, "passwd.txt"));
  const mailbox = new Mailbox(dir);
  for (const id of ["../secret", "notes.txt", "..", "", ".by-id/a", "a/b", "none"])
    expect(await mailbox.read(id)).toBeNull();
  expect((await mailbox.list(9)).map(({ id }) => id)).toEqual(["secret"]);
});

test("a file that is no mail is still listed, and read as what it is", async () => {
  await writeFile(join(dir, "20261120T104100Z-odd.eml"), "not a mail at all");
  const mailbox = new Mailbox(dir);
  expect(await mailbox.list(9)).toMatchObject([{ id: "20261120T104100Z-odd", subject: "", to: "" }]);
  expect((await mailbox.read("20261120T104100Z-odd"))?.html).toBeNull();
});

test("forgets old messages, the marks of their ids, and what crashes left", async () => {
  await send("old");
  await writeFile(join(dir, ".by-id", "crash.tmp"), "half");
  await utimes(join(dir, ".by-id", "crash.tmp"), clock.nowMs() / 1000, clock.nowMs() / 1000);
  clock.jump("48h");
  await send("new");
  const mailbox = new Mailbox(dir);
  expect(await mailbox.expire(clock.nowMs() - 3_600_000)).toBe(1);
  expect(await readdir(join(dir, ".by-id"))).toEqual(["new"]);
  expect((await mailbox.list(9)).map(({ id }) => id)).toEqual(["20261122T104100Z-new"]);
});
