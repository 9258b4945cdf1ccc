/** Hot reload: what changes on disk takes over where it is sound; the rest keeps its last good version. */
import { join } from "node:path";
import type { Clock, Log, Measure, Measured } from "../core/ports.ts";
import { formatProblem, Problem } from "../core/problem.ts";
import { dayMs, floorToStep, minuteMs, secondMs } from "../core/time.ts";
import { formatLocal } from "../core/zone.ts";
import { type Assembled, assemble, namesOf } from "./assemble.ts";
import { currentStamp, type Found, findFiles } from "./files.ts";
import type { Include } from "./icsfiles.ts";
import { contextOf, distinct, inOrder, type Loaded, type LoadOptions, readFound } from "./load.ts";
import type { FileResult, ReadContext } from "./read.ts";

/** One file: the version on disk, null once it is gone, and the version in force. */
type Tracked = {
  readonly stamp: string;
  /** As they were when the version on disk was read. */
  readonly includes: readonly Include[];
  readonly onDisk: FileResult | null;
  readonly inForce: FileResult | null;
  readonly inForceMs: number;
};

export type WatchOptions = LoadOptions & {
  readonly clock: Clock;
  readonly log: Log;
  /** How often the folder is looked at. Default 1 s. A change takes over once two looks in a row saw the same. */
  readonly pollMs?: number;
};

/**
 * Reads the folder again as it changes. A version with faults is not taken over as long as one in force defines
 * something: not if the fault is its own, and not if it would leave others without what they refer to. Removing a
 * file removes its definitions, unless others still refer to them.
 */
export class DefinitionWatcher implements Measured {
  readonly #options: WatchOptions;
  readonly #context: () => ReadContext;
  #tracked: ReadonlyMap<string, Tracked> = new Map();
  /** What the folder looked like when it was last read. */
  #read = "";
  /** When that was. */
  #readMs = 0;
  #current: Loaded = { definitions: assemble([], 0).definitions, problems: [] };
  #reloads = 0;
  #kept = 0;

  constructor(options: WatchOptions) {
    this.#options = options;
    this.#context = contextOf(options);
  }

  /** Nothing before the first {@link reload}. */
  get current(): Loaded {
    return this.#current;
  }

