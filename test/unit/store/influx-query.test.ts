import { expect, test } from "vitest";
import { parseMatcher } from "../../../src/core/labels.ts";
import { quoteName, quoteText, readStatements } from "../../../src/store/stores/influx-query.ts";
import { factsOfMetrics, factsOfVars } from "../../../src/store/stores/influx-setup-facts.ts";
import { createRollUp, isSameStatement, parseDuration } from "../../../src/store/stores/influx-setup-statements.ts";

test.each([
  ["a", '"a"', "'a'"],
  ['a"b', '"a\\"b"', "'a\"b'"],
  ["a'b", '"a\'b"', "'a\\'b'"],
  ['a\\"b', '"a\\\\\\"b"', "'a\\\\\"b'"],
  ["a\\", '"a\\\\"', "'a\\\\'"],
  ["a\nb", '"a\\nb"', "'a\\nb'"],
])("%j is quoted as a name and as a text", (text, name, value) => {
  expect(quoteName(text)).toBe(name);
  expect(quoteText(text)).toBe(value);
});

test("only what the server takes as we mean it becomes a condition", () => {
  const matchers = ['a="x"', 'a!="y"', 'a=""', 'a!=""', 'a=~"x.*"', 'unknown="x"'].map(parseMatcher);
  const schema = { tags: ["a", "b"], fields: [{ name: "n", type: "float" }] };
  expect(
    readStatements({ bucket: "", measurement: "m" }, schema, matchers, [
      { fromMs: 0.5, toMs: Number.POSITIVE_INFINITY },
    ]),
  ).toEqual([
    'SELECT "n"::float, "a"::tag, "b"::tag FROM "m" WHERE time >= 1ms AND time < 9223372036854ms ' +
      "AND \"a\"::tag = 'x' AND \"a\"::tag != 'y'",
  ]);
});

test("a down-sampling is known again in the words in which influxd 1.6.7 shows it", () => {
  const shown =
    'CREATE CONTINUOUS QUERY bw ON t RESAMPLE FOR 2h BEGIN SELECT sum(*), mean(*) INTO t."5m".:MEASUREMENT FROM t.autogen./.*/ GROUP BY time(5m), * END';
  const wanted = createRollUp('"t"', '"autogen"', '"5m"', 300_000).replace('QUERY "5m"', 'QUERY "bw"');
  expect(isSameStatement(shown, wanted)).toBe(true);
  expect(isSameStatement(shown, createRollUp('"t"', '"autogen"', '"5m"', 600_000))).toBe(false);
});

test.each([
  ["2160h0m0s", 90 * 86_400_000],
  ["0s", 0],
  ["1h30m0s", 5_400_000],
  ["500ms", 500],
])("%s as influxd writes it is %d ms", (text, ms) => {
  expect(parseDuration(text)).toBe(ms);
});

test("2.x tells of itself in its metrics", () => {
  const body = `# HELP influxdb_uptime_seconds influxdb process uptime in seconds
influxdb_uptime_seconds{id="0b1f2a3c4d5e6f70"} 12.5
process_start_time_seconds 1.79572912592e+09
storage_shard_disk_size{bucket="a",engine="tsm1",id="1",path="/x",walPath="/y"} 1000
storage_shard_disk_size{bucket="a",engine="tsm1",id="2",path="/x",walPath="/y"} 2.5e+06
`;
  expect(factsOfMetrics(body)).toMatchObject({
    startedMs: 1_795_729_125_920,
    identity: "0b1f2a3c4d5e6f70",
    diskBytes: 2_501_000,
  });
  expect(factsOfMetrics("")).toMatchObject({ startedMs: null, identity: null, diskBytes: null });
});

test("a 1.x that tells nothing of itself is taken at that", () => {
  expect(factsOfVars("{}")).toEqual({ startedMs: null, identity: null, diskBytes: 0, nowMs: null, rollsUp: false });
});
