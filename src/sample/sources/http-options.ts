/** What users write of HTTP connections and of the requests that samplers make over them. */
import { isIP } from "node:net";
import { z } from "zod";
import { isNetwork } from "../../core/address.ts";
import { expressionFault } from "./http-select.ts";
import { strayPlaceholder } from "./http-slot.ts";

const secretWritten = "CFG-012 a secret is written out. Fix: write a reference instead: env:NAME or file:PATH";

function isReference(text: string): boolean {
  return /^(?:env|file|vault):./.test(text);
}

// ---- the connection ---------------------------------------------------------------------------------------------

/** Headers whose values let somebody in. */
const secretHeader =
  /^(?:authorization|cookie)$|auth|token|secret|passw|credential|api-?key|subscription-key|signature/i;
/** Values that do, whatever the header is called. */
const secretValue = /^(?:basic|bearer|token|apikey)\s+\S|^[A-Za-z0-9+/_=.-]{32,}$/i;
/** Headers that are ours to set, or that change what a message is. */
const ownHeader =
  /^(?:host|connection|content-length|content-type|transfer-encoding|accept-encoding|upgrade|expect|te|trailer|keep-alive|if-.*|range|proxy-.*|http2-settings)$/i;

const baseUrl = z
  .string()
  .superRefine((text, context) => {
    const report = (message: string): void => context.addIssue({ code: "custom", message });
    if (!URL.canParse(text)) return report("NET-001 no URL. Fix: write https://host or https://host:port/path");
    const url = new URL(text);
    if (url.protocol !== "https:" && url.protocol !== "http:") {
      report("NET-001 neither http nor https. Fix: write https://...");
    }
    if (url.username !== "" || url.password !== "") {
      report("CFG-012 user or password in a URL. Fix: move them to auth");
    }
    if (url.search !== "" || url.hash !== "") report("CFG-019 more than a path in a URL. Fix: move it to the sampler");
  })
  .describe("where requests go: https://host, with a port and the beginning of a path if you like");

const headers = z
  .record(z.string().regex(/^[A-Za-z0-9-]{1,100}$/), z.string().min(1).max(8192))
  .refine((all) => Object.keys(all).length <= 30, "CFG-003 more than 30 headers")
  .superRefine((all, context) => {
    for (const [name, value] of Object.entries(all)) {
      // Told of the mapping, and not of the entry: the text of an entry would be shown.
      const report = (message: string): void => context.addIssue({ code: "custom", message });
      if (ownHeader.test(name)) report(`CFG-019 header ${name} cannot be set. Fix: remove it`);
      else if (!isReference(value) && (secretHeader.test(name) || secretValue.test(value))) {
        report(secretWritten.replace("a secret", `header ${name}: a secret`));
      } else if (!/^[\x20-\x7e]*$/.test(value)) {
        report(`CFG-019 header ${name} holds more than printable ASCII. Fix: write it without`);
      }
    }
  })
  .default({})
  .describe("headers of every request; values that let somebody in are references");

const auth = z
  .strictObject({
    basic: z
      .strictObject({ user: z.string().min(1).max(200), password: z.string() })
      .optional()
      .describe("user, and a reference to the password"),
    bearer: z.string().optional().describe("a reference to the token"),
  })
  .superRefine(({ basic, bearer }, context) => {
    if ((basic === undefined) === (bearer === undefined)) {
      context.addIssue({ code: "custom", message: "SCH-003 wants either basic or bearer. Fix: write one of them" });
    }
    for (const secret of [basic?.password, bearer]) {
      if (secret !== undefined && !isReference(secret)) context.addIssue({ code: "custom", message: secretWritten });
    }
  })
  .optional()
  .describe("who asks");

const hostName = z
  .string()
  .refine(
    (text) => /^[A-Za-z0-9._-]+(?::\d{1,5})?$|^\[[0-9a-fA-F:.]+\](?::\d{1,5})?$/.test(text),
    "CFG-019 no host. Fix: write a name, or name:port",
  );

const nameServer = z
  .string()
  .refine(
    (text) => isIP(text) !== 0 || isIP(/^\[?([^[\]]+?)\]?:\d{1,5}$/.exec(text)?.[1] ?? "") !== 0,
    "CFG-019 no address. Fix: write 10.0.0.53, or 10.0.0.53:5353",
  );

