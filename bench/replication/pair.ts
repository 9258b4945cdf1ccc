/** Two real InfluxDBs, the store over them, and the batches that a benchmark writes. */
import { join } from "node:path";
import type { Point } from "../../src/core/model.ts";
import { dayMs, systemClock } from "../../src/core/time.ts";
import { Mirror } from "../../src/store/mirror.ts";
import { replicas } from "../../src/store/stores/index.ts";
import { type Influx, startInflux } from "../../test/support/servers/influx.ts";
import { benchFolder, silent } from "../support.ts";

let databases = 0;

export class Pair implements AsyncDisposable {
  readonly a: Influx;
  readonly b: Influx;
  readonly folder = benchFolder();

  static async start(): Promise<Pair> {
    const [a, b] = await Promise.all([startInflux(), startInflux()]);
    return new Pair(a, b);
  }

  private constructor(a: Influx, b: Influx) {
    this.a = a;
    this.b = b;
  }

  /** A database that nobody has used, on both. */
  async database(): Promise<string> {
    databases += 1;
    const name = `bench${databases}`;
    for (const server of [this.a, this.b]) await server.query(`create database ${name}`);
    return name;
  }

  /** The store over a database of its own. */
  async open(database: string): Promise<Mirror> {
    const replica = (name: string, { url }: Influx) =>
      replicas.influx.create({ name, url, database }, { clock: systemClock, log: silent });
    return Mirror.open(
      {
        file: join(this.folder, `${database}.db`),
        replicas: [replica("a", this.a), replica("b", this.b)],
        keepRawMs: null,
        keepMs: 400 * dayMs,
        spoolBytesMax: 4e9,
        repairPointsPerSecond: 20_000,
      },
      { clock: systemClock, timer: systemClock, log: silent },
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.a[Symbol.asyncDispose](), this.b[Symbol.asyncDispose]()]);
  }
}

/** One slot of so many series: an order count each, of 50 shops and their products. */
export function slotOf(seriesCount: number, timeMs: number): Point[] {
  return Array.from({ length: seriesCount }, (_, index) => ({
    measurement: "orders",
    tags: { shop: `shop-${index % 50}`, product: `product-${Math.floor(index / 50)}` },
    fields: { orders: 50 + ((index * 7_919 + timeMs / 1_000) % 23) },
    timeMs,
  }));
}
