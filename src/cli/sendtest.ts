import { randomUUID } from "node:crypto";
import type { Command } from "commander";
import { maskAddresses } from "../core/mask.ts";
import type { NoticeKind, OutboxItem } from "../core/model.ts";
import { formatProblem, Problem, toProblem } from "../core/problem.ts";
import { deadline, secondMs } from "../core/time.ts";
import type { Desk } from "../desk.ts";
import { type CommonOptions, commonOptions, openDesk, usage } from "./context.ts";
import { Exit, exitCodes } from "./exit.ts";
import { print, printJson, table } from "./output.ts";

type Options = CommonOptions & { readonly to?: string };
type Target = Pick<OutboxItem, "notifier" | "recipient" | "recipientName">;

const sendTimeoutMs = 30 * secondMs;

export function sendTestCommand(program: Command): void {
  const command = program
    .command("send-test")
    .description("sends a test message to every address of a group, or through one notifier")
    .argument("<group-or-notifier>", "group of rules/people/, or email | webhook with --to")
    .option("--to <address>", "where to, if a notifier is named")
    .action(sendTest);
  commonOptions(command);
}

async function sendTest(name: string, options: Options): Promise<void> {
  await using desk = await openDesk(options);
  const notifiers = desk.openNotifiers();
  const composer = desk.composer(desk.settings.baseUrl ?? `http://${desk.settings.host}:${desk.settings.port}`);
  const results: { notifier: string; to: string; sent: boolean; detail: string }[] = [];
  try {
    for (const target of targets(desk, name, options.to, [...notifiers.keys()])) {
      const shown = { notifier: target.notifier, to: `${target.recipientName} ${maskAddresses(target.recipient)}` };
      try {
        const recipient = /^(env|file):/.test(target.recipient) ? desk.secret(target.recipient) : target.recipient;
        const message = await composer.compose(testItem({ ...target, recipient }, desk.clock.nowMs()));
        if ("cancel" in message) throw new Problem(message.cancel);
        const receipt = await notifiers.get(target.notifier)?.send(message, deadline(sendTimeoutMs));
        results.push({ ...shown, sent: true, detail: receipt?.detail ?? "" });
      } catch (thrown) {
        results.push({ ...shown, sent: false, detail: formatProblem(toProblem(thrown, "not sent")) });
      }
    }
  } finally {
    for (const notifier of notifiers.values()) await notifier[Symbol.asyncDispose]();
  }
  if (options.json) printJson(results);
  else {
    const rows = results.map(({ sent, notifier, to, detail }) => [sent ? "sent" : "NOT SENT", notifier, to, detail]);
    print(...table(["", "by", "to", "what was answered"], rows));
  }
  if (results.some(({ sent }) => !sent)) throw new Exit(exitCodes.failed);
}

/** Each address once, however many steps name it. */
function targets(desk: Desk, name: string, to: string | undefined, notifiers: readonly string[]): Target[] {
  const { groups, people } = desk.definitions;
  const group = groups.get(name);
  if (group !== undefined) {
    const found = group.steps.flatMap(({ notifier, to: address }): Target[] => {
      if (address !== null) return [{ notifier, recipient: address, recipientName: group.title }];
      return group.members.flatMap((id) => {
        const person = people.get(id);
        return person?.email ? [{ notifier, recipient: person.email, recipientName: person.name }] : [];
      });
    });
    if (found.length === 0) throw new Problem("nobody in it has an address", { where: group.place });
    return [...new Map(found.map((target) => [`${target.notifier} ${target.recipient}`, target])).values()];
  }
  if (!notifiers.includes(name)) {
    const known = [...groups.keys(), ...notifiers].join(", ");
    throw usage(`there is no group or notifier ${JSON.stringify(name)}`, { fix: `one of ${known}` });
  }
  if (to === undefined) throw usage(`${name} needs an address`, { where: "--to", fix: "add --to ADDRESS" });
  return [{ notifier: name, recipient: to, recipientName: "test" }];
}

function testItem(target: Target, nowMs: number): OutboxItem {
  const id = randomUUID();
  const kind: NoticeKind = "test";
  return {
    ...target,
    id,
    kind,
    noticeKey: `test:${id}`,
    incidentId: null,
    state: "sending",
    dueMs: nowMs,
    createdMs: nowMs,
    attempts: 1,
    leaseOwner: null,
    leaseUntilMs: null,
    sentMs: null,
    receipt: null,
    error: null,
  };
}
