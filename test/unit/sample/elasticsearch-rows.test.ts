import { describe, expect, test } from "vitest";
import { shortForm, shortRows, sized } from "../../../src/sample/sources/elasticsearch-ask.ts";
import type { JsonMap } from "../../../src/sample/sources/elasticsearch-queries.ts";
import { rowsOf } from "../../../src/sample/sources/elasticsearch-rows.ts";

/** Answers are those of an Elasticsearch 8.19.21 to the aggregations beside them, over four orders. */
type Case = {
  readonly name: string;
  readonly aggs: JsonMap;
  readonly answer: unknown;
  readonly rows: readonly object[];
};

const amount = { amount: { sum: { field: "amount" } } };

const cases: readonly Case[] = [
  { name: "without aggregations there is one row, the count", aggs: {}, answer: undefined, rows: [{ count: 4 }] },
  {
    name: "metrics are columns of one row; what has no value is null, a sum of nothing is 0",
    aggs: {
      a: { avg: { field: "amount" } },
      s: { sum: { field: "amount" } },
      p: { percentiles: { field: "amount", percents: [50, 99.9] } },
      c: { cardinality: { field: "country" } },
      pr: { percentile_ranks: { field: "amount", values: [2, 5.5] } },
      m: { min: { field: "@timestamp" } },
    },
    answer: {
      p: { values: { "50.0": null, "99.9": null } },
      a: { value: null },
      pr: { values: { "2.0": null, "5.5": null } },
      c: { value: 0 },
      s: { value: 0 },
      m: { value: null },
    },
    rows: [{ count: 4, a: null, s: 0, p_p50: null, p_p99_9: null, c: 0, pr_le_2: null, pr_le_5_5: null, m: null }],
  },
  {
    name: "stats are five columns",
    aggs: { id: { terms: { field: "id", size: 2 }, aggs: { s: { stats: { field: "amount" } } } } },
    answer: {
      id: {
        doc_count_error_upper_bound: 0,
        sum_other_doc_count: 0,
        buckets: [{ key: 7, doc_count: 2, s: { count: 2, min: 2.25, max: 10.5, avg: 6.375, sum: 12.75 } }],
      },
    },
    rows: [{ id: 7, count: 2, s_count: 2, s_min: 2.25, s_max: 10.5, s_avg: 6.375, s_sum: 12.75 }],
  },
  {
    name: "truth values and times are columns as text, as the server writes them",
    aggs: {
      minute: {
        date_histogram: { field: "@timestamp", fixed_interval: "1m" },
        aggs: { paid: { terms: { field: "paid" } } },
      },
    },
    answer: {
      minute: {
        buckets: [
          {
            key_as_string: "2026-11-20T09:00:00.000Z",
            key: 1795165200000,
            doc_count: 2,
            paid: {
              doc_count_error_upper_bound: 0,
              sum_other_doc_count: 0,
              buckets: [
                { key: 0, key_as_string: "false", doc_count: 1 },
                { key: 1, key_as_string: "true", doc_count: 1 },
              ],
            },
          },
          {
            key_as_string: "2026-11-20T09:01:00.000Z",
            key: 1795165260000,
            doc_count: 0,
            paid: { doc_count_error_upper_bound: 0, sum_other_doc_count: 0, buckets: [] },
          },
        ],
      },
    },
    rows: [
      { minute: "2026-11-20T09:00:00.000Z", paid: "false", count: 1 },
      { minute: "2026-11-20T09:00:00.000Z", paid: "true", count: 1 },
    ],
  },
  {
    name: "composite buckets have a column for each source",
    aggs: {
      any: {
        composite: { size: 9, sources: [{ country: { terms: { field: "country", missing_bucket: true } } }] },
        aggs: amount,
      },
    },
    answer: {
      any: {
        after_key: { country: "France" },
        buckets: [
          { key: { country: null }, doc_count: 1, amount: { value: 1 } },
          { key: { country: "France" }, doc_count: 1, amount: { value: 7 } },
        ],
      },
    },
    rows: [
      { country: null, count: 1, amount: 1 },
      { country: "France", count: 1, amount: 7 },
    ],
  },
  {
    name: "named filters are rows by their names, ranges by their bounds",
    aggs: {
      kind: {
        filters: { other_bucket_key: "rest", filters: { french: { term: { country: "France" } } } },
        aggs: { size: { range: { field: "amount", ranges: [{ to: 5 }, { from: 5 }] } } },
      },
    },
    answer: {
      kind: {
        buckets: {
          french: {
            doc_count: 1,
            size: {
              buckets: [
                { key: "*-5.0", to: 5, doc_count: 0 },
                { key: "5.0-*", from: 5, doc_count: 1 },
              ],
            },
          },
          rest: { doc_count: 0, size: { buckets: [] } },
        },
      },
    },
    rows: [
      { kind: "french", size: "*-5.0", count: 0 },
      { kind: "french", size: "5.0-*", count: 1 },
    ],
  },
  {
    name: "a filter is a column of its count, and one for each metric in it",
    aggs: { paid: { filter: { term: { paid: true } }, aggs: amount }, ...amount },
    answer: { paid: { doc_count: 3, amount: { value: 18.5 } }, amount: { value: 20.75 } },
    rows: [{ count: 4, paid: 3, paid_amount: 18.5, amount: 20.75 }],
  },
  {
    name: "a filter around a grouping is no column: the rows are the grouping's",
    aggs: { paid: { filter: { term: { paid: true } }, aggs: { country: { terms: { field: "country" } } } } },
    answer: {
      paid: { doc_count: 3, country: { sum_other_doc_count: 0, buckets: [{ key: "France", doc_count: 1 }] } },
    },
    rows: [{ country: "France", count: 1 }],
  },
];

