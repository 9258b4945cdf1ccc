/** What tests that run servers written in Java need of the system. */
import { existsSync } from "node:fs";
import type { Tool } from "./debian.ts";

/** The compiler comes with it; `find` gives the program that runs classes. */
export const java: Tool = {
  name: "Java 17",
  packages: ["openjdk-17-jdk-headless"],
  find: () => (existsSync("/usr/bin/javac") ? ["/usr/bin/java"].find(existsSync) : undefined),
};

export const maven: Tool = {
  name: "Maven",
  packages: ["maven"],
  find: () => ["/usr/bin/mvn"].find(existsSync),
};