  /** Looks at the folder now; reads what changed. @returns whether definitions or problems are others than before */
  async reload(): Promise<boolean> {
    const found = await findFiles(this.#options.dir);
    const context = this.#context();
    this.#readMs = context.nowMs;
    const tracked = await this.#readChanged(found.files, context);
    this.#read = [stampOf(found), ...includesOf(tracked).map(({ stamp }) => stamp)].join("\n");
    const { accepted, assembled, refusals } = choose(tracked, context.nowMs);
    const files = [...tracked.values()].flatMap(({ onDisk }) => onDisk?.problems ?? []);
    const kept = [...refusals].map(([file, reasons]) => this.#keptProblem(tracked.get(file) as Tracked, file, reasons));
    const shown = new Set([...found.problems, ...files, ...[...refusals.values()].flat(), ...kept]);
    for (const { problem } of assembled.conflicts) shown.add(problem);
    const next = new Map<string, Tracked>();
    let changed = false;
    for (const [file, each] of tracked) {
      const inForce = accepted.has(file) ? each.onDisk : each.inForce;
      changed ||= inForce !== each.inForce;
      if (inForce === null && each.onDisk === null) continue;
      next.set(file, { ...each, inForce, inForceMs: inForce === each.inForce ? each.inForceMs : context.nowMs });
    }
    const problems = distinct(inOrder([...shown]));
    changed ||= textOf(problems) !== textOf(this.#current.problems);
    this.#tracked = next;
    if (!changed) return false;
    this.#current = { definitions: assembled.definitions, problems };
    this.#reloads += 1;
    this.#kept = refusals.size;
    return true;
  }

  /** Follows the folder until the signal aborts; returns then. `onChange` hears of every change taken over. */
  async run(signal: AbortSignal, onChange: (loaded: Loaded) => void): Promise<void> {
    const { clock, log, pollMs = secondMs } = this.#options;
    let before = "";
    while (!signal.aborted) {
      try {
        // A file half written, or away for a moment while an editor replaces it, looks different a second later.
        const now = await this.#look();
        const due = now === before && (now !== this.#read || this.#awaitsSecret() || this.#isOld());
        before = now;
        if (due && (await this.reload())) {
          const { problems } = this.#current;
          log.info({ files: this.#tracked.size, problems: problems.length }, "definitions read again");
          onChange(this.#current);
        }
        await clock.sleep(pollMs, signal);
      } catch (thrown) {
        if (signal.aborted) return;
        log.error({ error: thrown }, "definitions could not be read again");
        await clock.sleep(pollMs, signal).catch(() => {});
      }
    }
  }

  measures(): Measure[] {
    const { definitions, problems } = this.#current;
    const gauge = (name: string, help: string, value: number, labels?: Record<string, string>): Measure => {
      return { name: `bellwether_${name}`, help, kind: "gauge", value, labels };
    };
    const { samplers, rules, people, groups, calendars, connections } = definitions;
    const byKind = { sampler: samplers, rule: rules, person: people, group: groups, calendar: calendars };
    return [
      gauge("definition_files", "Files that define something", this.#tracked.size),
      gauge("definition_files_kept", "Files of which an older version is in force", this.#kept),
      ...Object.entries({ ...byKind, connection: connections }).map(([kind, map]) =>
        gauge("definitions", "Definitions in force", map.size, { kind }),
      ),
      ...(["error", "warning"] as const).map((severity) => {
        const count = problems.filter((problem) => problem.severity === severity).length;
        return gauge("definition_problems", "Problems in definitions", count, { severity });
      }),
      {
        name: "bellwether_definition_reloads_total",
        help: "Times that definitions or their problems changed",
        kind: "counter",
        value: this.#reloads,
      },
    ];
  }

  async #look(): Promise<string> {
    const found = await findFiles(this.#options.dir);
    const includes = includesOf(this.#tracked).map(({ file }) => this.#stampNow(file));
    return [stampOf(found), ...(await Promise.all(includes))].join("\n");
  }

  #stampNow(file: string): Promise<string> {
    return currentStamp(join(this.#options.dir, file));
  }

  async #areOthers(includes: readonly Include[]): Promise<boolean> {
    const now = await Promise.all(includes.map(({ file }) => this.#stampNow(file)));
    return includes.some(({ stamp }, index) => stamp !== now[index]);
  }

  /** A secret can appear without a change of the file that refers to it. */
  #awaitsSecret(): boolean {
    return [...this.#tracked.values()].some(({ onDisk }) => onDisk !== null && refersToNothing(onDisk));
  }

  /** Calendars come to their end without a change of any file. */
  #isOld(): boolean {
    return this.#options.clock.nowMs() - this.#readMs >= dayMs;
  }

  /** What is on disk beside what is in force; files that did not change, nor what they include, are not read again. */
  async #readChanged(files: readonly Found[], context: ReadContext): Promise<Map<string, Tracked>> {
    const tracked = new Map<string, Tracked>();
    for (const found of files) {
      const known = this.#tracked.get(found.file);
      const { inForce = null, inForceMs = context.nowMs } = known ?? {};
      let { onDisk = null, includes = [] } = known ?? {};
      const same = onDisk !== null && known?.stamp === found.stamp && !refersToNothing(onDisk);
      if (!same || (await this.#areOthers(includes))) {
        const again = await readFound(this.#options.dir, found, context);
        includes = again.includes;
        if (onDisk?.digest !== again.digest || textOf(onDisk.problems) !== textOf(again.problems)) onDisk = again;
      }
      tracked.set(found.file, { stamp: found.stamp, includes, onDisk, inForce, inForceMs });
    }
    for (const [file, known] of this.#tracked) {
      if (!tracked.has(file)) tracked.set(file, { ...known, includes: [], onDisk: null });
    }
    return tracked;
  }

  #keptProblem({ onDisk, inForceMs }: Tracked, file: string, reasons: readonly Problem[]): Problem {
    const since = `the version read at ${formatLocal(floorToStep(inForceMs, minuteMs), this.#options.zone)} (${this.#options.zone}) stays in force`;
    const first = inOrder(reasons)[0];
    const own = first?.where?.startsWith(`${file}:`) === true;
    const faults = reasons.length === 1 ? "1 fault" : `${reasons.length} faults`;
    const what = onDisk === null ? "removed, but others refer to it" : `not taken over for ${faults}`;
    return new Problem(`${what}; ${since}`, {
      code: "CFG-016",
      where: own ? first.where : file,
      fix: own ? `see line ${first.where?.split(":")[1]}` : `see ${first?.where}`,
    });
  }
}

type Choice = {
  /** Files whose version on disk (or absence) takes over. */
  readonly accepted: ReadonlySet<string>;
  readonly assembled: Assembled;
  /** File to the problems for which its version on disk was refused. */
  readonly refusals: ReadonlyMap<string, readonly Problem[]>;
};

/** Takes over every change that hurts nobody; of changes that conflict, those that caused it stay out. */
function choose(tracked: ReadonlyMap<string, Tracked>, nowMs: number): Choice {
  const refusals = new Map<string, readonly Problem[]>();
  const pending = new Set<string>();
  for (const [file, { onDisk, inForce }] of tracked) {
    if (onDisk === inForce) continue;
    const errors = onDisk?.problems.filter(({ severity }) => severity === "error") ?? [];
    if (errors.length > 0 && definesSomething(inForce)) refusals.set(file, errors);
    else pending.add(file);
  }
  for (;;) {
    const assembled = assemble(versions(tracked, pending), nowMs);
    const culprits = new Map<string, Problem[]>();
    for (const { problem, files, missing } of assembled.conflicts) {
      if (problem.severity !== "error") continue;
      for (const file of pending) {
        const { inForce } = tracked.get(file) as Tracked;
        if (!definesSomething(inForce)) continue;
        const lost = missing !== null && namesOf(inForce as FileResult).some((name) => isNamed(missing, name));
        if (lost || files.includes(file)) culprits.set(file, [...(culprits.get(file) ?? []), problem]);
      }
    }
    if (culprits.size === 0) return { accepted: pending, assembled, refusals };
    for (const [file, problems] of culprits) {
      pending.delete(file);
      refusals.set(file, problems);
    }
  }
}

/** A person may stand where a group is wanted. */
function isNamed(missing: string, name: string): boolean {
  return name === missing || name.replace(/^person /, "group ") === missing;
}

function stampOf({ files, problems }: Awaited<ReturnType<typeof findFiles>>): string {
  return [...files.map(({ file, stamp }) => `${file} ${stamp}`), textOf(problems)].join("\n");
}

function includesOf(tracked: ReadonlyMap<string, Tracked>): Include[] {
  return [...tracked.values()].flatMap(({ includes }) => includes);
}

function refersToNothing({ problems }: FileResult): boolean {
  return problems.some(({ code }) => code === "CFG-013");
}

function definesSomething(file: FileResult | null): boolean {
  return file?.entries.some(({ definition }) => definition !== null) ?? false;
}

/** What would be in force, what was already first: of two definitions with one name the older one stays. */
function versions(tracked: ReadonlyMap<string, Tracked>, accepted: ReadonlySet<string>): FileResult[] {
  const older: FileResult[] = [];
  const newer: FileResult[] = [];
  for (const file of [...tracked.keys()].sort()) {
    const { onDisk, inForce } = tracked.get(file) as Tracked;
    const version = accepted.has(file) ? onDisk : inForce;
    if (version !== null) (inForce === null ? newer : older).push(version);
  }
  return [...older, ...newer];
}

function textOf(problems: readonly Problem[]): string {
  return problems.map(formatProblem).join("\n");
}