describe("an answer becomes rows", () => {
  test.each(cases)("$name", ({ aggs, answer, rows }) => {
    expect(rowsOf(aggs, answer, 4)).toMatchObject({ rows, cut: null, odd: null });
  });

  test("the count goes by the name that it was given", () => {
    expect(rowsOf({}, undefined, 4, "orders").rows).toEqual([{ orders: 4 }]);
  });
});

describe("what did not come along is seen", () => {
  const terms = { id: { terms: { field: "id", size: 1 } } };
  const answer = (others: number, error: number) => ({
    id: { doc_count_error_upper_bound: error, sum_other_doc_count: others, buckets: [{ key: 1, doc_count: 2 }] },
  });

  test("documents of further values", () => {
    expect(rowsOf(terms, answer(1_234, 0), 4).cut).toBe("id leaves out 1,234 documents of further values");
  });
  test("counts that may be wrong", () => {
    expect(rowsOf(terms, answer(0, 3), 4).cut).toBe("counts of id are wrong by up to 3 documents");
  });
  test("a full page of composite buckets, also within another grouping", () => {
    const pages = { page: { composite: { size: 1, sources: [{ c: { terms: { field: "c" } } }] } } };
    const page = { page: { after_key: { c: "a" }, buckets: [{ key: { c: "a" }, doc_count: 1 }] } };
    expect(rowsOf(pages, page, 1).cut).toBe("page has 1 buckets or more");
    const outer = { id: { terms: { field: "id", size: 9 }, aggs: pages } };
    const nested = { id: { sum_other_doc_count: 0, buckets: [{ key: 1, doc_count: 1, ...page }] } };
    expect(rowsOf(outer, nested, 1).cut).toBe("page has 1 buckets or more");
  });
  test("an aggregation that the answer lacks", () => {
    expect(rowsOf(terms, {}, 4).odd).toBe("no aggregation id in it");
    expect(rowsOf(amount, {}, 4).odd).toBe("no aggregation amount in it");
  });
});

describe("the short form", () => {
  const by = { country: { field: "country.keyword", missing: "none" } };
  const values = { revenue: { sum: "amount" }, slow: { p99_9: "" }, users: { unique: "user" } };

  test("is one composite with one bucket more than there may be rows", () => {
    expect(
      shortForm(by, { revenue: { sum: "amount" }, slow: { "p99.9": "ms" }, users: { unique: "user" } }, 100),
    ).toEqual({
      by: {
        composite: {
          size: 101,
          sources: [{ country: { terms: { field: "country.keyword", missing_bucket: true } } }],
        },
        aggs: {
          revenue: { sum: { field: "amount" } },
          slow: { percentiles: { field: "ms", percents: [99.9] } },
          users: { cardinality: { field: "user" } },
        },
      },
    });
  });
  test("gives its columns their names back, and what is missing the text that was wanted", () => {
    const named = { ...values, slow: { "p99.9": "ms" } };
    expect(shortRows([{ country: null, count: 1, revenue: 2, slow_p99_9: 3, users: 1 }], by, named)).toEqual([
      { country: "none", count: 1, revenue: 2, slow: 3, users: 1 },
    ]);
  });
  test("without by it is columns alone", () => {
    expect(shortForm({}, { revenue: { sum: "amount" } }, 9)).toEqual({ revenue: { sum: { field: "amount" } } });
  });
});

test("groupings without a size ask for one bucket more than there may be rows, at every level; others keep theirs", () => {
  const aggs = {
    a: { terms: { field: "a" }, aggregations: { b: { terms: { field: "b", size: 3 } } } },
    f: { filter: { terms: { a: ["x"] } } },
  };
  expect(sized(aggs, 10)).toEqual({
    a: { terms: { size: 11, field: "a" }, aggs: { b: { terms: { size: 3, field: "b" } } } },
    f: { filter: { terms: { a: ["x"] } } },
  });
});
