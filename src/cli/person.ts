import { personName } from "../show/console/api.ts";
import { usage } from "./context.ts";

/**
 * What `--by` names, without blanks around it: by the rule of the API, since it stays written down for good.
 * @throws Problems if it names nobody, or is too long
 */
export function personOf(by: string): string {
  const { data: name } = personName.safeParse(by);
  if (name !== undefined) return name;
  const what = by.trim() === "" ? "names nobody" : "longer than 100 characters";
  throw usage(what, { where: "--by", fix: "write your name, or leave it out to act as who is logged in" });
}
