/** Where the HTTP source must not lead, whoever asks for it: a connection, a redirect, a next page, a name that moves. */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { deadline } from "../../src/core/time.ts";
import { Guard } from "../../src/sample/sources/http-guard.ts";
import { connectionOptions } from "../../src/sample/sources/http-options.ts";
import {
  Answers,
  answer,
  httpSource,
  nameServer,
  nineOClock,
  problemFrom,
  problemOf,
  rowsFrom,
} from "../support/http.ts";

type Case = { readonly verdict: string; readonly networks: readonly string[]; readonly url: string };

const corpus: Case[] = readFileSync(new URL("../cases/ssrf/urls.txt", import.meta.url), "utf8")
  .split("\n")
  .filter((line) => line !== "" && !line.startsWith("#"))
  .map((line) => {
    const [verdict = "", networks = "", ...url] = line.split(" ");
    return { verdict, networks: networks === "-" ? [] : networks.split(","), url: url.join(" ") };
  });
const refused = corpus.filter(({ verdict }) => verdict !== "ok");
const byAddress = refused.filter(({ verdict }) => verdict === "NET-002" || verdict === "NET-004");

/** `ip-10-0-0-1.test`, also several: `ip-8-8-8-8-and-10-0-0-1.test`; `six-fe80--1.test`. */
function addressesOf(name: string, family: 4 | 6): string[] {
  if (name === "metadata.google.internal" && family === 4) return ["169.254.169.254"];
  if (name.endsWith("localhost.localdomain") && family === 4) return ["127.0.0.1"];
  const [, kind, coded = ""] = /^(ip|six)-(.*)\.test$/.exec(name) ?? [];
  if (kind === "six" && family === 6) return [coded.replaceAll("-", ":")];
  return kind === "ip" && family === 4 ? coded.split("-and-").map((each) => each.replaceAll("-", ".")) : [];
}

let trap: Answers;
let trap6: Answers | null;
let names: Awaited<ReturnType<typeof nameServer>>;

beforeAll(async () => {
  trap = await Answers.start({ "*": answer([{ n: 1 }]) }, undefined, 0, "0.0.0.0");
  trap6 = await Answers.start({ "*": answer([{ n: 1 }]) }, undefined, trap.port, "::1").catch(() => null);
  names = await nameServer(addressesOf);
});

afterAll(async () => {
  await trap[Symbol.asyncDispose]();
  await trap6?.[Symbol.asyncDispose]();
  await names[Symbol.asyncDispose]();
});

/** The codes by which a connection is refused, at its reading or at its use. */
async function codesOf(url: string, networks: readonly string[]): Promise<string[]> {
  const options = { url, networks, dns: [names.place] };
  const checked = connectionOptions.safeParse(options);
  if (!checked.success) return checked.error.issues.map(({ message }) => message.split(" ")[0] as string);
  return [(await problemFrom(url, { connection: options })).code as string];
}

test("the corpus is large enough", () => {
  expect(refused.length).toBeGreaterThanOrEqual(150);
  expect(new Set(corpus.map(({ networks, url }) => `${networks} ${url}`)).size).toBe(corpus.length);
});

test("every URL of the corpus is refused by its code, and nothing arrives anywhere", async () => {
  const wrong: string[] = [];
  for (const { verdict, networks, url } of refused) {
    const codes = await codesOf(url.replace("PORT", String(trap.port)), networks);
    if (!codes.includes(verdict)) wrong.push(`${url}: ${codes.join(", ")} in place of ${verdict}`);
  }
  expect(wrong).toEqual([]);
  expect([trap.connections, trap6?.connections ?? 0]).toEqual([0, 0]);
});

test("what is fine is let through", () => {
  for (const { networks, url } of corpus.filter(({ verdict }) => verdict === "ok")) {
    const guard = new Guard({
      url,
      networks,
      hosts: [],
      dns: undefined,
      ca: undefined,
      encryptedOnly: false,
      where: "connection api",
    });
    expect(() => guard.checkUrl(new URL(url)), url).not.toThrow();
  }
});

test("the trap works: with its network named, the same URL is asked", async () => {
  expect(await rowsFrom(`http://127.0.0.1:${trap.port}`)).toEqual([{ n: 1 }]);
  expect(trap.connections).toBe(1);
  trap.connections = 0;
});

