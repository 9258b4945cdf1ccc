/** What servers may do to the HTTP source, and what becomes of it. Real servers on loopback, real certificates. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { deflateSync, gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { deadline } from "../../src/core/time.ts";
import {
  Answers,
  answer,
  type Handler,
  httpSource,
  nineOClock,
  problemFrom,
  problemOf,
  rowsFrom,
} from "../support/http.ts";

/** One server for one handler, and what a read of it gives. */
async function withServer<T>(
  handlers: Readonly<Record<string, Handler>> | Handler,
  work: (server: Answers) => Promise<T>,
): Promise<T> {
  await using server = await Answers.start(typeof handlers === "function" ? { "*": handlers } : handlers);
  return await work(server);
}

const redirect =
  (location: string, status = 302): Handler =>
  (_, response) =>
    response.writeHead(status, { location }).end("moved");

describe("the body", () => {
  const padded = (bytes: number): string => JSON.stringify([{ n: 1, pad: "x".repeat(bytes) }]);

  test("of up to 1 MiB is read, a longer one is cut", async () => {
    await withServer({ "/small": answer(padded(1_000_000)), "/large": answer(padded(1_100_000)) }, async ({ url }) => {
      const rows = "[].{n: n}";
      expect(await rowsFrom(url, { options: { path: "/small", rows } })).toEqual([{ n: 1 }]);
      expect(await problemFrom(url, { options: { path: "/small" } })).toMatchObject({
        code: "NET-006",
        message: 'a cell of column "pad" has more than 64 KiB',
      });
      const problem = await problemFrom(url, { options: { path: "/large" } });
      expect(problem).toMatchObject({ code: "NET-005", message: "the answer is longer than 1 MiB", retryable: false });
      expect(await rowsFrom(url, { options: { path: "/large", rows, body_mib_max: 2 } })).toEqual([{ n: 1 }]);
    });
  });

  test("that never ends is cut, and its sender is told", async () => {
    let sent = 0;
    let ended = false;
    const endless: Handler = (_, response) => {
      response.on("close", () => {
        ended = true;
      });
      const more = (): void => {
        if (ended) return;
        sent += 65_536;
        if (response.write(Buffer.alloc(65_536, "x"))) setImmediate(more);
        else response.once("drain", more);
      };
      more();
    };
    await withServer(endless, async ({ url }) => {
      expect(await problemFrom(url)).toMatchObject({ code: "NET-005" });
      await expect.poll(() => ended).toBe(true);
      expect(sent).toBeLessThan(20 * 1024 * 1024);
    });
  });

  test("that unpacks to a thousand times its size is cut while it is unpacked", async () => {
    const bomb = gzipSync(Buffer.alloc(300 * 1024 * 1024), { level: 9 });
    expect(bomb.length).toBeLessThan(1024 * 1024);
    const handler: Handler = (_, response) => response.writeHead(200, { "content-encoding": "gzip" }).end(bomb);
    await withServer(handler, async ({ url }) => {
      const before = process.memoryUsage().rss;
      const startMs = performance.now();
      expect(await problemFrom(url)).toMatchObject({ code: "NET-005" });
      expect(performance.now() - startMs).toBeLessThan(1_000);
      expect(process.memoryUsage().rss - before).toBeLessThan(100 * 1024 * 1024);
    });
  });

  test("is unpacked where it is packed", async () => {
    const text = '[{"n":7}]';
    const packed = (encoding: string, bytes: Uint8Array | string): Handler => {
      return (_, response) => response.writeHead(200, { "content-encoding": encoding }).end(bytes);
    };
    const handlers = {
      "/gzip": packed("gzip", gzipSync(text)),
      "/deflate": packed("deflate", deflateSync(text)),
      "/identity": packed("identity", text),
      "/cut": packed("gzip", gzipSync(text).subarray(0, 15)),
      "/broken": packed("gzip", text),
      "/twice": packed("gzip, gzip", gzipSync(gzipSync(text))),
    };
    await withServer(handlers, async ({ url }) => {
      for (const path of ["/gzip", "/deflate", "/identity"]) {
        expect(await rowsFrom(url, { options: { path } }), path).toEqual([{ n: 7 }]);
      }
      for (const path of ["/cut", "/broken", "/twice"]) {
        expect(await problemFrom(url, { options: { path } }), path).toMatchObject({ code: "NET-006" });
      }
    });
  });

  test("that is not what it should be is NET-006, by its form alone", async () => {
    const handlers = {
      "/html": answer("<html><body>Hello Ana Smith, your number is 5551234</body></html>", {
        "content-type": "text/html",
      }),
      "/binary": ((_, response) => response.end(Buffer.from([0x5b, 0xff, 0xfe, 0x5d]))) as Handler,
      "/latin": ((_, response) => {
        response.writeHead(200, { "content-type": "application/json; charset=iso-8859-1" });
        response.end(Buffer.from('[{"city":"K\u00f6ln"}]', "latin1"));
      }) as Handler,
      "/empty": answer(""),
      "/duplicate": answer('[{"n":1,"n":2}]'),
    };
    await withServer(handlers, async ({ url }) => {
      const problem = await problemFrom(url, { options: { path: "/html" } });
      expect(problem).toMatchObject({ code: "NET-006" });
      expect(problem.message).toBe(
        "the answer is not JSON: <aaaa><aaaa>Aaaaa Aaa Aaaaa, aaaa aaaaaa aa 9999999</aaaa></aaaa>",
      );
      for (const path of ["/binary", "/empty", "/duplicate"]) {
        expect(await problemFrom(url, { options: { path } }), path).toMatchObject({ code: "NET-006" });
      }
      expect(await rowsFrom(url, { options: { path: "/latin" } })).toEqual([{ city: "Köln" }]);
    });
  });

  test("that breaks off, or a connection that does, is worth another try", async () => {
    const handlers: Record<string, Handler> = {
      "/cut": (_, response) => {
        response.writeHead(200, { "content-length": "1000" });
        response.write('[{"n":', () => response.destroy());
      },
      "/chunked": (_, response) => {
        response.writeHead(200);
        response.write('[{"n":1}]', () => response.destroy());
      },
      "/reset": (request) => request.socket.resetAndDestroy(),
    };
    await withServer(handlers, async ({ url }) => {
      for (const path of ["/cut", "/chunked", "/reset"]) {
        expect(await problemFrom(url, { options: { path } }), path).toMatchObject({ code: "NET-010", retryable: true });
      }
    });
  });

  test("headers beyond 16 KB are refused", async () => {
    await withServer(answer([{ n: 1 }], { "x-long": "x".repeat(17_000) }), async ({ url }) => {
      expect(await problemFrom(url)).toMatchObject({ code: "NET-005", retryable: false });
    });
  });
});

