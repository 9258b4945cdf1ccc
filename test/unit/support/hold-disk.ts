/** A process that mounts a small disk, prints its folder and waits to be killed. */
import { smallDisk } from "../../support/servers/disk.ts";

process.stdout.write(smallDisk(1_000_000).dir);
setInterval(() => {}, 1_000);
