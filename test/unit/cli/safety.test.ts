import { describe, expect, test } from "vitest";
import { unsafeSettings } from "../../../src/cli/safety.ts";

test.each(["127.0.0.1", "127.9.9.9", "::1", "localhost"])("%s is this machine's own", (host) => {
  expect(unsafeSettings({ host, influx: [], behindProxy: false })).toEqual([]);
});

test.each(["0.0.0.0", "::", "192.168.1.5", "fe80::1", "::ffff:10.0.0.1", "shop.example", "localhost.example", ""])(
  "%j lets others in, where no password is asked",
  (host) => {
    expect(unsafeSettings({ host, influx: [], behindProxy: false })).toMatchObject([
      { where: "BELLWETHER_HOST", fix: expect.stringMatching(/127/) },
    ]);
  },
);

test("where only a server that asks for a password reaches it, and where there is no console, any address will do", () => {
  expect(unsafeSettings({ host: "0.0.0.0", influx: [], behindProxy: true })).toEqual([]);
  expect(unsafeSettings({ host: "0.0.0.0", influx: [], behindProxy: false }, false)).toEqual([]);
});

describe("InfluxDBs", () => {
  const a = { name: "a", url: "http://127.0.0.1:8086", database: "shop" };
  const b = { name: "b", url: "http://[::1]:8086", database: "shop" };
  const away = { name: "copy-2", url: "https://influx.shop.example", database: "shop" };
  const wheres = (influx: Parameters<typeof unsafeSettings>[0]["influx"]) =>
    unsafeSettings({ host: "127.0.0.1", influx, behindProxy: false }).map(({ message }) => message);

  test("two on this machine are fine, and none at all", () => {
    expect(wheres([a, b])).toEqual([]);
    expect(wheres([])).toEqual([]);
  });

  test("one is one copy", () => {
    expect(wheres([a])).toEqual([expect.stringContaining("one copy")]);
  });

  test("one elsewhere that asks for nothing takes orders from anybody", () => {
    expect(wheres([a, away])).toEqual([expect.stringContaining("copy-2 is asked without a user or a token")]);
    expect(wheres([a, { ...away, token: "t" }])).toEqual([]);
    expect(wheres([a, { ...away, user: "u", password: "p" }])).toEqual([]);
  });
});
