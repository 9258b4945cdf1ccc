import { expect, test } from "vitest";
import { maskAddresses } from "../../../src/core/mask.ts";

test.each([
  ["ana@shop.example", "a***@shop.example"],
  ["550 <ana.silva@shop.example> unknown", "550 <a***@shop.example> unknown"],
  ["a@b.example, carl@b.example", "a***@b.example, c***@b.example"],
  ["+447700900123", "+44*******123"],
  ["see https://hooks.example/T00/secret?key=1 now", "see https://hooks.example/*** now"],
  ["https://user:password@hooks.example/x", "https://hooks.example/***"],
  ["250 2.0.0 Ok: queued as 4F1 at 10:41", "250 2.0.0 Ok: queued as 4F1 at 10:41"],
])("%s is shown as %s", (text, shown) => expect(maskAddresses(text)).toBe(shown));
