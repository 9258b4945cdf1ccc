import { describe, expect, test } from "vitest";
import type { Answer, Culprit, FieldKind } from "../../../src/core/ports.ts";
import { answerOf, faultOf } from "../../../src/store/stores/influx-answers.ts";

const older = (error: string): string => JSON.stringify({ error });
const newer = (code: string, message: string): string => JSON.stringify({ code, message });
const conflict =
  'partial write: field type conflict: input field "n" on measurement "m" is type string, already exists as type float';
const bound = "2025-05-20T19:06:17.612973Z";
const outside =
  "failure writing points to database: partial write: dropped 4 points outside retention policy of duration 24h0m0s - " +
  `oldest point home at 1970-01-01T00:00:01.541Z dropped because it violates a Retention Policy Lower Bound at ${bound}, ` +
  `newest point home at 1970-01-01T00:00:01.541Z dropped because it violates a Retention Policy Lower Bound at ${bound} dropped=4`;
const field = (given: FieldKind | null): Culprit => ({ kind: "field", measurement: "m", field: "n", given });

/** Texts as servers have given them: 1.6.7 and 2.8.0 as measured, 3.x as its documentation has them. */
describe("every answer to a write has its kind", () => {
  test.each<[string, number, string, Partial<Answer>]>([
    ["1.x", 204, "", { kind: "stored" }],
    ["1.x", 400, older(`${conflict} dropped=1`), { kind: "refused", culprit: field("text") }],
    [
      "2.x",
      422,
      newer("unprocessable entity", `failure writing points to database: ${conflict} dropped=1`),
      { kind: "refused", culprit: field("text") },
    ],
    ["1.x", 400, older(conflict.replace("string", "integer")), { kind: "refused", culprit: field(null) }],
    ["1.x", 400, older("partial write: points beyond retention policy dropped=1"), { kind: "expired", beforeMs: null }],
    [
      "2.x",
      422,
      newer("unprocessable entity", outside),
      { kind: "expired", beforeMs: Date.UTC(2025, 4, 20, 19, 6, 17, 612) },
    ],
    [
      "1.x",
      400,
      older(
        "partial write: unable to parse 'o n= 1': missing field value\nunable to parse 'o m=1,it's=\"a' 2\no m=2 3': unbalanced quotes dropped=0",
      ),
      { kind: "refused", culprit: { kind: "line", text: "o n= 1" } },
    ],
    [
      "2.x",
      400,
      newer("invalid", "unable to parse 'o m=1,it's=\"a': 'b\no m=2 3': unbalanced quotes"),
      { kind: "refused", culprit: { kind: "line", text: "o m=1,it's=\"a': 'b\no m=2 3" } },
    ],
    [
      "3.x",
      400,
      JSON.stringify({
        error: "partial write of line protocol occurred",
        data: [{ original_line: "m n= 1", line_number: 2, error_message: "no field value" }],
      }),
      { kind: "refused", culprit: { kind: "line", text: "m n= 1" } },
    ],
    ["1.x", 400, older("unable to parse"), { kind: "refused", culprit: null }],
    ["1.x", 404, older('database not found: "x"'), { kind: "operator" }],
    ["2.x", 404, newer("not found", "no dbrp mapping found"), { kind: "operator" }],
    ["1.x", 500, older("retention policy not found: nope"), { kind: "operator" }],
    ["1.x", 401, older("authorization failed"), { kind: "operator" }],
    ["2.x", 401, newer("unauthorized", "unauthorized access"), { kind: "operator" }],
    ["1.x", 403, older('"rd" user is not authorized to write to database "t"'), { kind: "operator" }],
    [
      "1.x",
      400,
      older('partial write: max-values-per-tag limit exceeded (2/2): measurement="m" tag="t" value="3" dropped=1'),
      { kind: "operator" },
    ],
    ["1.x", 400, older("partial write: max-series-per-database limit exceeded: (3) dropped=1"), { kind: "operator" }],
    ["1.x", 413, older("Request Entity Too Large"), { kind: "size" }],
    ["proxy", 413, "<html>413 Request Entity Too Large</html>", { kind: "size" }],
    ["1.x", 500, older("engine: write /data/wal/x: no space left on device"), { kind: "stuck" }],
    ["1.x", 500, older("timeout"), { kind: "unknown" }],
    ["1.x", 500, older("engine: cache-max-memory-size exceeded: (1073741910/1073741824)"), { kind: "unknown" }],
    ["1.x", 503, older("write timed out"), { kind: "unknown" }],
    ["proxy", 502, "<html>Bad Gateway</html>", { kind: "unknown" }],
    ["2.x", 429, newer("too many requests", "limit"), { kind: "unknown" }],
    ["proxy", 302, "", { kind: "unknown" }],
  ])("%s: %i %s", (_, status, body, wanted) => {
    expect(answerOf({ status, body })).toMatchObject(wanted);
  });

  test("a long text is cut", () => {
    const answer = answerOf({ status: 400, body: older(`unable to parse '${"x".repeat(5_000)}': no fields`) });
    expect(answer).toMatchObject({ culprit: { text: "x".repeat(5_000) } });
    expect((answer as { reason: string }).reason).toHaveLength(300);
  });

  test("nothing but a status is a reason too", () => {
    expect(answerOf({ status: 504, body: "" })).toEqual({ kind: "unknown", reason: "HTTP 504" });
  });
});

test.each<[number, string, boolean]>([
  [200, "database not found: x", false],
  [200, "error parsing query: found x, expected SELECT", false],
  [403, "error authorizing query: w not authorized to execute statement", false],
  [401, "authorization failed", false],
  [400, "unsupported", false],
  [200, "query interrupted", true],
  [200, "timeout", true],
  [503, "Service Unavailable", true],
  [429, "slow down", true],
  [200, "the answer ended early", true],
])("a question refused by %i %j may be asked again: %s", (status, text, retryable) => {
  expect(faultOf(status, text).retryable).toBe(retryable);
  expect(faultOf(status, text).fix).not.toBe("");
});
