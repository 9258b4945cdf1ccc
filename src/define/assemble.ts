/** All files together: names that are used or defined twice, references, rings. Pure. */
import type { Calendar, Definitions, Group, Person, Place, Route, Rule, Sampler } from "../core/definitions.ts";
import { Problem } from "../core/problem.ts";
import { dayMs } from "../core/time.ts";
import { lookAtCampaigns } from "./campaigns.ts";
import { defaultCollection } from "./collection.ts";
import { oneOf } from "./fault.ts";
import type { FileKind } from "./files.ts";
import { defaultSteps } from "./people.ts";
import type { ByKind, Entry, EntryKind, FileResult, Reference } from "./read.ts";
import { defaultRoute } from "./route.ts";

const perKindMax = 10_000;
/** How long before a calendar's last known day it is told. */
const calendarEndsDays = 60;
/** How long after its end a shadow period is told to be of no use any more. */
const shadowForgottenMs = 30 * dayMs;

/** A fault between definitions, with what could have caused it. */
type Conflict = {
  readonly problem: Problem;
  /** Files that take part in it. */
  readonly files: readonly string[];
  /** The name that is missing, as `group shop-team`; null where none is. */
  readonly missing: string | null;
};

export type Assembled = { readonly definitions: Definitions; readonly conflicts: readonly Conflict[] };

/**
 * @param files sorted by name: of two definitions with one name the first stays
 * @param nowMs tells which calendars come to their end
 */
export function assemble(files: readonly FileResult[], nowMs: number): Assembled {
  return new Assembly(files, nowMs).assemble();
}

/** Names that a file defines, as `group shop-team`. */
export function namesOf(file: FileResult): string[] {
  return file.entries.map(({ kind, name }) => `${kind} ${name}`);
}