describe("redirects", () => {
  const chain = (length: number): Record<string, Handler> => ({
    ...Object.fromEntries(Array.from({ length }, (_, at) => [`/${at}`, redirect(`/${at + 1}`)])),
    [`/${length}`]: answer([{ n: length }]),
  });

  test("three are followed, four are not", async () => {
    await withServer(chain(3), async ({ url }) => {
      expect(await rowsFrom(url, { options: { path: "/0" } })).toEqual([{ n: 3 }]);
    });
    await withServer(chain(4), async ({ url, seen }) => {
      const problem = await problemFrom(url, { options: { path: "/0" } });
      expect(problem).toMatchObject({ code: "NET-003", message: "more than 3 redirects", retryable: false });
      expect(seen).toHaveLength(4);
    });
  });

  test("to another origin carry no credentials, and none come back", async () => {
    const asked: (string | undefined)[][] = [];
    const note =
      (then: Handler): Handler =>
      (request, response) => {
        const { authorization, "x-api-key": key, "x-team": team } = request.headers;
        asked.push([authorization, key as string | undefined, team as string | undefined]);
        then(request, response);
      };
    await using last = await Answers.start({ "/": note(answer([{ n: 1 }])) });
    let backTo = "";
    await using other = await Answers.start({ "/": note((request, response) => redirect(backTo)(request, response)) });
    await using first = await Answers.start({
      "/": note(redirect(`${other.url}/`)),
      "/back": note(redirect(`${last.url}/`)),
    });
    backTo = `${first.url}/back`;
    const connection = {
      hosts: [`127.0.0.1:${other.port}`, `127.0.0.1:${last.port}`],
      auth: { bearer: "env:TOKEN" },
      headers: { "X-Api-Key": "env:KEY", "X-Team": "shop" },
    };
    expect(await rowsFrom(first.url, { connection })).toEqual([{ n: 1 }]);
    const known = ["Bearer value-of-env-TOKEN", "value-of-env-KEY", "shop"];
    const unknown = [undefined, undefined, "shop"];
    expect(asked).toEqual([known, unknown, unknown, unknown]);
  });

  test("a POST stays one or is refused", async () => {
    const methods: string[] = [];
    const handlers: Record<string, Handler> = {
      "/307": redirect("/end", 307),
      "/302": redirect("/end", 302),
      "/end": (request, response) => {
        methods.push(request.method ?? "");
        response.end('[{"n":1}]');
      },
    };
    await withServer(handlers, async ({ url }) => {
      const options = { method: "POST", body: {} };
      expect(await rowsFrom(url, { options: { ...options, path: "/307" } })).toEqual([{ n: 1 }]);
      expect(await problemFrom(url, { options: { ...options, path: "/302" } })).toMatchObject({ code: "NET-003" });
    });
    expect(methods).toEqual(["POST"]);
  });
});