export const connectionOptions = z.strictObject({
  url: baseUrl,
  headers,
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
  hosts: z.array(hostName).max(50).default([]).describe("further hosts that pages and redirects may lead to"),
  dns: z.array(nameServer).max(3).optional().describe("name servers to ask in place of the system's"),
  requests_max: z.int().min(1).max(32).default(4).describe("requests at a time, of all samplers together"),
});
export type ConnectionOptions = z.infer<typeof connectionOptions>;

// ---- the sampler ------------------------------------------------------------------------------------------------

const expression = z
  .string()
  .min(1)
  .superRefine((text, context) => {
    const fault = expressionFault(text);
    if (fault !== null) context.addIssue({ code: "custom", message: fault });
  });

/** Text with the slot's bounds in it. */
const template = z
  .string()
  .max(20_000)
  .superRefine((text, context) => {
    const stray = strayPlaceholder(text);
    const fix = "Fix: use {slot_start} and {slot_end}";
    if (stray !== null) context.addIssue({ code: "custom", message: `NET-018 unknown placeholder ${stray}. ${fix}` });
  });

const path = template
  .refine((text) => text.startsWith("/") && !/[#\\\s]/.test(text), {
    message: "CFG-019 not a path. Fix: start with /, and put what has spaces into params",
  })
  .describe("path under the connection's URL, with {slot_start} and {slot_end}");

const pagesMax = z.int().min(1).max(100).default(10).describe("pages at most; one more is a fault");
const parameter = z.string().min(1).max(100);

const pages = z
  .union([
    z.strictObject({
      next: z
        .union([z.literal("link"), expression])
        .describe("JMESPath to the next page's address, or link: its header"),
      max: pagesMax,
    }),
    z.strictObject({
      cursor: expression.describe("JMESPath to what the next page is asked with; null or empty ends"),
      param: parameter.describe("query parameter that carries it"),
      max: pagesMax,
    }),
    z.strictObject({
      offset: parameter.describe("query parameter that counts rows or pages"),
      from: z.int().min(0).default(0).describe("its first value"),
      by: z.int().min(1).max(100_000).describe("how far it goes on: rows of a page, or 1 if it counts pages"),
      size: z.int().min(1).max(100_000).optional().describe("rows of a full page; a page with fewer is the last"),
      max: pagesMax,
    }),
  ])
  .describe("how to get on where an answer comes in pages");
export type Pages = z.infer<typeof pages>;

export const requestOptions = z
  .strictObject({
    connection: z.string().min(1).describe("a name in rules/connections.yaml"),
    path,
    params: z
      .record(parameter, template)
      .default({})
      .describe("query parameters, encoded for you, with {slot_start} and {slot_end}"),
    method: z.enum(["GET", "POST"]).default("GET").describe("POST only where the server changes nothing by it"),
    body: z
      .record(z.string(), z.json())
      .optional()
      .describe('JSON to POST; the texts ":slot_start" and ":slot_end" in it become the slot\'s bounds'),
    time: z
      .enum(["iso", "epoch-s", "epoch-ms"])
      .default("iso")
      .describe("how the slot's bounds are written: 2026-11-21T09:30:00Z, or seconds or milliseconds since 1970"),
    format: z
      .enum(["json", "prometheus", "prometheus-query", "influxql"])
      .default("json")
      .describe("what answers are: any JSON, metrics as text, or answers of Prometheus' or InfluxDB's query API"),
    metric: z
      .union([z.string().min(1), z.array(z.string().min(1)).min(1).max(50)])
      .optional()
      .describe("for prometheus: names of the metrics to take"),
    rows: expression.default("@").describe("JMESPath to a list of objects, or to one object; default: all of it"),
    pages: pages.optional(),
    rows_max: z.int().min(1).max(100_000).default(1000).describe("rows of a slot at most; one more is a fault"),
    body_mib_max: z.int().min(1).max(16).default(1).describe("MiB of one answer, unpacked"),
  })
  .superRefine(({ method, body, format, metric }, context) => {
    const report = (path: string, message: string): void => context.addIssue({ code: "custom", path: [path], message });
    if (body !== undefined && method !== "POST") report("body", "SCH-003 a body needs method: POST. Fix: add it");
    if (format === "prometheus" && metric === undefined) {
      report("metric", "SCH-003 format prometheus wants metric. Fix: name the metrics to take");
    }
    if (format !== "prometheus" && metric !== undefined) {
      report("metric", "SCH-003 metric is for format prometheus. Fix: remove it");
    }
  });
export type RequestOptions = z.infer<typeof requestOptions>;
