import type { Command } from "commander";
import { Problem } from "../core/problem.ts";
import { parseDurationMs } from "../core/time.ts";
import { silenceView } from "../show/console/views.ts";
import { type CommonOptions, commonOptions, openDesk, usage, userName } from "./context.ts";
import { print, printJson, table, timeText } from "./output.ts";
import { personOf } from "./person.ts";

type AddOptions = CommonOptions & { readonly for: string; readonly reason: string; readonly by: string };

export function silenceCommand(program: Command): void {
  const silence = program.command("silence").description("silences: promises not to want to hear, with an end");
  const add = silence
    .command("add")
    .description("no messages about alerts that match, until the end; alerts still standing then speak")
    .argument("<matcher...>", 'country="Germany", sampler=~"shop-.*"; all must hold')
    .requiredOption("--for <duration>", "how long, 2h; 30d at most")
    .requiredOption("--reason <text>", "why")
    .option("--by <name>", "who asks for it", userName())
    .action(addSilence);
  const list = silence.command("list").description("the latest silences").action(listSilences);
  const end = silence
    .command("end")
    .description("ends a silence now")
    .argument("<id>", "id of the silence, or the beginning of one")
    .option("--by <name>", "who ends it", userName())
    .action(endSilence);
  for (const command of [add, list, end]) commonOptions(command);
}

async function addSilence(matchers: readonly string[], options: AddOptions): Promise<void> {
  const forMs = parseDurationMs(options.for);
  if (forMs === undefined) {
    throw usage(`not a duration (got ${JSON.stringify(options.for)})`, { where: "--for", fix: "write 2h" });
  }
  const author = personOf(options.by);
  await using desk = await openDesk(options);
  const startsMs = desk.clock.nowMs();
  const { reason } = options;
  const silence = await desk.alerting.addSilence({ matchers, reason, author, startsMs, endsMs: startsMs + forMs });
  if (options.json) printJson(silenceView(silence, startsMs));
  else print(`silenced until ${timeText(silence.endsMs)}, id ${silence.id}`);
}

async function listSilences(options: CommonOptions): Promise<void> {
  await using desk = await openDesk(options);
  const silences = await desk.state.silences.list({ limit: 100 });
  const nowMs = desk.clock.nowMs();
  if (options.json) return printJson(silences.map((one) => silenceView(one, nowMs)));
  if (silences.length === 0) return print("no silences");
  const rows = silences.map((one) => [
    one.id.slice(0, 8),
    one.endsMs <= nowMs ? "ended" : one.startsMs > nowMs ? "to come" : "holds",
    timeText(one.endsMs),
    one.author,
    one.matchers.join(", "),
    one.reason,
  ]);
  print(...table(["id", "state", "until", "by", "matchers", "reason"], rows));
}

async function endSilence(id: string, options: CommonOptions & { by: string }): Promise<void> {
  const by = personOf(options.by);
  await using desk = await openDesk(options);
  const found = (await desk.state.silences.list({ limit: 1_000 })).filter((silence) => silence.id.startsWith(id));
  const [only] = found;
  if (only === undefined || found.length > 1) {
    const what = only === undefined ? "there is no silence" : `${found.length} silences begin with`;
    throw new Problem(`${what} ${JSON.stringify(id)}`, { fix: "take an id that bellwether silence list shows" });
  }
  if (!(await desk.alerting.endSilence(only.id, by))) {
    throw new Problem(`it ended at ${timeText(only.endsMs)}`, { where: `silence ${only.id}` });
  }
  if (options.json) printJson({ id: only.id, ended: true });
  else print(`ended: ${only.matchers.join(", ")}`);
}