describe.concurrent("a server that takes its time", () => {
  test("that sends a byte a second is cut after 10 s, whatever the sampler grants", async ({ expect }) => {
    let ended = false;
    const slow: Handler = (request, response) => {
      response.writeHead(200, { "content-type": "application/json" });
      const timer = setInterval(() => response.write(" "), 1_000);
      request.on("close", () => {
        ended = true;
        clearInterval(timer);
      });
    };
    await withServer(slow, async ({ url }) => {
      const startMs = performance.now();
      const problem = await problemFrom(url, {}, 60_000);
      expect(problem).toMatchObject({ code: "NET-005", retryable: true });
      expect(performance.now() - startMs).toBeGreaterThan(9_500);
      expect(performance.now() - startMs).toBeLessThan(12_000);
      await expect.poll(() => ended).toBe(true);
    });
  });

  const busy = (times: number, status: number, headers: Record<string, string> = {}): Handler => {
    let seen = 0;
    return (request, response) => {
      seen += 1;
      if (seen <= times) answer({ error: "busy" }, headers, status)(request, response);
      else answer([{ n: seen }])(request, response);
    };
  };

  test.each([429, 502, 503, 504])("that answers %i is asked twice more", async (status) => {
    await withServer(busy(2, status), async ({ url, seen }) => {
      expect(await rowsFrom(url)).toEqual([{ n: 3 }]);
      expect(seen).toHaveLength(3);
    });
    await withServer(busy(3, status), async ({ url, seen }) => {
      expect(await problemFrom(url)).toMatchObject({ code: "NET-013", retryable: true });
      expect(seen).toHaveLength(3);
    });
  });

  test("is given the time that it asks for, if that is short", async () => {
    await withServer(busy(1, 429, { "retry-after": "1" }), async ({ url }) => {
      const startMs = performance.now();
      expect(await rowsFrom(url)).toEqual([{ n: 2 }]);
      expect(performance.now() - startMs).toBeGreaterThan(950);
    });
  });

  test("that asks for longer is left alone, and the wait is passed on", async () => {
    await withServer(busy(1, 503, { "retry-after": "120" }), async ({ url, seen }) => {
      const problem = await problemFrom(url);
      expect(problem).toMatchObject({ code: "NET-013", retryable: true, retryAfterMs: 120_000 });
      expect(problem.fix).toContain("2m");
      expect(seen).toHaveLength(1);
    });
    const date = new Date(Date.now() + 60_000).toUTCString();
    await withServer(busy(1, 503, { "retry-after": date }), async ({ url }) => {
      const { retryAfterMs = 0 } = await problemFrom(url);
      expect(retryAfterMs).toBeGreaterThan(55_000);
      expect(retryAfterMs).toBeLessThanOrEqual(60_000);
    });
  });

  test("whose wait does not fit the time that is left says so, and is no mere cut", async () => {
    await withServer(busy(1, 429, { "retry-after": "2" }), async ({ url, seen }) => {
      expect(await problemFrom(url, {}, 500)).toMatchObject({ code: "NET-013", retryAfterMs: 2_000, retryable: true });
      expect(seen).toHaveLength(1);
    });
  });

  test.each([400, 401, 404, 500, 501])("an answer of %i is final", async (status) => {
    await withServer(answer({}, {}, status), async ({ url, seen }) => {
      await problemFrom(url);
      expect(seen).toHaveLength(1);
    });
  });
});

