import { expect, test } from "vitest";
import { unsafeSettings } from "../../../src/cli/safety.ts";

test.each(["127.0.0.1", "127.9.9.9", "::1", "localhost"])("%s is this machine's own", (host) => {
  expect(unsafeSettings({ host })).toEqual([]);
});

test.each(["0.0.0.0", "::", "192.168.1.5", "fe80::1", "::ffff:10.0.0.1", "shop.example", "localhost.example", ""])(
  "%j lets others in, where no password is asked",
  (host) => {
    expect(unsafeSettings({ host })).toMatchObject([{ where: "BELLWETHER_HOST", fix: expect.stringMatching(/127/) }]);
  },
);
