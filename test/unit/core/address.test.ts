import { describe, expect, test } from "vitest";
import { isLoopback, isNetwork, judgeAddress, parseNetworks } from "../../../src/core/address.ts";
import { Problem } from "../../../src/core/problem.ts";

const everything = parseNetworks(["0.0.0.0/0", "::/0"]);

describe("an address", () => {
  test.each([
    "8.8.8.8",
    "172.32.0.1",
    "2606:4700:4700::1111",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
    "2002:808:808::1",
    // Teredo from 8.8.8.8 for a client at 8.8.4.4.
    "2001:0:808:808::f7f7:fbfb",
  ])("%s is public", (address) => expect(judgeAddress(address, [])).toEqual({ allowed: true }));

  test.each([
    ["10.0.0.1", "private"],
    ["127.0.0.1", "loopback"],
    ["::1", "loopback"],
    ["100.64.0.1", "private"],
    ["198.18.0.1", "private"],
    ["240.0.0.1", "private"],
    ["fd12::1", "private"],
    ["fec0::1", "private"],
    ["2001:db8::1", "private"],
    ["::ffff:10.0.0.1", "private"],
    ["::ffff:0:7f00:1", "loopback"],
    ["::127.0.0.1", "loopback"],
    ["64:ff9b::a00:1", "private"],
    ["64:ff9b:1::808:808", "private"],
    ["2002:7f00:1::", "loopback"],
    ["2001:0:808:808::f5ff:fffe", "private"],
    ["2a00:1450::5efe:10.0.0.1", "private"],
  ])("%s is %s, and allowed where a network names it", (address, kind) => {
    expect(judgeAddress(address, [])).toEqual({
      allowed: false,
      reason: `a ${kind} address that no list of networks names`,
    });
    expect(judgeAddress(address, everything)).toEqual({ allowed: true });
  });

  test.each([
    ["169.254.169.254", "a metadata address"],
    ["169.254.0.1", "link-local"],
    ["::ffff:a9fe:a9fe", "a metadata address"],
    ["::a9fe:a9fe", "a metadata address"],
    ["64:ff9b::a9fe:a9fe", "a metadata address"],
    ["64:ff9b:1::a9fe:a9fe", "a metadata address"],
    ["64:ff9b:1:a9fe:a9:fe00::", "a metadata address"],
    ["2002:a9fe::", "link-local"],
    ["2001:0:808:808::5601:5601", "a metadata address"],
    ["2a00:1450::5efe:169.254.169.254", "a metadata address"],
    ["fe80::1", "link-local"],
    ["fe80::1%eth0", "link-local"],
    ["fd00:ec2::254", "a metadata address"],
    ["fd20:ce::254", "a metadata address"],
    ["100.100.100.200", "a metadata address"],
    ["168.63.129.16", "a metadata address"],
    ["192.0.0.192", "a metadata address"],
    ["0.0.0.0", "no address of a machine"],
    ["::", "no address of a machine"],
    ["255.255.255.255", "a broadcast address"],
    ["224.0.0.1", "a multicast address"],
    ["ff02::1", "a multicast address"],
    ["100::1", "a discard address"],
  ])("%s is never allowed, whatever is listed: %s", (address, reason) => {
    expect(judgeAddress(address, everything)).toEqual({ allowed: false, reason });
  });

  test.each(["", "localhost", "2130706433", "0177.0.0.1", "127.1", "0x7f.0.0.1", "1.2.3.4.5", "::ffff:1.2.3", "[::1]"])(
    "%j is none in the one spelling that is taken",
    (text) => expect(judgeAddress(text, everything)).toEqual({ allowed: false, reason: "no address" }),
  );

  test("a network allows itself alone, also inside IPv6", () => {
    const networks = parseNetworks(["10.1.0.0/16", "fd12::/16"]);
    const allowed = (address: string): boolean => judgeAddress(address, networks).allowed;
    expect(["10.1.0.0", "10.1.255.255", "::ffff:10.1.2.3", "64:ff9b::a01:203", "fd12::9"].filter(allowed)).toHaveLength(
      5,
    );
    expect(
      ["10.0.255.255", "10.2.0.0", "::ffff:10.2.0.0", "fd13::9", "127.0.0.1", "169.254.169.254"].filter(allowed),
    ).toEqual([]);
  });
});

test("networks are CIDR, and IPv4 in four decimal parts", () => {
  expect(["10.1.0.0/16", "127.0.0.1/32", "::1/128", "fd12::/16", "0.0.0.0/0"].every(isNetwork)).toBe(true);
  expect(
    ["10.1.0.0", "10.1/16", "010.1.0.0/16", "10.1.0.0/33", "::/129", "all", "", "10.0.0.0/-1"].filter(isNetwork),
  ).toEqual([]);
  expect(() => parseNetworks(["10.1.0.0"])).toThrow(Problem);
});

test("loopback is told, also inside an IPv6 address", () => {
  expect(["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"].every(isLoopback)).toBe(true);
  expect(["10.0.0.1", "::2", "localhost", ""].filter(isLoopback)).toEqual([]);
});
