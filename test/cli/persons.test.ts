/** Who did it: a name, by the rule of the console's API, or nothing is done. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Place, runInside } from "./run.ts";
import { makePlace, removePlace, write } from "./shop.ts";

let dir = "";
let here: Place;
beforeAll(() => {
  ({ dir, place: here } = makePlace());
});
afterAll(() => removePlace(dir));

const commands = [
  ["ack", "0"],
  ["shadow", "end", "shop-orders"],
  ["silence", "add", 'country="Germany"', "--for", "1h", "--reason", "stocktaking"],
  ["silence", "end", "0"],
];

test.each(commands)("%s %s: nobody is no name", async (...words) => {
  const empty = "--by - names nobody. Fix: write your name, or leave it out to act as who is logged in.\n";
  for (const by of ["", " \t"]) {
    expect(await runInside(here, [...words, "--by", by])).toEqual({ code: 2, out: "", err: empty });
  }
  expect(await runInside(here, [...words, "--by", "x".repeat(101)])).toEqual({
    ...{ code: 2, out: "" },
    err: "--by - longer than 100 characters. Fix: write your name, or leave it out to act as who is logged in.\n",
  });
});

test("blanks around a name are none of it", async () => {
  const add = ["silence", "add", 'country="Germany"', "--for", "1h", "--reason", "stocktaking"];
  expect(await runInside(here, [...add, "--by", "  Ana Silva "])).toMatchObject({ code: 0, err: "" });
  expect(JSON.parse((await runInside(here, ["silence", "list", "--json"])).out)).toMatchObject([
    { author: "Ana Silva" },
  ]);
});

test("check counts one person as one", async () => {
  const one = "people: { ana: { name: Ana Silva, email: ana@shop.example } }\n";
  write(here, "rules/people/shop.yaml", `${one}groups: { shop-team: { members: [ana] } }\n`);
  expect((await runInside(here, ["check"])).out).toBe(
    "no faults; sound: 1 sampler, 0 rules, 1 person in 1 group, 0 calendars, 1 connection\n",
  );
});
