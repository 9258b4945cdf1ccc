/** A process that holds a spool with one batch until its input ends, and appends another one then. */
import { once } from "node:events";
import { batchOf, openSpool } from "./spool-support.ts";

const spool = openSpool(process.argv[2] as string);
await spool.append([batchOf(1)]);
process.stdout.write("open\n");
await once(process.stdin, "data");
await spool.append([batchOf(2)]);
spool.close();
