/** `rules/people/`: who can be told, and which people answer for something together. */
import { z } from "zod";
import type { EscalationStep, Group, Person, Place } from "../core/definitions.ts";
import { fault } from "./fault.ts";
import { across, duration, line, name, waitRange } from "./scalars.ts";

export const personSchema = z.strictObject({
  name: line.describe("name as shown"),
  email: z
    .email(fault("PPL-001", "not an e-mail address", "write one address, name@domain"))
    .max(254)
    .optional()
    .describe("e-mail address"),
  phone: z
    .e164(
      fault("PPL-001", "not a telephone number in E.164 form", 'write it quoted with + and country: "+442071234567"'),
    )
    .optional()
    .describe("telephone number in E.164 form, quoted"),
});

/** E-mail at once. */
export const defaultSteps: readonly EscalationStep[] = [{ notifier: "email", to: null, waitMs: 0 }];

/** Steps name notifiers of this build; nothing else could be sent through. */
export function groupSchema(notifiers: readonly string[]) {
  const step = z.strictObject({
    notifier: z.enum(notifiers as [string, ...string[]]).describe("what carries the message"),
    to: z
      .string()
      .min(1)
      .max(2000)
      .optional()
      .describe("address where it does not go to a person, or a reference to it"),
    wait: duration(waitRange).prefault("0s").describe("how long after the incident opened"),
  });
  return across(
    z.strictObject({
      title: line.optional().describe("name as shown; default: the id"),
      members: z.array(name).max(1000).prefault([]).describe("ids of people"),
      steps: z
        .array(step)
        .min(1)
        .max(20)
        .prefault([{ notifier: "email" }])
        .describe("what is sent, in order; later ones are dropped once somebody acknowledges"),
    }),
    checkSteps,
  );
}

function checkSteps(
  { steps }: { steps?: unknown },
  report: (path: (string | number)[], message: string) => void,
): void {
  if (!Array.isArray(steps)) return;
  let longestMs = 0;
  for (const [index, step] of steps.entries()) {
    const waitMs = step?.wait;
    if (typeof waitMs !== "number") continue;
    if (waitMs < longestMs)
      report(["steps", index], fault("CFG-019", "waits less than the step before", "order them by wait"));
    longestMs = Math.max(longestMs, waitMs);
  }
}

export function toPerson(person: z.output<typeof personSchema>, id: string, place: Place): Person {
  return { id, name: person.name, email: person.email ?? null, phone: person.phone ?? null, place };
}

export function toGroup(group: z.output<ReturnType<typeof groupSchema>>, id: string, place: Place): Group {
  const steps = group.steps.map(({ notifier, to, wait }) => ({ notifier, to: to ?? null, waitMs: wait }));
  return { id, title: group.title ?? id, members: group.members, steps, place };
}
