/** Functions that may be called, by dialect. Whatever is not named here is refused: it may write, wait or read files. */
import { closest, distance } from "fastest-levenshtein";
import type { Dialect } from "./sql-parse-findings.ts";

const words = (text: string): string[] => text.split(/\s+/).filter((word) => word !== "");

/** The same in all three. */
const common = {
  aggregates: words("avg count max min sum"),
  windows: words("cume_dist dense_rank first_value lag last_value lead nth_value ntile percent_rank rank row_number"),
  numbers: words(
    `abs acos asin atan atan2 ceil ceiling cos degrees exp floor ln log log10 mod pi power radians round
    sign sin sqrt tan`,
  ),
  conditions: words("coalesce nullif"),
  texts: words("concat concat_ws length lower ltrim replace rtrim substr substring trim upper"),
};

const postgres = {
  aggregates: words(
    `array_agg bit_and bit_or bool_and bool_or corr covar_pop covar_samp every grouping json_agg json_object_agg jsonb_agg
    jsonb_object_agg mode percentile_cont percentile_disc regr_count regr_intercept regr_r2 regr_slope stddev
    stddev_pop stddev_samp string_agg var_pop var_samp variance`,
  ),
  numbers: words("cbrt cosh cot div random sinh tanh trunc width_bucket"),
  conditions: words("greatest least num_nonnulls num_nulls"),
  texts: words(
    `ascii bit_length btrim char_length character_length chr initcap left like_escape lpad md5 octet_length overlay
    position quote_literal regexp_count regexp_match regexp_replace regexp_split_to_array regexp_substr reverse right
    rpad similar_to_escape split_part starts_with strpos to_hex to_number translate`,
  ),
  times: words(
    `age clock_timestamp current_date current_time current_timestamp date date_bin date_part date_trunc extract isfinite
    justify_days justify_hours justify_interval localtime localtimestamp make_date make_interval make_time
    make_timestamp make_timestamptz now overlaps statement_timestamp timezone to_char to_date to_timestamp
    transaction_timestamp`,
  ),
  json: words(
    `json_array_length json_extract_path json_extract_path_text json_typeof jsonb_array_length jsonb_exists
    jsonb_extract_path jsonb_extract_path_text jsonb_path_exists jsonb_path_query_first jsonb_typeof to_json to_jsonb
    json_build_object jsonb_build_object json_build_array jsonb_build_array`,
  ),
  arrays: words(
    "array_length array_position array_to_string array_upper array_lower cardinality lower_inc upper_inc string_to_array",
  ),
  rows: words(
    "generate_series json_array_elements json_array_elements_text json_each json_each_text jsonb_array_elements jsonb_array_elements_text jsonb_each jsonb_each_text jsonb_object_keys unnest",
  ),
};

const mysql = {
  aggregates: words(
    `any_value bit_and bit_or bit_xor group_concat json_arrayagg json_objectagg std stddev stddev_pop stddev_samp
    var_pop var_samp variance`,
  ),
  numbers: words("conv cot crc32 log2 rand truncate"),
  conditions: words("greatest if ifnull interval isnull least"),
  texts: words(
    `ascii bit_length char_length character_length elt field find_in_set format hex instr lcase left locate lpad md5
    mid octet_length position regexp_instr regexp_replace regexp_substr reverse right rpad sha1 sha2 strcmp
    substring_index ucase unhex`,
  ),
  times: words(
    `adddate addtime convert_tz curdate current_date current_time current_timestamp curtime date date_add date_format
    date_sub datediff day dayname dayofmonth dayofweek dayofyear extract from_days from_unixtime hour last_day
    localtime localtimestamp makedate maketime microsecond minute month monthname now period_add period_diff quarter
    sec_to_time second str_to_date subdate subtime time time_format time_to_sec timediff timestamp timestampadd
    timestampdiff to_days to_seconds unix_timestamp utc_date utc_time utc_timestamp week weekday weekofyear year
    yearweek`,
  ),
  json: words(
    `json_contains json_contains_path json_depth json_exists json_extract json_keys json_length json_quote json_search
    json_type json_unquote json_valid json_value json_array json_object`,
  ),
  casts: words("cast convert row"),
};

const sqlite = {
  aggregates: words("group_concat json_group_array json_group_object median percentile string_agg total"),
  numbers: words("acosh asinh atanh cosh log2 pow random sinh tanh trunc"),
  conditions: words("if ifnull iif likelihood likely unlikely"),
  texts: words("format hex instr octet_length printf quote typeof unicode"),
  times: words("current_date current_time current_timestamp date datetime julianday strftime time timediff unixepoch"),
  json: words("json json_array_length json_extract json_type json_valid json_array json_object"),
  rows: words("json_each json_tree"),
  casts: words("cast"),
};

/** Function names by what they are for; for the guide, and for whoever asks what may be called. */
export const functionGroups: Readonly<Record<Dialect, Readonly<Record<string, readonly string[]>>>> = {
  postgres: grouped(postgres),
  mysql: grouped(mysql),
  sqlite: grouped(sqlite),
};

function grouped(own: Readonly<Record<string, readonly string[]>>): Record<string, readonly string[]> {
  const groups: Record<string, readonly string[]> = { ...common, ...own };
  for (const [group, names] of Object.entries(common)) groups[group] = [...names, ...(own[group] ?? [])].sort();
  return groups;
}

const known: Readonly<Record<Dialect, ReadonlySet<string>>> = {
  postgres: new Set(Object.values(functionGroups.postgres).flat()),
  mysql: new Set(Object.values(functionGroups.mysql).flat()),
  sqlite: new Set(Object.values(functionGroups.sqlite).flat()),
};

/** @param name in lower case, without schema */
export function mayCall(dialect: Dialect, name: string): boolean {
  return known[dialect].has(name);
}

/** How to mend a call of a function that may not be called. */
export function callFix(dialect: Dialect, name: string): string {
  const near = name.length > 40 ? undefined : closest(name, [...known[dialect]]);
  const far = name.length < 5 ? 1 : 2;
  const meant = near !== undefined && distance(name, near) <= far ? `did you mean ${near}? ` : "";
  return `${meant}use a function that docs/sources/sql.md names, or have a view compute it`;
}
