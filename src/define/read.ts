/** One file to its definitions: everything that can be said without looking at other files. */
import { createHash } from "node:crypto";
import { z } from "zod";
import type {
  Calendar,
  CollectionRules,
  Connection,
  Group,
  Person,
  Place,
  Route,
  Rule,
  Sampler,
} from "../core/definitions.ts";
import { Problem } from "../core/problem.ts";
import { formatDuration } from "../core/time.ts";
import { isZone } from "../core/zone.ts";
import { calendarFaults, calendarSchema, toCalendar } from "./calendar.ts";
import { collectionSchema, toCollection } from "./collection.ts";
import { toConnection } from "./connection.ts";
import { clockChanges, cronFault } from "./cron.ts";
import { formatPath, type Path, readDocument, type YamlDocument } from "./document.ts";
import { credentials, fault, problemAt, problemsOf, valueAt } from "./fault.ts";
import type { FileKind } from "./files.ts";
import { type Include, readIcsFiles } from "./icsfiles.ts";
import type { Kinds, SourceKind } from "./kinds.ts";
import { personSchema, toGroup, toPerson } from "./people.ts";
import { routeSchema, toRoute } from "./route.ts";
import { ruleSchema, toRule } from "./rule.ts";
import { toSampler } from "./sampler.ts";
import { name as nameSchema } from "./scalars.ts";
import type { Schemas } from "./schema.ts";
import { isReference, resolveSecret, type SecretOptions } from "./secret.ts";

/** What an entry of a file may define, by kind. */
export type ByKind = {
  sampler: Sampler;
  rule: Rule;
  route: Route;
  collection: CollectionRules;
  person: Person;
  group: Group;
  calendar: Calendar;
  connection: Connection;
};
export type EntryKind = keyof ByKind;

/** A name that an entry uses and another one must define. */
export type Reference = {
  readonly to: "person" | "group" | "connection" | "rule" | "calendar";
  readonly name: string;
  /** For connections: the kinds that the source can use. */
  readonly kinds?: readonly string[];
  /** For connections of samplers: where their history is asked for, and whether the source still has the past. */
  readonly past?: { readonly where: Place; readonly isRepeatable: NonNullable<SourceKind["isRepeatable"]> };
  readonly where: Place;
  readonly path: string;
};

/** One definition as a file holds it; `definition` is null where it is at fault, and its name still counts as known. */
export type Entry = {
  [K in EntryKind]: {
    readonly kind: K;
    readonly name: string;
    readonly file: string;
    readonly place: Place;
    readonly definition: ByKind[K] | null;
    readonly references: readonly Reference[];
  };
}[EntryKind];

/** `readable` false: nobody knows which names the file would define. */
export type FileResult = {
  readonly file: string;
  /** Equal for equal content, that of its includes too; empty where nothing could be read. */
  readonly digest: string;
  /** Other files whose content is part of its definitions. */
  readonly includes: readonly Include[];
  readonly kind: FileKind;
  readonly readable: boolean;
  readonly entries: readonly Entry[];
  readonly problems: readonly Problem[];
};

export type ReadContext = SecretOptions & {
  readonly zone: string;
  readonly nowMs: number;
  readonly kinds: Kinds;
  readonly schemas: Schemas;
  /** How long points are stored; undefined: nobody said. */
  readonly keepPointsMs?: number | undefined;
};

export function readDefinitions(file: string, kind: FileKind, bytes: Uint8Array, context: ReadContext): FileResult {
  const { document, problems } = readDocument(file, bytes);
  const hash = createHash("sha256").update(bytes);
  if (document === null) {
    return { file, digest: hash.digest("hex"), includes: [], kind, readable: false, entries: [], problems };
  }
  const reader = new EntryReader(document, kind, context, problems);
  const before = problems.length;
  reader.read();
  const entries = before === 0 ? reader.entries : reader.entries.map(asFaulty);
  const { includes } = reader;
  for (const include of includes) hash.update(include.digest);
  return { file, digest: hash.digest("hex"), includes, kind, readable: true, entries, problems };
}

/** Duplicate keys and the like: what the file means is in doubt, which names it speaks of is not. */
function asFaulty(entry: Entry): Entry {
  return { ...entry, definition: null };
}

class EntryReader {
  readonly entries: Entry[] = [];
  readonly includes: Include[] = [];
  readonly problems: Problem[];
  readonly #document: YamlDocument;
  readonly #kind: FileKind;
  readonly #context: ReadContext;

  constructor(document: YamlDocument, kind: FileKind, context: ReadContext, problems: Problem[]) {
    this.#document = document;
    this.#kind = kind;
    this.#context = context;
    this.problems = problems;
  }

