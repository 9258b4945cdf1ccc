/**
 * What boards ask InfluxDB, in InfluxQL. `$timeFilter`, `$__interval` and `${pick_country:regex}` are for Grafana to fill
 * in. Names of measurements, tags and fields hold letters, digits and `_` only. Pure.
 */

/** Hourly sums and means, kept longer than the points themselves. */
const hourly = "bellwether_1h";

/** What a verdict says in numbers. */
export type Said = "observed" | "expected" | "lower" | "upper" | "forecast" | "evidence";

export type Judged = {
  readonly measurement: string;
  readonly tags: readonly string[];
  readonly field: string;
  /** True: nothing is picked, the total over all tags is meant, which has none of them. Default false. */
  readonly isTotal?: boolean;
};

/** The variable in which a reader picks one value of a tag. */
export function pickName(tag: string): string {
  return `pick_${tag}`;
}

/** Values of a tag, of the series that what is picked before it leaves. */
export function tagValues(measurement: string, tag: string, before: readonly string[]): string {
  const where = before.length === 0 ? "" : ` WHERE ${picked(before).join(" AND ")}`;
  return `SHOW TAG VALUES FROM "${measurement}" WITH KEY = "${tag}"${where}`;
}

/** One number of the verdicts on the series that is picked. */
export function saidOfPicked({ measurement, field, ...series }: Judged, what: Said): string {
  const where = [isField(field), ...chosen(series), "$timeFilter"];
  return `SELECT mean("${what}") FROM "${measurement}_verdict" WHERE ${where.join(" AND ")} ${pieces()} fill(null)`;
}

/** Values that were judged so, to be drawn as marks. @param level 1 warning, 2 critical */
export function marksOfPicked({ measurement, field, ...series }: Judged, level: 1 | 2): string {
  const where = [isField(field), `"level" = ${level}`, ...chosen(series), "$timeFilter"];
  return `SELECT mean("observed") FROM "${measurement}_verdict" WHERE ${where.join(" AND ")} ${pieces()} fill(none)`;
}

/** {@link saidOfPicked} by the hour, from the bucket that is kept for long. */
export function hourlyOfPicked({ measurement, tags, field }: Judged, what: Said): string {
  const where = [isField(field), ...picked(tags), "$timeFilter"];
  const from = `"${hourly}"."${measurement}_verdict"`;
  return `SELECT mean("mean_${what}") FROM ${from} WHERE ${where.join(" AND ")} ${pieces()} fill(null)`;
}

/** A field as it was sampled, all series. */
export function valuesOfAll({ measurement, tags, field }: Judged): string {
  return `SELECT mean("${field}") FROM "${measurement}" WHERE $timeFilter ${pieces(tags)} fill(null)`;
}

/** The worst level of each series in each piece of time. */
export function levelsOfAll({ measurement, tags, field }: Judged): string {
  const where = `${isField(field)} AND $timeFilter`;
  return `SELECT max("level") FROM "${measurement}_verdict" WHERE ${where} ${pieces(tags)} fill(null)`;
}

/** The worst level of all series in each piece of time. */
export function worstLevels({ measurement, field }: Judged): string {
  const where = `${isField(field)} AND $timeFilter`;
  return `SELECT max("level") FROM "${measurement}_verdict" WHERE ${where} ${pieces()} fill(null)`;
}

/** The worst of the latest levels. */
export function worstNow(judged: Judged): string {
  return `SELECT max("level") FROM (${latest(judged)})`;
}

/** How many series are `unknown` (-1) by their latest level; no row where none is. */
export function unknownNow(judged: Judged): string {
  return `SELECT count("level") FROM (${latest(judged)}) WHERE "level" < 0`;
}

/** The latest verdicts that were not normal, with their sentence. */
export function reasons({ measurement, tags, field }: Judged): string {
  const columns = ["level", "observed", "expected", "evidence", "reason", ...tags].map((name) => `"${name}"`);
  const where = `${isField(field)} AND "level" > 0 AND $timeFilter`;
  return `SELECT ${columns.join(", ")} FROM "${measurement}_verdict" WHERE ${where} ORDER BY time DESC LIMIT 200`;
}

function latest({ measurement, tags, field }: Judged): string {
  const by = tags.length === 0 ? "" : ` GROUP BY ${tags.map((tag) => `"${tag}"`).join(", ")}`;
  return `SELECT last("level") AS "level" FROM "${measurement}_verdict" WHERE ${isField(field)} AND $timeFilter${by}`;
}

function isField(field: string): string {
  return `"field" = '${field}'`;
}

function chosen({ tags, isTotal = false }: Pick<Judged, "tags" | "isTotal">): string[] {
  return isTotal ? tags.map((tag) => `"${tag}" = ''`) : picked(tags);
}

function picked(tags: readonly string[]): string[] {
  return tags.map((tag) => `"${tag}" =~ /^\${${pickName(tag)}:regex}$/`);
}

function pieces(tags: readonly string[] = []): string {
  return `GROUP BY ${["time($__interval)", ...tags.map((tag) => `"${tag}"`)].join(", ")}`;
}