test("a server is never asked more at a time than the connection allows", async () => {
  let now = 0;
  let most = 0;
  const counting: Handler = (_, response) => {
    now += 1;
    most = Math.max(most, now);
    void sleep(30).then(() => {
      now -= 1;
      response.end('[{"n":1}]');
    });
  };
  await withServer(counting, async ({ url }) => {
    await using source = httpSource(url, { connection: { requests_max: 3 } });
    const startMs = performance.now();
    const answers = await Promise.all(Array.from({ length: 12 }, () => source.read(nineOClock, deadline(10_000))));
    const serverMs = answers.reduce((sum, { cost }) => sum + cost.serverMs, 0);
    expect(most).toBe(3);
    // Three at a time cannot take more than three times as long: waiting for a place is not in it.
    expect(serverMs).toBeLessThan(3 * (performance.now() - startMs));
  });
});

describe("pages", () => {
  const paged =
    (pages: number, next: (page: number) => object): Handler =>
    (request, response) => {
      const page = Number(new URL(request.url ?? "/", "http://x").searchParams.get("page") ?? "1");
      response.end(JSON.stringify({ rows: [{ page }], ...(page < pages ? next(page) : {}) }));
    };
  const options = { rows: "rows", pages: { next: "next", max: 5 } };

  test("are read to the last", async () => {
    await withServer(
      paged(5, (page) => ({ next: `/?page=${page + 1}` })),
      async ({ url }) => {
        expect(await rowsFrom(url, { options })).toEqual([1, 2, 3, 4, 5].map((page) => ({ page })));
      },
    );
    await withServer(
      paged(3, (page) => ({ cursor: page + 1 })),
      async ({ url }) => {
        const byCursor = { rows: "rows", pages: { cursor: "cursor", param: "page" } };
        expect(await rowsFrom(url, { options: byCursor })).toHaveLength(3);
      },
    );
  });

  test("one more than allowed is a Problem, not a cut", async () => {
    await withServer(
      paged(6, (page) => ({ next: `/?page=${page + 1}` })),
      async ({ url, seen }) => {
        expect(await problemFrom(url, { options })).toMatchObject({ code: "NET-014", message: "more than 5 pages" });
        expect(seen).toHaveLength(5);
      },
    );
  });

  test("that go in a circle are left", async () => {
    const circle = paged(99, (page) => ({ next: `/?page=${page === 3 ? 2 : page + 1}` }));
    await withServer(circle, async ({ url, seen }) => {
      expect(await problemFrom(url, { options: { ...options, pages: { next: "next", max: 50 } } })).toMatchObject({
        code: "NET-015",
      });
      expect(seen).toHaveLength(3);
    });
  });

  test("together have no more rows than one may", async () => {
    await withServer(
      paged(5, (page) => ({ next: `/?page=${page + 1}` })),
      async ({ url }) => {
        expect(await problemFrom(url, { options: { ...options, rows_max: 4 } })).toMatchObject({ code: "NET-014" });
      },
    );
  });

  test("on another host that is listed carry no credentials", async () => {
    await using other = await Answers.start({ "/": answer({ rows: [{ page: 2 }] }) });
    await withServer(answer({ rows: [{ page: 1 }], next: `${other.url}/` }), async ({ url, seen }) => {
      const connection = { hosts: [`127.0.0.1:${other.port}`], auth: { bearer: "env:TOKEN" } };
      expect(await rowsFrom(url, { connection, options })).toHaveLength(2);
      expect(seen[0]?.headers.authorization).toBe("Bearer value-of-env-TOKEN");
      expect(other.seen[0]?.headers.authorization).toBeUndefined();
    });
  });
});

describe("what has not changed", () => {
  const marked = (etag: string, body: object): Handler => {
    return (request, response) => {
      if (request.headers["if-none-match"] === etag) response.writeHead(304, { etag }).end();
      else response.writeHead(200, { etag }).end(JSON.stringify(body));
    };
  };
  const { fromMs, toMs } = nineOClock;
  const next = { fromMs: toMs, toMs: toMs + (toMs - fromMs) };

  test("is not sent again, and is the same rows", async () => {
    await withServer(marked('"a1"', [{ n: 5 }]), async ({ url, seen }) => {
      await using source = httpSource(url);
      for (let at = 0; at < 3; at += 1) {
        expect((await source.read(nineOClock, deadline(5_000))).rows).toEqual([{ n: 5 }]);
      }
      expect(seen.map(({ headers }) => headers["if-none-match"])).toEqual([undefined, '"a1"', '"a1"']);
    });
  });

  test("holds for one URL alone: another slot asks anew", async () => {
    await withServer(marked('"a1"', [{ n: 5 }]), async ({ url, seen }) => {
      await using source = httpSource(url, { options: { path: "/?from={slot_start}" } });
      await source.read(nineOClock, deadline(5_000));
      await source.read(next, deadline(5_000));
      await source.read(nineOClock, deadline(5_000));
      expect(seen.map(({ headers }) => headers["if-none-match"])).toEqual([undefined, undefined, undefined]);
    });
  });

  test("cannot be said of what was never sent", async () => {
    await withServer(
      (_, response) => response.writeHead(304).end(),
      async ({ url }) => {
        expect(await problemFrom(url)).toMatchObject({ code: "NET-009" });
      },
    );
  });
});

