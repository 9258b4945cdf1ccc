/** A process that starts an InfluxDB, stops it as SIGSTOP does, prints its pid and waits to be killed. */
import { startInflux } from "../../support/servers/influx.ts";

const server = await startInflux({ dir: process.argv[2] as string });
server.pause();
console.log(server.pid);
setInterval(() => {}, 1_000);
