import { expect, test } from "vitest";
import { Shares } from "../../../src/core/shares.ts";

class Thing implements AsyncDisposable {
  readonly name: string;
  closed = 0;
  constructor(name: string) {
    this.name = name;
  }
  measures() {
    return [{ name: this.name, help: "", kind: "gauge" as const, value: 1 }];
  }
  async [Symbol.asyncDispose](): Promise<void> {
    this.closed += 1;
  }
}

test("holders of one owner and key share a thing, which the last one closes; then it is made anew", async () => {
  const shares = new Shares<Thing>();
  const [owner, other] = [{}, {}];
  const first = shares.share(owner, "a", () => new Thing("first"));
  const second = shares.share(owner, "a", () => new Thing("never made"));
  const third = shares.share(other, "a", () => new Thing("of another owner"));
  expect([second.thing.name, third.thing.name]).toEqual(["first", "of another owner"]);
  expect(shares.measures(owner).map(({ name }) => name)).toEqual(["first"]);
  const underWay = first.another();
  await first.giveBack();
  await second.giveBack();
  expect(first.thing.closed).toBe(0);
  await underWay.giveBack();
  expect(first.thing.closed).toBe(1);
  expect(shares.measures(owner)).toEqual([]);
  expect(shares.share(owner, "a", () => new Thing("anew")).thing.name).toBe("anew");
  expect(third.thing.closed).toBe(0);
});
