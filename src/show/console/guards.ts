/**
 * What protects the console while it asks nobody for a password: it answers to its own names only, takes orders only
 * from its own pages, and tells browsers to run nothing but its own files.
 */
import { createHash } from "node:crypto";
import type { FastifyInstance } from "fastify";
import { Refusal } from "./problems.ts";

const contentPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "frame-src 'self'",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

/** A message's own page: a sandbox without scripts, forms or origin, with the styles and pictures it brought. */
export const mailPolicy =
  "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; frame-ancestors 'self'";

export function sendSafeHeaders(app: FastifyInstance): void {
  app.addHook("onRequest", async (_request, reply) => {
    reply.headers({
      "content-security-policy": contentPolicy,
      "cross-origin-opener-policy": "same-origin",
      "cross-origin-resource-policy": "same-origin",
      "referrer-policy": "same-origin",
      "x-content-type-options": "nosniff",
    });
  });
}

const loopback = /^(localhost|127(\.\d{1,3}){3}|\[::1\]|::1)$/;

/**
 * Bound to a loopback address, only loopback names are answered: a page elsewhere whose name was made to point at
 * 127.0.0.1 (DNS rebinding) would otherwise be "the same origin".
 */
export function answerOwnNames(app: FastifyInstance, host: string): void {
  if (!loopback.test(host)) return;
  app.addHook("onRequest", async (request) => {
    const name = request.host.replace(/:\d+$/, "");
    if (!loopback.test(name)) {
      throw new Refusal(421, `this console answers to localhost only (asked for ${JSON.stringify(name)})`, {
        fix: "open it as http://localhost, or set BELLWETHER_HOST to an address that others reach",
      });
    }
  });
}

/** Orders from pages of another origin are refused. Browsers always say where an order comes from; curl does not. */
export function takeOwnOrders(app: FastifyInstance): void {
  app.addHook("onRequest", async (request) => {
    if (request.method === "GET" || request.method === "HEAD" || request.method === "OPTIONS") return;
    const { origin } = request.headers;
    const site = request.headers["sec-fetch-site"];
    const own = origin === undefined ? site === undefined || site === "same-origin" : hostOf(origin) === request.host;
    if (!own) {
      throw new Refusal(403, "orders are taken from the console's own pages only", {
        fix: "use the console, or call the API without an Origin header",
      });
    }
  });
}

function hostOf(origin: string): string | null {
  return URL.canParse(origin) ? new URL(origin).host : null;
}

/** Answers that people poll carry an ETag over their text; who has it already hears 304 and no text. */
export function tagAnswers(app: FastifyInstance): void {
  app.addHook("onSend", async (request, reply, payload) => {
    if (request.method !== "GET" || reply.statusCode !== 200 || typeof payload !== "string") return payload;
    const tag = `"${createHash("sha1").update(payload).digest("base64url")}"`;
    reply.header("etag", tag);
    if (!reply.hasHeader("cache-control")) reply.header("cache-control", "no-cache");
    const known = request.headers["if-none-match"]?.split(",").map((one) => one.trim().replace(/^W\//, ""));
    if (!known?.includes(tag)) return payload;
    reply.code(304);
    return null;
  });
}
