/** What users write of connections of the kind `elasticsearch`. */
import { z } from "zod";
import { isNetwork } from "../../core/address.ts";
import { parseDurationMs, secondMs } from "../../core/time.ts";

const secretWritten = "CFG-012 a secret is written out. Fix: write a reference instead: env:NAME or file:PATH";
const reference = z.string().regex(/^(?:env|file|vault):./, { error: secretWritten });

const nodeUrl = z.string().superRefine((text, context) => {
  const report = (message: string): void => context.addIssue({ code: "custom", message });
  if (!URL.canParse(text)) return report("NET-001 no URL. Fix: write https://host:9200");
  const url = new URL(text);
  if (url.protocol !== "https:" && url.protocol !== "http:")
    report("NET-001 neither http nor https. Fix: write https://...");
  if (url.username !== "" || url.password !== "") report("CFG-012 user or password in a URL. Fix: move them to auth");
  if (url.search !== "" || url.hash !== "") report("CFG-019 more than a path in a URL. Fix: remove it");
});

const auth = z
  .strictObject({
    basic: z
      .strictObject({ user: z.string().min(1).max(200), password: reference })
      .optional()
      .describe("user, and a reference to the password"),
    api_key: reference.optional().describe("a reference to an API key, encoded as the server gave it"),
  })
  .refine(({ basic, api_key }) => (basic === undefined) !== (api_key === undefined), {
    error: "SCH-003 wants either basic or api_key. Fix: write one of them",
  })
  .optional()
  .describe("who asks; an account that may do no more than read");

export const connectionOptions = z.strictObject({
  url: z
    .union([nodeUrl, z.array(nodeUrl).min(1).max(16)])
    .transform((url) => (typeof url === "string" ? [url] : url))
    .describe("where the server is, https://host:9200; of a cluster, a list of its nodes"),
  auth,
  ca: z
    .string()
    .min(1)
    .optional()
    .describe("file of certificates (PEM) that are trusted in place of the usual ones; relative to the data folder"),
  networks: z
    .array(z.string().refine(isNetwork, "CFG-019 not a network. Fix: write it as CIDR, 10.1.0.0/16"))
    .max(100)
    .default([])
    .describe("private networks that may be connected to, as CIDR; link-local and metadata addresses never may"),
  requests_max: z.int().min(1).max(32).default(4).describe("requests at a time, of all samplers together"),
  search_timeout: z
    .string()
    .default("30s")
    .refine(
      (text) => {
        const ms = parseDurationMs(text);
        return ms !== undefined && ms >= secondMs && ms <= 600 * secondMs;
      },
      { error: "SCH-002 not a duration from 1s to 10m. Fix: write 30s" },
    )
    .describe("after which the server ends a search by itself, should it not hear that we gave up"),
  scripts: z
    .boolean()
    .default(false)
    .describe("whether samplers may send scripts, which run inside the server; default no"),
});
export type ElasticsearchConnection = z.infer<typeof connectionOptions>;
