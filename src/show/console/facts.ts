/**
 * Everything that the console knows, as the composition root hands it in. The console reads these facts and asks
 * for the acts that people may do; it holds no state of its own.
 */
import type { Definitions } from "../../core/definitions.ts";
import type {
  Explanation,
  Incident,
  Mail,
  MailSummary,
  ShadowState,
  Silence,
  SlotRecord,
  TimeWindow,
} from "../../core/model.ts";
import type {
  Clock,
  ComparisonFound,
  Measured,
  ReplicasStatus,
  ShelfEntry,
  TimeSeriesStore,
} from "../../core/ports.ts";
import type { Problem } from "../../core/problem.ts";
import type { State } from "../../state/database.ts";
import type { ProcessRecord } from "../../state/processes.ts";
import type { SlotUsage } from "../../state/slots.ts";

export type Facts = {
  /** What is in force now, and what is wrong with the files it was read from. */
  readonly definitions: () => { readonly definitions: Definitions; readonly problems: readonly Problem[] };
  readonly store: TimeSeriesStore;
  readonly state: State;
  readonly clock: Clock;
  /** Business zone where a definition names none. */
  readonly zone: string;
  readonly version: string;
  /** When the sampler's next slot ends and may run; null if it never will. */
  readonly next: (sampler: string) => NextSlot | null;
  /** Why, or why not; null for a series that nobody judges. `timeMs` may lie anywhere inside the slot. */
  readonly explain: (series: string, timeMs: number) => Promise<Explanation | null>;
  /** The folder where messages go when no mail server is set; null when one is. */
  readonly mailbox: Mailbox | null;
  /** The servers that hold the same series; null where the series lie in a file of our own. */
  readonly replicas: Replicas | null;
  /** Whether work is being done; each reason is one sentence about what is not (yet) well. */
  readonly ready: () => Promise<{ readonly ready: boolean; readonly reasons: readonly string[] }>;
  /** Whatever counts or bounds something; read at each scrape of `/metrics`. */
  readonly measured: readonly Measured[];
  /** What slots took within the last hour, by sampler. */
  readonly usage: () => Promise<ReadonlyMap<string, SlotUsage>>;
  /** How a sampler's shadow period goes; null where its definition has none. */
  readonly shadow: (sampler: string) => Promise<ShadowState | null>;
  /** The processes of this installation that have been heard of lately. */
  readonly processes: () => readonly (ProcessRecord & { readonly alive: boolean })[];
  readonly act: Acts;
  /** True: the numbers are a demonstration, and the console says so on every page. */
  readonly demo: boolean;
};

type NextSlot = Pick<SlotRecord, "startMs" | "stepMs" | "dueMs">;

type Mailbox = {
  /** Newest first, at most `limit`. */
  readonly list: (limit: number) => Promise<readonly MailSummary[]>;
  readonly read: (id: string) => Promise<Mail | null>;
};

/** What aborts breaks a run off; what it has written until then stays, and is right. */
type Replicas = {
  status(): ReplicasStatus;
  /** Changes nothing. `deep`: point by point. @throws Problem, retryable, where a copy does not answer */
  compare(window: TimeWindow, deep: boolean, signal: AbortSignal): Promise<ComparisonFound>;
  /** As `compare`, and writes what copies lack. */
  repair(window: TimeWindow, deep: boolean, signal: AbortSignal): Promise<ComparisonFound>;
  /** Oldest first; `target` absent: of every copy. */
  shelf(filter: { target?: string | undefined; limit: number }): readonly ShelfEntry[];
  /** Sends what was refused once more. @throws Problem, retryable, where a copy takes nothing at all */
  requeue(target: string | undefined, signal: AbortSignal): Promise<{ readonly taken: number; readonly left: number }>;
};

/** What people do. Each is one transaction with its audit entry; who was faster wins, the other hears about it. */
type Acts = {
  /** `expectedVersion`: the incident's version that the person saw; absent = whatever it is now. */
  readonly acknowledge: (incidentId: string, by: string, expectedVersion?: number) => Promise<Acknowledgement>;
  /** @throws Problems with every fault of the draft */
  readonly addSilence: (draft: SilenceDraft) => Promise<Silence>;
  /** False: there is no such silence, or it has ended. */
  readonly endSilence: (id: string, by: string) => Promise<boolean>;
  readonly endShadow: (sampler: string, by: string) => Promise<ShadowEnding>;
};

type Acknowledgement =
  | { readonly done: true; readonly incident: Incident }
  /** `incident` as it stands now; null if there is none of that id. */
  | { readonly done: false; readonly incident: Incident | null };

/** `over`: its shadow period has ended before; else its definition has none. */
type ShadowEnding = { readonly done: true } | { readonly done: false; readonly over: boolean; readonly reason: string };

type SilenceDraft = Pick<Silence, "matchers" | "reason" | "author" | "startsMs" | "endsMs">;