  read(): void {
    const { schemas } = this.#context;
    const readers: Record<FileKind, () => void> = {
      sampler: () => this.#sampler(),
      rule: () => {
        this.#list("rules", (path) => this.#entry("rule", this.#nameAt(path), path, ruleSchema, toRule));
      },
      route: () => this.#route(),
      people: () => {
        this.#shape(["people", "groups"], true);
        this.#map("people", (id, path) =>
          this.#entry("person", id, path, personSchema, (person, place) => toPerson(person, id, place)),
        );
        this.#map("groups", (id, path) =>
          this.#entry("group", id, path, schemas.group, (group, place) => toGroup(group, id, place)),
        );
      },
      calendar: () => {
        this.#shape(["calendars"]);
        this.#map("calendars", (name, path) => this.#calendar(name, path));
      },
      collection: () => {
        this.#shape(["collection"]);
        if (valueAt(this.#document.value, ["collection"]) === undefined) return;
        this.#entry("collection", "root", ["collection"], collectionSchema, toCollection);
      },
      connection: () => {
        this.#shape(["connections"]);
        this.#map("connections", (name, path) =>
          this.#entry("connection", name, path, schemas.connection, (each, place) => toConnection(each, name, place)),
        );
      },
    };
    readers[this.#kind]();
  }