describe("certificates", () => {
  let folder = "";
  const file = (name: string): string => join(folder, name);
  const openssl = (...args: string[]): void => {
    execFileSync("openssl", args, { cwd: folder, stdio: "pipe" });
  };
  const subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"];
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "bellwether-certificates-"));
    openssl("req", "-x509", ...key, "-keyout", "own.key", "-out", "own.pem", "-days", "2", ...subject);
    openssl("req", "-x509", ...key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=Shop authority");
    const signed = (name: string, names: string, ...when: string[]): void => {
      openssl(
        "req",
        ...key,
        "-keyout",
        `${name}.key`,
        "-out",
        `${name}.csr`,
        "-subj",
        "/CN=x",
        "-addext",
        `subjectAltName=${names}`,
      );
      const by = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-copy_extensions", "copy"];
      openssl("x509", "-req", "-in", `${name}.csr`, "-out", `${name}.pem`, ...by, ...when);
    };
    signed("good", "IP:127.0.0.1", "-days", "2");
    signed("other", "DNS:other.example", "-days", "2");
    signed("expired", "IP:127.0.0.1", "-days", "-1");
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const serving = (name: string): Promise<Answers> =>
    Answers.start(
      { "*": answer([{ n: 1 }]) },
      { key: readFileSync(file(`${name}.key`), "utf8"), cert: readFileSync(file(`${name}.pem`), "utf8") },
    );

  test.each([
    ["own", undefined, "is self-signed"],
    ["good", undefined, "is signed by an authority that is not trusted"],
    ["other", "ca.pem", "is for another host"],
    ["expired", "ca.pem", "has expired"],
    ["own", "ca.pem", "is self-signed"],
  ])("%s, with %s as authority: %s", async (name, ca, what) => {
    await using server = await serving(name);
    const asking = { connection: ca === undefined ? {} : { ca }, deps: { dataDir: folder } };
    const problem = await problemFrom(server.url, asking);
    expect(problem).toMatchObject({ code: "NET-008", retryable: false });
    expect(problem.message).toContain(what);
    expect(server.seen).toHaveLength(0);
  });

  test("of a named authority are taken", async () => {
    await using server = await serving("good");
    expect(await rowsFrom(server.url, { connection: { ca: "ca.pem" }, deps: { dataDir: folder } })).toEqual([{ n: 1 }]);
    expect(await rowsFrom(server.url, { connection: { ca: file("ca.pem") } })).toEqual([{ n: 1 }]);
  });

  test("no variable of the environment turns the check off", async () => {
    process.env.NODE_TLS_REJECT_UNAUTHORIZED = "0";
    try {
      await using server = await serving("own");
      expect(await problemFrom(server.url)).toMatchObject({ code: "NET-008" });
    } finally {
      delete process.env.NODE_TLS_REJECT_UNAUTHORIZED;
    }
  });

  test("a redirect from https to http is refused", async () => {
    await using plain = await Answers.start({ "*": answer([{ n: 1 }]) });
    await using server = await Answers.start(
      { "*": redirect(`${plain.url}/`) },
      { key: readFileSync(file("good.key"), "utf8"), cert: readFileSync(file("good.pem"), "utf8") },
    );
    const connection = { ca: "ca.pem", hosts: [`127.0.0.1:${plain.port}`] };
    const problem = await problemFrom(server.url, { connection, deps: { dataDir: folder } });
    expect(problem).toMatchObject({ code: "NET-003", message: "a redirect from https to http" });
    expect(plain.seen).toHaveLength(0);
  });

  test("a file that is none is told of before anything is asked", () => {
    expect(() =>
      httpSource("https://127.0.0.1", { connection: { ca: "missing.pem" }, deps: { dataDir: folder } }),
    ).toThrow(/cannot read missing.pem/);
    expect(() => httpSource("https://127.0.0.1", { connection: { ca: "own.key" }, deps: { dataDir: folder } })).toThrow(
      /holds no certificate/,
    );
  });
});