describe("from a server that is fine", () => {
  // It has a loopback address of its own, so that its network can be named without the trap's.
  const host = "127.9.9.9";
  let location = "";
  let fine: Answers;

  beforeAll(async () => {
    fine = await Answers.start(
      {
        "/moved": (_, response) => response.writeHead(302, { location }).end(),
        "/paged": (_, response) => response.end(JSON.stringify({ rows: [], next: location })),
      },
      undefined,
      0,
      host,
    );
  });
  afterAll(() => fine[Symbol.asyncDispose]());

  /** Every address of the corpus is led to, its host listed, so that only the look at the address stands in the way. */
  async function wrongOnes(options: object, codes: readonly string[]): Promise<string[]> {
    const wrong: string[] = [];
    for (const { networks, url } of byAddress) {
      const target = new URL(url.replace("PORT", String(trap.port)));
      location = target.href;
      const connection = {
        hosts: [target.host, target.hostname],
        networks: [`${host}/32`, ...networks],
        dns: [names.place],
      };
      const { code } = await problemFrom(fine.url, { connection, options });
      if (!codes.includes(code ?? "")) wrong.push(`${url}: ${code}`);
    }
    return wrong;
  }

  test("no redirect leads to any address of the corpus", async () => {
    expect(await wrongOnes({ path: "/moved" }, ["NET-003", "NET-004"])).toEqual([]);
    expect([trap.connections, trap6?.connections ?? 0]).toEqual([0, 0]);
  });

  test("no next page does", async () => {
    expect(await wrongOnes({ path: "/paged", rows: "rows", pages: { next: "next" } }, ["NET-002", "NET-004"])).toEqual(
      [],
    );
    expect([trap.connections, trap6?.connections ?? 0]).toEqual([0, 0]);
  });

  test("no redirect leads to another scheme, nor a page", async () => {
    for (const target of ["file:///etc/passwd", "gopher://127.0.0.1:6379/_INFO", "data:application/json,[]"]) {
      location = target;
      const connection = { networks: [`${host}/32`] };
      expect(await problemFrom(fine.url, { connection, options: { path: "/moved" } })).toMatchObject({
        code: "NET-003",
      });
      const options = { path: "/paged", rows: "rows", pages: { next: "next" } };
      expect(await problemFrom(fine.url, { connection, options })).toMatchObject({ code: "NET-001" });
    }
  });

  test("a host that nobody listed is not gone to, wherever it is", async () => {
    location = `http://127.9.9.9:${trap.port}/`;
    const problem = await problemFrom(fine.url, {
      connection: { networks: ["127.0.0.0/8"] },
      options: { path: "/moved" },
    });
    expect(problem).toMatchObject({ code: "NET-003", fix: "add it to the connection's hosts if that is meant" });
    expect(trap.connections).toBe(0);
  });
});

describe("a name that moves", () => {
  test("from a good address to one that is not: what was looked at is what is connected to", async () => {
    let asked = 0;
    await using moving = await nameServer((_, family) => {
      if (family === 6) return [];
      asked += 1;
      return [asked === 1 ? "127.9.9.9" : "127.0.0.1"];
    });
    await using good = await Answers.start(
      { "*": (_, response) => response.writeHead(200, { connection: "close" }).end('[{"n":2}]') },
      undefined,
      trap.port + 1,
      "127.9.9.9",
    );
    const connection = { networks: ["127.9.9.9/32"], dns: [moving.place] };
    await using source = httpSource(`http://shop.test:${good.port}`, { connection });
    expect((await source.read(nineOClock, deadline(5_000))).rows).toEqual([{ n: 2 }]);
    const problem = await problemOf(source.read(nineOClock, deadline(5_000)));
    expect(problem).toMatchObject({ code: "NET-004", retryable: false });
    expect(problem.message).toContain("elsewhere before");
    expect([asked, good.seen.length, trap.connections]).toEqual([2, 1, 0]);
  });

  test("at every answer: not once does a request arrive at the bad address", async () => {
    let asked = 0;
    await using moving = await nameServer((_, family) => {
      if (family === 6) return [];
      asked += 1;
      return [["127.0.0.1", "127.9.9.9"], ["127.9.9.9"], ["127.0.0.1"]][asked % 3] as string[];
    });
    await using good = await Answers.start(
      { "*": (_, response) => response.writeHead(200, { connection: "close" }).end('[{"n":2}]') },
      undefined,
      trap.port + 1,
      "127.9.9.9",
    );
    const connection = { networks: ["127.9.9.9/32"], dns: [moving.place], requests_max: 8 };
    await using source = httpSource(`http://shop.test:${good.port}`, { connection });
    await source.read(nineOClock, deadline(5_000));
    const found = await Promise.all(
      Array.from({ length: 60 }, () =>
        source.read(nineOClock, deadline(10_000)).then(
          () => "rows",
          (thrown: unknown) => String((thrown as { code?: unknown }).code),
        ),
      ),
    );
    expect(new Set(found)).toEqual(new Set(["rows", "NET-004"]));
    expect(good.seen).toHaveLength(1 + found.filter((each) => each === "rows").length);
    expect(trap.connections).toBe(0);
  });
});

test("a proxy of the environment is not asked", async () => {
  const before = { ...process.env };
  Object.assign(process.env, {
    HTTP_PROXY: trap.url,
    http_proxy: trap.url,
    ALL_PROXY: trap.url,
    NODE_USE_ENV_PROXY: "1",
  });
  try {
    await using good = await Answers.start({ "*": answer([{ n: 3 }]) }, undefined, 0, "127.9.9.9");
    expect(await rowsFrom(good.url)).toEqual([{ n: 3 }]);
    expect(trap.connections).toBe(0);
  } finally {
    for (const name of ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "NODE_USE_ENV_PROXY"]) delete process.env[name];
    Object.assign(process.env, before);
  }
});

test("a name that nobody knows, and name servers that do not answer, are worth another try", async () => {
  const unknown = await problemFrom("http://nobody.test", { connection: { dns: [names.place] } });
  expect(unknown).toMatchObject({ code: "NET-010", retryable: true });
  expect(unknown.message).toMatch(/^nobody\.test (?:cannot be reached: its name|has no address)/);
  await using silent = await nameServer(() => {
    throw new Error("no answer");
  });
  const cut = await problemFrom("http://shop.test", { connection: { dns: [silent.place] } }, 700);
  expect(cut).toMatchObject({ retryable: true });
});
