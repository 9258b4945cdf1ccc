import { deadline, formatDuration, minuteMs, secondMs } from "../../core/time.ts";
import { counted } from "../../core/words.ts";
import type { Api } from "../../show/console/api.ts";
import { replicasView } from "../../show/console/views.ts";
import type { CommonOptions } from "../context.ts";
import { Exit, exitCodes } from "../exit.ts";
import { numberText, paint, print, printJson, table } from "../output.ts";
import { openCopies } from "./open.ts";
import { Running } from "./running.ts";

/** A copy that lacks something for longer is behind. */
const behindMs = minuteMs;
/** A copy that does not say how it is in so long, is not reachable. */
const glanceTimeoutMs = 10 * secondMs;

type Replica = Api["Replica"];

export async function showStatus(options: CommonOptions & { readonly url?: string }): Promise<void> {
  const { desk, mirror } = await openCopies(options);
  await using _ = desk;
  const [running] = await Promise.all([
    options.url === undefined
      ? Running.at(desk.settings, undefined).catch(() => null)
      : Running.at(desk.settings, options.url),
    mirror.glance(deadline(glanceTimeoutMs)),
  ]);
  const own = replicasView(mirror.status());
  const status = running === null ? own : completed(own, running.replicas);
  const faults = faultsOf(status);
  if (options.json) printJson(status);
  else {
    print(...copiesTable(status.replicas, running !== null), "", ...spoolLines(status));
    print(`carried by: ${running === null ? "nobody who answers" : `the Bellwether at ${running.url}`}`);
    if (faults.length > 0) print("", ...faults.map((fault) => paint(fault, "red")));
  }
  if (faults.length > 0) throw new Exit(exitCodes.failed);
}

/** How the lanes are, and whether a canary goes through, only the process that carries knows. */
function completed(own: Api["Replicas"], running: Api["Replicas"]): Api["Replicas"] {
  const replicas = own.replicas.map((replica) => {
    const other = running.replicas.find(({ name }) => name === replica.name);
    if (other === undefined || replica.well === false) return { ...replica, lanes: other?.lanes ?? replica.lanes };
    return { ...replica, lanes: other.lanes, well: other.well, reason: other.reason, faults: other.faults };
  });
  return { spool: { ...own.spool, repairFault: running.spool.repairFault }, replicas };
}

/** What is wrong, a sentence each; none: exit code 0. */
function faultsOf({ spool, replicas }: Api["Replicas"]): string[] {
  const faults: string[] = [];
  for (const { name, well, reason, lanes, lagMs, shelf, faults: own } of replicas) {
    const halted = lanes.find(({ state }) => state === "parked" || state === "stuck");
    if (well === false) faults.push(`${name} is not well: ${reason}`);
    if (halted !== undefined) faults.push(`writes to ${name} are ${halted.state}: ${halted.reason}`);
    if (lagMs > behindMs) faults.push(`${name} is behind by ${formatDuration(lagMs)}`);
    if (shelf > 0) faults.push(`${name} refused ${counted(shelf, "point")}: bellwether replicas shelf`);
    faults.push(...own.map((fault) => `${name}: ${fault}`));
  }
  if (spool.gaps > 0) faults.push(`there was no room for the points of ${counted(spool.gaps, "slot")}`);
  if (spool.differingWindows > 0) {
    faults.push(
      `${counted(spool.differingWindows, "window")} of five minutes differ, and nothing tells which copy is right:`,
    );
    faults.push(...spool.undecided.map((text) => `  ${text}`));
  }
  if (spool.repairFault !== null) faults.push(`the copies could not be compared: ${spool.repairFault}`);
  return faults;
}

/** A copy a column. */
function copiesTable(replicas: readonly Replica[], carried: boolean): string[] {
  const row = (what: string, cell: (replica: Replica) => string | null): (string | null)[] => [
    what,
    ...replicas.map(cell),
  ];
  const points = (which: "acknowledged" | "expired") => (one: Replica) =>
    String(one.accounts.reduce((sum, account) => sum + account[which], 0));
  return table(
    ["", ...replicas.map(({ name }) => name)],
    [
      row("at", ({ place }) => place),
      row("answers", ({ facts }) => (facts === null ? "no" : `yes, InfluxDB ${facts.version}`)),
      row("running since", ({ facts }) => shortMoment(facts?.started ?? null)),
      row("its clock", ({ facts }) => clockText(facts?.clockAheadMs ?? null)),
      row("its data", ({ facts }) => (facts?.diskBytes == null ? null : bytesText(facts.diskBytes))),
      ...(carried ? [row("writes", ({ lanes }) => [...new Set(lanes.map(({ state }) => state))].join(", "))] : []),
      row("behind by", ({ lagMs }) => (lagMs === 0 ? null : formatDuration(lagMs))),
      row("points to come", ({ lagPoints }) => String(lagPoints)),
      row("points taken", points("acknowledged")),
      row("points refused", ({ shelf }) => String(shelf)),
      row("points too old", points("expired")),
      row("unclear windows", ({ dirtyWindows }) => String(dirtyWindows)),
      row("in doubt", ({ doubt }) => doubtText(doubt)),
      row("last repaired", ({ repaired }) => shortMoment(repaired)),
    ],
  );
}

function spoolLines({ spool }: Api["Replicas"]): string[] {
  const { bytes, bytesMax, freeBytes, gaps, unsealedWindows, differingWindows } = spool;
  const room = `${bytesText(bytes)} of ${bytesText(bytesMax)}, ${bytesText(freeBytes)} free on its disk`;
  const windows = `${counted(unsealedWindows, "window")} of five minutes to be compared, ${differingWindows} undecided`;
  return [`spool: ${room}; ${counted(gaps, "gap")}`, `comparing: ${windows}`];
}

function doubtText(doubt: Replica["doubt"]): string {
  if (doubt === null) return "no";
  const far =
    doubt.comparedBackTo === null ? "not compared yet" : `compared back to ${shortMoment(doubt.comparedBackTo)}`;
  return `${doubt.reason}; ${far}`;
}

/** Without fractions of a second. */
function shortMoment(text: string | null): string | null {
  return text?.replace(/\.\d+Z$/, "Z") ?? null;
}

function clockText(aheadMs: number | null): string | null {
  if (aheadMs === null) return null;
  if (Math.abs(aheadMs) < secondMs) return "as ours";
  return `${formatDuration(Math.abs(aheadMs))} ${aheadMs > 0 ? "ahead" : "behind"}`;
}

export function bytesText(bytes: number): string {
  if (bytes >= 1e9) return `${numberText(bytes / 1e9)} GB`;
  return bytes >= 1e6 ? `${numberText(bytes / 1e6)} MB` : `${numberText(bytes / 1e3)} KB`;
}
