/** A thread of the child process that ends it with its parent, even while a query keeps the main thread busy. */
import { Socket } from "node:net";

const parent = new Socket({ fd: 4 });
parent.on("close", () => process.kill(process.pid, "SIGKILL"));
parent.on("error", () => parent.destroy());
parent.resume();
