/** Which part of all samplers a sampler belongs to. Pure. */
import { createHash } from "node:crypto";
import { shareCount } from "../core/ports.ts";

/**
 * The same number for the same text in every process and build, 0 to {@link shareCount} - 1.
 * @param key what stays together: the name of a sampler, or what several samplers read in one
 */
export function shareOf(key: string): number {
  return createHash("sha256").update(key).digest().readUInt32BE(4) % shareCount;
}