describe("secrets", () => {
  test("are asked for at each request, and are in no message", async () => {
    let value = "first-secret";
    const authorizations: (string | undefined)[] = [];
    const handler: Handler = (request, response) => {
      authorizations.push(request.headers.authorization);
      response.writeHead(403).end(request.headers.authorization);
    };
    await withServer(handler, async ({ url }) => {
      const auth = { basic: { user: "reader", password: "env:API_PASSWORD" } };
      await using source = httpSource(url, { connection: { auth }, deps: { secret: () => value } });
      for (const each of ["first-secret", "second-secret"]) {
        value = each;
        const problem = await problemOf(source.read(nineOClock, deadline(5_000)));
        expect(problem).toMatchObject({ code: "NET-011", retryable: false });
        expect(JSON.stringify([problem.message, problem.fix, problem.where])).not.toContain("secret");
      }
    });
    const sent = authorizations.map((text) => Buffer.from(text?.split(" ")[1] ?? "", "base64").toString());
    expect(sent).toEqual(["reader:first-secret", "reader:second-secret"]);
  });

  test("that no header can carry are told of by their reference", async () => {
    await withServer(answer([]), async ({ url, seen }) => {
      const asking = { connection: { auth: { bearer: "env:TOKEN" } }, deps: { secret: () => "a\r\nX-Evil: 1" } };
      const problem = await problemFrom(url, asking);
      expect(problem).toMatchObject({ code: "CFG-013", retryable: false });
      expect(problem.message).toContain("env:TOKEN");
      expect(problem.message).not.toContain("Evil");
      expect(seen).toHaveLength(0);
    });
  });
});

const own = Object.values(networkInterfaces())
  .flat()
  .find((each) => each?.family === "IPv4" && !each.internal)?.address;

describe.skipIf(own === undefined)("plain http to another machine", () => {
  const connection = { networks: [`${own}/32`], auth: { bearer: "env:TOKEN" } };

  test("carries no credentials in production, and is found to elsewhere", async () => {
    await using server = await Answers.start({ "*": answer([{ n: 1 }]) }, undefined, 0, own);
    const production = { connection, deps: { production: true } };
    expect(await problemFrom(server.url, production)).toMatchObject({ code: "NET-017", retryable: false });
    expect(server.seen).toHaveLength(0);
    expect(await rowsFrom(server.url, { connection })).toEqual([{ n: 1 }]);
    await using source = httpSource(server.url, { connection });
    const { problems } = await source.inspect(nineOClock, deadline(5_000));
    expect(problems.map(({ code, severity }) => [code, severity])).toEqual([["NET-017", "warning"]]);
  });

  test("is told of in production, without credentials", async () => {
    await using server = await Answers.start({ "*": answer([{ n: 1 }]) }, undefined, 0, own);
    const open = { connection: { networks: connection.networks }, deps: { production: true } };
    expect(await rowsFrom(server.url, open)).toEqual([{ n: 1 }]);
    await using source = httpSource(server.url, open);
    const { problems } = await source.inspect(nineOClock, deadline(5_000));
    expect(problems.map(({ code }) => code)).toEqual(["NET-019"]);
  });
});

describe("inspect", () => {
  test("asks for no rows, and tells server, clock and path", async () => {
    const ahead = new Date(Date.now() + 120_000).toUTCString();
    await withServer(answer([], { server: "shop/1.2", date: ahead }), async ({ url, seen, port }) => {
      await using source = httpSource(`${url}/api`, { options: { path: "/orders?from={slot_start}" } });
      const facts = await source.inspect(nineOClock, deadline(5_000));
      expect(facts).toMatchObject({ server: `shop/1.2 at 127.0.0.1:${port}`, problems: [] });
      expect(facts.tables).toEqual([{ name: "/api/orders", rows: null }]);
      expect(facts.clockAheadMs).toBeGreaterThan(115_000);
      expect(seen.map(({ method, url }) => `${method} ${url}`)).toEqual(["HEAD /api"]);
    });
  });

  test("a server that does not let us in is a finding, and no end", async () => {
    await withServer(answer({}, {}, 401), async ({ url }) => {
      await using source = httpSource(url);
      const { problems } = await source.inspect(nineOClock, deadline(5_000));
      expect(problems.map(({ code }) => code)).toEqual(["NET-011"]);
    });
  });
});
