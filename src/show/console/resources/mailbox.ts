/** The mailbox: messages that went to a folder, because no mail server is set. */
import { z } from "zod";
import type { Mail, MailSummary } from "../../../core/model.ts";
import { mail, mailPage } from "../api.ts";
import type { Facts } from "../facts.ts";
import { mailPolicy } from "../guards.ts";
import { Refusal } from "../problems.ts";
import type { Api } from "../server.ts";
import { maskAddress, moment } from "../views.ts";

const mailsMax = 200;
const one = z.object({
  id: z
    .string()
    .max(300)
    .regex(/^[A-Za-z0-9_][A-Za-z0-9._-]*$/),
});

export function mailboxRoutes(api: Api, facts: Facts): void {
  api.route({
    method: "GET",
    url: "/mailbox",
    schema: { tags: ["mailbox"], summary: "Messages, newest first, 200 at most", response: { 200: mailPage } },
    handler: async () => ({ items: ((await facts.mailbox?.list(mailsMax)) ?? []).map(summaryView) }),
  });

  api.route({
    method: "GET",
    url: "/mailbox/:id",
    schema: { tags: ["mailbox"], summary: "One message", params: one, response: { 200: mail } },
    handler: async ({ params }) => {
      const found = await read(facts, params.id);
      return { ...summaryView(found), from: found.from, text: found.text, hasHtml: found.html !== null };
    },
  });

  api.route({
    method: "GET",
    url: "/mailbox/:id/html",
    schema: { tags: ["mailbox"], summary: "The message as its reader sees it", params: one, produces: ["text/html"] },
    handler: async ({ params }, reply) => {
      const { html } = await read(facts, params.id);
      if (html === null)
        throw new Refusal(404, "the message is text alone", { fix: `see /api/v1/mailbox/${params.id}` });
      return reply.type("text/html; charset=utf-8").header("content-security-policy", mailPolicy).send(html);
    },
  });
}

async function read(facts: Facts, id: string): Promise<Mail> {
  const found = (await facts.mailbox?.read(id)) ?? null;
  if (found === null) throw new Refusal(404, "there is no such message", { fix: "see /api/v1/mailbox" });
  return found;
}

function summaryView({ id, atMs, to, subject }: MailSummary) {
  return { id, at: moment(atMs), to: maskAddress(to), subject };
}