class Assembly {
  readonly #conflicts: Conflict[] = [];
  readonly #files: readonly FileResult[];
  /** By kind and name; an entry without a definition is known and faulty. */
  readonly #entries: { [K in EntryKind]: Map<string, Entry & { kind: K }> } = {
    sampler: new Map(),
    rule: new Map(),
    route: new Map(),
    collection: new Map(),
    person: new Map(),
    group: new Map(),
    calendar: new Map(),
    connection: new Map(),
  };
  /** Kinds of which some file cannot be read: a name that is not found may be in it. */
  readonly #unreadable: ReadonlySet<FileKind>;

  readonly #nowMs: number;

  constructor(files: readonly FileResult[], nowMs: number) {
    this.#files = files;
    this.#nowMs = nowMs;
    this.#unreadable = new Set(files.filter((file) => !file.readable).map((file) => file.kind));
  }

  assemble(): Assembled {
    for (const file of this.#files) for (const entry of file.entries) this.#add(entry);
    const samplers = this.#defined("sampler");
    for (const entry of this.#entries.sampler.values()) if (!this.#samplerHolds(entry)) samplers.delete(entry.name);
    this.#seriesOnce(samplers);
    for (const sampler of samplers.values()) this.#shadowIsLongOver(sampler);
    const groups = this.#groups();
    const definitions: Definitions = {
      samplers,
      rules: this.#rules(),
      route: this.#route(),
      collection: this.#entries.collection.get("root")?.definition ?? defaultCollection,
      people: this.#defined("person"),
      groups,
      calendars: this.#calendars(samplers),
      connections: this.#defined("connection"),
    };
    this.#personsAsGroups(definitions, groups);
    return { definitions, conflicts: this.#conflicts };
  }

  #add(entry: Entry): void {
    const known = this.#entries[entry.kind] as Map<string, Entry>;
    if (entry.name === "") return;
    const first = known.get(entry.name);
    if (first !== undefined) {
      const what = `${entry.kind} "${entry.name}" again (first at ${first.place})`;
      this.#conflict("CFG-010", what, entry, "rename or remove one of the two", { other: first });
    } else if (known.size >= perKindMax) {
      if (known.size === perKindMax && !this.#conflicts.some(({ problem }) => problem.code === "CFG-003")) {
        const total = this.#files.flatMap((file) => file.entries).filter((each) => each.kind === entry.kind).length;
        const what = `more than ${perKindMax} definitions of kind ${entry.kind} (got ${total}); those from here on are left out`;
        this.#conflict("CFG-003", what, entry, "define fewer");
      }
    } else known.set(entry.name, entry);
  }

  #defined<K extends EntryKind>(kind: K): Map<string, ByKind[K]> {
    const entries = [...this.#entries[kind].values()].filter((entry) => entry.definition !== null);
    return new Map(entries.map((entry) => [entry.name, entry.definition as ByKind[K]]));
  }

  #conflict(
    code: string,
    what: string,
    at: { place: Place; file: string; path?: string },
    fix: string | undefined,
    more: { other?: Entry; missing?: string } = {},
  ): void {
    const severity = code.includes("-W") ? "warning" : "error";
    const problem = new Problem(what, { code, where: at.place, path: at.path, fix, severity });
    const files = more.other === undefined ? [at.file] : [at.file, more.other.file];
    this.#conflicts.push({ problem, files, missing: more.missing ?? null });
  }

  /**
   * Whether the name leads to something. A name nobody defines is an error; one whose definition is at fault, or may
   * be in a file that cannot be read, is a warning: the cause is told elsewhere already.
   */
  #find(entry: Entry, reference: Reference): "defined" | "faulty" | "unknown" {
    const { to, name } = reference;
    const kinds: EntryKind[] = to === "group" ? ["group", "person"] : [to];
    const target = kinds.map((kind) => this.#entries[kind].get(name)).find((each) => each !== undefined);
    if (target !== undefined && target.definition !== null) return "defined";
    const at = { place: reference.where, file: entry.file, path: reference.path };
    const called = to === "group" ? "person or group" : to;
    if (target !== undefined) {
      this.#conflict("CFG-W21", `${called} "${name}" is at fault itself, see ${target.place}`, at, undefined);
      return "faulty";
    }
    if (this.#unreadable.has(to === "group" || to === "person" ? "people" : to)) {
      this.#conflict("CFG-W21", `cannot tell whether ${called} "${name}" exists: a file cannot be read`, at, undefined);
      return "faulty";
    }
    const known = kinds.flatMap((kind) => [...this.#entries[kind].keys()]);
    const fix = known.length === 0 ? `define it; no ${called} is defined` : oneOf(name, known);
    this.#conflict("RUL-003", `unknown ${called} "${name}"`, at, fix, { missing: `${to} ${name}` });
    return "unknown";
  }

  /** Without its rows a sampler cannot run; with an owner at fault it can, and the fault is told. */
  #samplerHolds(entry: Entry & { kind: "sampler" }): boolean {
    let holds = true;
    for (const reference of entry.references) {
      if (!this.#hasPast(entry, reference)) holds = false;
      const found = this.#find(entry, reference);
      if (found === "unknown" || (found === "faulty" && reference.to === "connection")) holds = false;
      const kind = this.#entries.connection.get(reference.name)?.definition?.kind;
      if (reference.kinds === undefined || kind === undefined || reference.kinds.includes(kind)) continue;
      const at = { place: reference.where, file: entry.file, path: reference.path };
      const what = `connection "${reference.name}" is of kind ${kind}, which this source cannot use`;
      this.#conflict("CFG-019", what, at, `name a connection of kind ${reference.kinds.join(" or ")}`);
      holds = false;
    }
    return holds;
  }

  /** A source that gives what is now would have it stored as the number of every day. */
  #hasPast({ definition, file }: Entry & { kind: "sampler" }, { name, past }: Reference): boolean {
    const connection = this.#entries.connection.get(name)?.definition;
    if (past === undefined || connection == null || definition === null || definition.historyMs === 0) return true;
    const { where, isRepeatable } = past;
    if (isRepeatable(definition.source.options, connection.options)) return true;
    const what = "its source gives what is now, whatever slot is asked for";
    const at = { place: where, file, path: "history" };
    this.#conflict("SCH-009", what, at, "have it ask for the slot, or leave history out");
    return false;
  }

  /**
   * Two samplers that write one field of one measurement would take each other's series for their own absent ones, or
   * overwrite their points.
   */
  #seriesOnce(samplers: Map<string, Sampler>): void {
    const writers = new Map<string, Entry>();
    for (const sampler of [...samplers.values()]) {
      const entry = this.#entries.sampler.get(sampler.name) as Entry;
      const { measurement, fields } = sampler.point;
      const keys = fields.map((field) => JSON.stringify([measurement, field]));
      const other = keys.map((key) => writers.get(key)).find((each) => each !== undefined);
      if (other === undefined) for (const key of keys) writers.set(key, entry);
      else {
        const what = `sampler "${other.name}" writes points of ${measurement} with the same field already (${other.place})`;
        this.#conflict("CFG-010", what, { ...entry, path: "point" }, "choose another measurement", { other });
        samplers.delete(sampler.name);
      }
    }
  }

  /** Of campaigns that overlap, the one that begins first stays. */
  #calendars(samplers: ReadonlyMap<string, Sampler>): Map<string, Calendar> {
    const calendars = this.#defined("calendar");
    for (const calendar of calendars.values()) {
      const { file } = this.#entries.calendar.get(calendar.name) as Entry;
      const users = [...samplers.values()].filter((sampler) => sampler.calendar === calendar.name);
      const { sound, overlaps, meaningless } = lookAtCampaigns(calendar, users);
      for (const { later, earlier, sampler } of overlaps) {
        const both = sampler === null ? "" : `; both mean series of sampler "${sampler}"`;
        const what = `overlaps the campaign "${earlier.title}" at ${earlier.place}${both}`;
        this.#conflict("CAL-002", what, { place: later.place, file }, "part them in time, or by match");
      }
      for (const { place } of users.length === 0 ? [] : meaningless) {
        const what = `means nothing that samplers with calendar "${calendar.name}" write`;
        this.#conflict("CAL-W08", what, { place, file }, "correct match, or name the calendar in a sampler");
      }
      if (users.length > 0) this.#calendarEnds(calendar, file);
      for (const sampler of users) this.#zonesDiffer(sampler, calendar);
      if (overlaps.length > 0) calendars.set(calendar.name, { ...calendar, campaigns: sound });
    }
    return calendars;
  }

  #calendarEnds({ knownUntil, place }: Calendar, file: string): void {
    if (knownUntil === null) return;
    const daysLeft = Math.floor(Date.parse(knownUntil) / dayMs) - Math.floor(this.#nowMs / dayMs);
    if (daysLeft > calendarEndsDays) return;
    const away = daysLeft === 0 ? "today" : `${daysLeft} ${daysLeft === 1 ? "day" : "days"} away`;
    const when = `which is ${daysLeft < 0 ? "over" : away}`;
    const what = `days off and worked weekends are known until ${knownUntil}, ${when}`;
    const fix = `write those of ${Number(knownUntil.slice(0, 4)) + 1} under holidays and workdays, or update Bellwether`;
    this.#conflict("CAL-W07", what, { place, file }, fix);
  }

  #shadowIsLongOver({ name, place, shadow }: Sampler): void {
    const overMs = this.#nowMs - (shadow?.untilMs ?? this.#nowMs);
    if (overMs < shadowForgottenMs) return;
    const { file } = this.#entries.sampler.get(name) as Entry;
    const what = `a shadow period that ended ${Math.floor(overMs / dayMs)} days ago`;
    this.#conflict("CFG-W23", what, { place, file, path: "shadow" }, "remove the line");
  }

  #zonesDiffer(sampler: Sampler, calendar: Calendar): void {
    if (sampler.zone === calendar.zone) return;
    const { file, references } = this.#entries.sampler.get(sampler.name) as Entry;
    const { where: place = sampler.place, path = "calendar" } = references.find(({ to }) => to === "calendar") ?? {};
    const what = `days of the sampler begin in ${sampler.zone}, those of the calendar in ${calendar.zone}`;
    this.#conflict("CAL-W09", what, { place, file, path }, `set zone: ${calendar.zone}`);
  }

  /** Members that cannot be told are left out, and said. */
  #groups(): Map<string, Group> {
    const groups = this.#defined("group");
    for (const entry of this.#entries.group.values()) {
      const lost = entry.references.filter((reference) => this.#find(entry, reference) !== "defined");
      const group = groups.get(entry.name);
      if (group === undefined || lost.length === 0) continue;
      const names = lost.map((reference) => reference.name);
      groups.set(entry.name, { ...group, members: group.members.filter((member) => !names.includes(member)) });
    }
    for (const group of groups.values()) this.#heard(group);
    return groups;
  }

  #heard({ id, members, steps }: Group): void {
    const people = members.map((member) => this.#entries.person.get(member)?.definition ?? null);
    const reaches = steps.some(({ notifier, to }) => {
      if (to !== null) return true;
      return people.some((person) => person !== null && (notifier !== "email" || person.email !== null));
    });
    if (reaches) return;
    const entry = this.#entries.group.get(id) as Entry;
    this.#conflict(
      "CFG-W22",
      `nobody hears what is sent to group "${id}"`,
      entry,
      "add a member with an address, or a step with to",
    );
  }

  /** A node whose group cannot be told passes its alerts to the group above. */
  #route(): Route {
    const entry = this.#entries.route.get("root");
    const lost = entry?.references.filter((reference) => this.#find(entry, reference) === "unknown") ?? [];
    const names = new Set(lost.map((reference) => reference.name));
    const prune = (route: Route, above: string | null): Route => {
      const group = route.group !== null && names.has(route.group) ? above : route.group;
      return { ...route, group, routes: route.routes.map((child) => prune(child, group)) };
    };
    return prune((entry?.definition as Route | null | undefined) ?? defaultRoute, null);
  }

  /** A rule that needs one that cannot be told could never conclude what it was written for. */
  #rules(): Map<string, Rule> {
    const rules = this.#defined("rule");
    for (const entry of this.#entries.rule.values()) {
      for (const reference of entry.references)
        if (this.#find(entry, reference) !== "defined") rules.delete(entry.name);
    }
    for (const ring of rings(rules)) {
      const entries = ring.map((name) => this.#entries.rule.get(name) as Entry);
      const what = `rules need each other in a ring: ${[...ring, ring[0]].join(" -> ")}`;
      this.#conflict("CFG-011", what, { ...(entries[0] as Entry), path: "needs" }, "remove one of the needs");
      for (const name of ring) rules.delete(name);
    }
    for (let before = -1; before !== rules.size; ) {
      before = rules.size;
      for (const rule of [...rules.values()]) {
        const lost = rule.needs.find((name) => !rules.has(name));
        if (lost === undefined) continue;
        rules.delete(rule.name);
        const entry = this.#entries.rule.get(rule.name) as Entry;
        this.#conflict("CFG-W21", `left out, as rule "${lost}" is`, { ...entry, path: "needs" }, undefined);
      }
    }
    return rules;
  }

  /** Where a group is wanted a person may stand: a group of one, told by the default steps. */
  #personsAsGroups({ samplers, route, people }: Definitions, groups: Map<string, Group>): void {
    const names = new Set([...samplers.values()].flatMap((sampler) => [sampler.group, sampler.owner]));
    const visit = (node: Route): void => {
      if (node.group !== null) names.add(node.group);
      node.routes.forEach(visit);
    };
    visit(route);
    for (const name of names) {
      const person = groups.has(name) ? undefined : people.get(name);
      if (person !== undefined) groups.set(name, groupOf(person));
    }
  }
}

function groupOf({ id, name, place }: Person): Group {
  return { id, title: name, members: [id], steps: defaultSteps, place };
}

/** Rings of `needs`, each once, from its first rule on. */
function rings(rules: ReadonlyMap<string, Rule>): string[][] {
  const found: string[][] = [];
  const done = new Set<string>();
  for (const start of rules.keys()) {
    const trail: string[] = [];
    const pending: { name: string; next: number }[] = [{ name: start, next: 0 }];
    while (pending.length > 0) {
      const top = pending.at(-1) as { name: string; next: number };
      if (top.next === 0) trail.push(top.name);
      const need = done.has(top.name) ? undefined : rules.get(top.name)?.needs[top.next];
      top.next += 1;
      if (need === undefined) {
        done.add(top.name);
        pending.pop();
        trail.pop();
      } else if (trail.includes(need)) found.push(trail.slice(trail.indexOf(need)));
      else if (!done.has(need)) pending.push({ name: need, next: 0 });
    }
  }
  return found;
}