  #sampler(): void {
    const { schemas, zone } = this.#context;
    this.#entry("sampler", this.#nameAt([]), [], schemas.sampler, (written, place) => {
      const sampler = toSampler(written, place, zone);
      this.#warnings(sampler.source);
      this.#history(sampler);
      return sampler;
    });
    this.#clockChanges();
  }

  #calendar(name: string, path: Path): void {
    const campaignAt = (index: number) => this.#document.where([...path, "campaigns", index]);
    const value = valueAt(this.#document.value, path);
    const { ics: written, zone = this.#context.zone } = Object(value) as { ics?: unknown; zone?: unknown };
    const { dir, nowMs } = this.#context;
    const ics = readIcsFiles(written, this.#document.file, { dir, nowMs, zone: String(zone) });
    this.includes.push(...ics.includes);
    this.#entry(
      "calendar",
      name,
      path,
      calendarSchema,
      (each, place) => toCalendar(each, name, place, this.#context, campaignAt, ics),
      () => {
        for (const [steps, text] of calendarFaults(value, this.#context, ics)) this.#add([...path, ...steps], text);
        this.problems.push(...ics.problems);
      },
    );
  }

  #history({ historyMs }: Sampler): void {
    const { keepPointsMs } = this.#context;
    if (keepPointsMs === undefined || historyMs <= keepPointsMs) return;
    const what = `points are kept for ${formatDuration(keepPointsMs)}`;
    this.#add(["history"], fault("SCH-009", what, "write no more than that, or raise BELLWETHER_KEEP_POINTS"));
  }

  /** What the source itself finds unwise. */
  #warnings({ kind, options }: Sampler["source"]): void {
    for (const warning of this.#context.kinds.sources[kind]?.warnings?.(options) ?? []) {
      const path = ["source", kind, ...(warning.path?.split(".") ?? [])];
      const { code, fix, severity } = warning;
      const where = this.#document.where(path);
      this.problems.push(new Problem(warning.message, { code, where, path: formatPath(path), fix, severity }));
    }
  }

  #clockChanges(): void {
    const { cron, zone = this.#context.zone } = Object(this.#document.value) as { cron?: unknown; zone?: unknown };
    if (typeof cron !== "string" || typeof zone !== "string" || cronFault(cron) !== null || !isZone(zone)) return;
    const changes = clockChanges(cron, zone, this.#context.nowMs);
    if (changes.length === 0) return;
    const what = `the clock of ${zone} changes: ${changes.join(", ")}`;
    this.#add(["cron"], fault("SCH-W06", what, "choose another hour, use every, or set zone: UTC"));
  }

  #route(): void {
    this.#shape(["route"]);
    if (valueAt(this.#document.value, ["route"]) === undefined) return;
    this.#entry("route", "root", ["route"], routeSchema, (route) =>
      toRoute(route, (path) => this.#document.where(["route", ...path])),
    );
  }

  /** The keys at the top of a file that holds several definitions. */
  #shape(keys: readonly string[], optional = false): void {
    const each = optional ? z.unknown().optional() : z.unknown().refine((value) => value !== undefined);
    const shape = z.strictObject(Object.fromEntries(keys.map((key) => [key, each])));
    this.#check(shape, []);
  }

  #list(key: string, read: (path: Path) => void): void {
    this.#shape([key]);
    const value = valueAt(this.#document.value, [key]);
    if (Array.isArray(value)) for (const index of value.keys()) read([key, index]);
    else if (value !== undefined) this.#check(z.array(z.unknown()), [key]);
  }

  #map(key: string, read: (name: string, path: Path) => void): void {
    const value = valueAt(this.#document.value, [key]);
    if (value === undefined) return;
    if (!this.#check(z.record(nameSchema, z.unknown()), [key])) {
      if (typeof value !== "object" || value === null || Array.isArray(value)) return;
    }
    for (const name of Object.keys(value as object)) read(name, [key, name]);
  }

  #nameAt(path: Path): string {
    const name = valueAt(this.#document.value, [...path, "name"]);
    return typeof name === "string" ? name : "";
  }

  /** @param more adds what its schema cannot tell */
  #entry<K extends EntryKind, S extends z.ZodType>(
    kind: K,
    name: string,
    path: Path,
    schema: S,
    build: (written: z.output<S>, place: Place) => ByKind[K],
    more: () => void = () => {},
  ): void {
    const before = this.problems.length;
    const place = this.#document.where(path, "key");
    const written = this.#check(schema, path);
    this.#secrets(kind, path);
    more();
    const faulty = this.problems.slice(before).some((problem) => problem.severity === "error");
    const valid = written !== undefined && !faulty && nameSchema.safeParse(name).success;
    const definition = valid ? build(written.data as z.output<S>, place) : null;
    const references = [...this.#references(kind, path)];
    this.entries.push({ kind, name, file: this.#document.file, place, definition, references } as Entry);
  }

  #check<S extends z.ZodType>(schema: S, path: Path): { data: z.output<S> } | undefined {
    const result = schema.safeParse(valueAt(this.#document.value, path));
    if (result.success) return { data: result.data };
    const scope = { document: this.#document, base: path, schema: this.#context.schemas.json[this.#kind] };
    this.problems.push(...problemsOf(result.error.issues, scope));
    return undefined;
  }

  #add(path: Path, text: string): void {
    this.problems.push(problemAt(this.#document, path, text));
  }

  *#references(kind: EntryKind, path: Path): Generator<Reference> {
    const at = (to: Reference["to"], steps: Path, kinds?: readonly string[]): Reference[] => {
      const full = [...path, ...steps];
      const name = valueAt(this.#document.value, full);
      if (typeof name !== "string") return [];
      return [{ to, name, ...(kinds && { kinds }), where: this.#document.where(full), path: formatPath(full) }];
    };
    const keys = (steps: Path): string[] => Object.keys(Object(valueAt(this.#document.value, [...path, ...steps])));
    if (kind === "sampler") {
      yield* at("group", ["owner"]);
      yield* at("group", ["group"]);
      yield* at("calendar", ["calendar"]);
      for (const source of keys(["source"]).filter((each) => Object.hasOwn(this.#context.kinds.sources, each))) {
        const { connections, isRepeatable } = this.#context.kinds.sources[source] as SourceKind;
        if (connections === undefined) continue;
        const past = isRepeatable && { where: this.#document.where(["history"]), isRepeatable };
        for (const reference of at("connection", ["source", source, "connection"], Object.keys(connections))) {
          yield { ...reference, ...(past && { past }) };
        }
      }
    } else if (kind === "rule") {
      for (const index of keys(["needs"])) yield* at("rule", ["needs", Number(index)]);
    } else if (kind === "group") {
      for (const index of keys(["members"])) yield* at("person", ["members", Number(index)]);
    } else if (kind === "route") {
      yield* at("group", ["group"]);
      for (const index of keys(["routes"])) yield* this.#references("route", [...path, "routes", Number(index)]);
    }
  }

  /** Secrets written out, and references that lead nowhere. */
  #secrets(kind: EntryKind, base: Path): void {
    const secretKeys = kind === "connection" || kind === "sampler" || kind === "group";
    const visit = (value: unknown, path: Path): void => {
      const key = String(path.at(-1) ?? "");
      if (typeof value === "object" && value !== null) {
        for (const [step, inner] of Object.entries(value))
          visit(inner, [...path, Array.isArray(value) ? Number(step) : step]);
        return;
      }
      const reference = typeof value === "string" && isReference(value);
      const isSecret = secretKeys && secretKey.test(key) && value !== null;
      if ((isSecret && !reference) || (typeof value === "string" && credentials.test(value))) {
        const where = this.#document.where(path);
        const fix = "write a reference instead: env:NAME or file:PATH";
        this.problems.push(
          new Problem("a secret is written out", { code: "CFG-012", where, path: formatPath(path), fix }),
        );
      } else if (reference && (kind === "connection" || key === "to")) this.#resolves(value, path);
    };
    visit(valueAt(this.#document.value, base), base);
  }

  #resolves(reference: string, path: Path): void {
    try {
      resolveSecret(reference, this.#context);
    } catch (thrown) {
      if (!(thrown instanceof Problem)) throw thrown;
      const { code, fix } = thrown;
      const where = this.#document.where(path);
      this.problems.push(new Problem(thrown.message, { code, where, path: formatPath(path), fix }));
    }
  }
}

const secretKey = /^(?:.*_)?(?:password|passwd|passphrase|pwd|secret|token|api_?key|private_?key|credentials?)$/i;
