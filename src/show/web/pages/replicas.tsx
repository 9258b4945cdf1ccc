import { useState } from "preact/hooks";
import { formatDuration, minuteMs, secondMs } from "../../../core/time.ts";
import type { Api } from "../../console/api.ts";
import { usePolled } from "../client.ts";
import { count, none, number, relative, wall } from "../format.ts";
import { useNowMs, useZone } from "../health.ts";
import { Orders, Shelf, Undecided } from "../orders.tsx";
import { Answer, Chip, Field } from "../parts.tsx";

const shelfShown = 100;

export function ReplicasPage() {
  const [target, setTarget] = useState("");
  const polled = usePolled<Api["Replicas"]>("/replicas", 5_000);
  const query = new URLSearchParams({ limit: String(shelfShown), ...(target && { target }) });
  const shelf = usePolled<Api["Shelf"]>(polled.data && `/replicas/shelf?${query}`, 10_000);
  const reload = () => {
    polled.reload();
    shelf.reload();
  };
  return (
    <>
      <h1>Copies</h1>
      <p class="lead">
        Each of these servers is to hold every point. Points are safe in the spool, on the disk of this machine, until
        all of them have confirmed them.
      </p>
      <Answer polled={polled}>
        {({ spool, replicas }) => (
          <>
            <ul class="cards copies">
              {replicas.map((replica) => (
                <Copy key={replica.name} replica={replica} />
              ))}
            </ul>
            <Spool spool={spool} />
            <Orders changed={reload} />
            <Shelf {...{ shelf, target, setTarget, changed: reload }} names={replicas.map(({ name }) => name)} />
          </>
        )}
      </Answer>
    </>
  );
}

// ---- one copy -------------------------------------------------------------------------------------------------

function Copy({ replica }: { replica: Api["Replica"] }) {
  const zone = useZone();
  const nowMs = useNowMs();
  const { name, place, well, reason, faults, facts, doubt, repaired, lagMs } = replica;
  // A server does not run on a demonstration's clock: by that it may be yet to start.
  const startedAt = facts?.started && Date.parse(facts.started) <= nowMs ? facts.started : null;
  const started = startedAt === null ? "" : `, started ${relative(startedAt, nowMs)}`;
  return (
    <li class="card copy">
      <div>
        <div class="title-row">
          <h2>Copy {name}</h2>
          <Chip tone={well ? "good" : well === false ? "critical" : "plain"}>
            {well ? "well" : well === false ? "not well" : "not asked yet"}
          </Chip>
        </div>
        <p class="dim">
          <code>{place}</code> · {facts === null ? "version unknown" : `InfluxDB ${facts.version}${started}`}
        </p>
      </div>
      <div>{reason !== null && <p class="last-error">{reason}</p>}</div>
      <dl class="facts">
        <Field label="Behind by">{count(replica.lagPoints, "point")}</Field>
        <Field label="Behind for">
          {number(Math.round(lagMs / secondMs))} s
          {lagMs >= minuteMs && <span class="dim"> ({formatDuration(lagMs)})</span>}
        </Field>
        <Field label="Dirty windows">{number(replica.dirtyWindows)}</Field>
        <Field label="On its shelf">{count(replica.shelf, "point")}</Field>
        <Field label="Last repair">
          {repaired === null ? none : <span title={wall(repaired, zone)}>{relative(repaired, nowMs)}</span>}
        </Field>
        <Field label="On its disk">{facts?.diskBytes == null ? none : size(facts.diskBytes)}</Field>
      </dl>
      <Account accounts={replica.accounts} />
      <ul class="lanes">
        {replica.lanes.map((lane) => (
          <LaneLine
            key={lane.bucket}
            lane={lane}
            account={replica.accounts.find((each) => each.bucket === lane.bucket)}
          />
        ))}
      </ul>
      <ul class="notes">
        {doubt !== null && (
          <li>
            <Chip tone="warning">in doubt</Chip> {doubt.reason}; all that it stores is being compared
            {doubt.comparedBackTo && `, and has been back to ${wall(doubt.comparedBackTo, zone)}`}.
          </li>
        )}
        {faults.map((fault) => (
          <li key={fault}>
            <Chip tone="warning">set-up</Chip> {fault}.
          </li>
        ))}
      </ul>
    </li>
  );
}

const shares = [
  ["acknowledged", "Acknowledged"],
  ["pending", "Pending"],
  ["shelved", "Shelved"],
  ["expired", "Expired"],
] as const;
/** A share that is not zero is never too thin to be seen, in percent of the bar. */
const shareMin = 1.5;

/** Where every point is, of all buckets together. */
function Account({ accounts }: { accounts: Api["Replica"]["accounts"] }) {
  const sum = (of: "spooled" | (typeof shares)[number][0]) => accounts.reduce((all, account) => all + account[of], 0);
  const spooled = sum("spooled");
  const widths = shares.map(([of]) => (sum(of) === 0 ? 0 : Math.max(shareMin, (sum(of) / spooled) * 100)));
  const whole = widths.reduce((all, width) => all + width, 0) || 1;
  let end = 0;
  return (
    <div>
      <svg class="shares" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">
        {shares.map(([of], index) => {
          const width = ((widths[index] as number) / whole) * 100;
          end += width;
          return <rect key={of} class={`share-${of}`} x={end - width} width={width} height="10" />;
        })}
      </svg>
      <dl class="facts shares-key">
        <Field label="Spooled">{number(spooled)}</Field>
        {shares.map(([of, label]) => (
          <div key={of} class={`share share-${of}`}>
            <dt>{label}</dt>
            <dd>{number(sum(of))}</dd>
          </div>
        ))}
      </dl>
    </div>
  );
}

const laneTones: Readonly<Record<Api["Replica"]["lanes"][number]["state"], string>> = {
  idle: "plain",
  sending: "good",
  failing: "critical",
  stuck: "critical",
  parked: "critical",
};

function LaneLine({
  lane: { bucket, state, reason, since, requests, failures, requestMs },
  account,
}: {
  lane: Api["Replica"]["lanes"][number];
  account: Api["Replica"]["accounts"][number] | undefined;
}) {
  const nowMs = useNowMs();
  const pending = account?.pending ?? 0;
  return (
    <li class="lane">
      <span>{bucket === "" ? "raw points" : <code>{bucket}</code>}</span>
      <Chip tone={laneTones[state]}>{state}</Chip>
      <span class="dim">
        {since && `since ${relative(since, nowMs).replace(/ ago$/, "")}: `}
        {reason && `${reason}; `}
        {pending > 0 && `${number(pending)} points wait; `}
        {number(requests)} requests{failures > 0 && `, ${number(failures)} failed`}
        {requests > 0 && `, ${formatDuration(requestMs / requests)} each`}
      </span>
    </li>
  );
}

// ---- spool ----------------------------------------------------------------------------------------------------

function Spool({ spool }: { spool: Api["Replicas"]["spool"] }) {
  return (
    <section class="card">
      <h2>Spool</h2>
      <svg class="shares" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">
        <rect class="share-used" width={Math.min(100, (spool.bytes / spool.bytesMax) * 100)} height="10" />
      </svg>
      <dl class="facts spool">
        <Field label="Used">
          {size(spool.bytes)} <span class="dim">of {size(spool.bytesMax)}</span>
        </Field>
        <Field label="Free on its disk">{size(spool.freeBytes)}</Field>
        <Field label="Slots without room">{number(spool.gaps)}</Field>
        <Field label="Windows yet to compare">{number(spool.unsealedWindows)}</Field>
        <Field label="Windows undecided">{number(spool.differingWindows)}</Field>
      </dl>
      {spool.repairFault && <p class="last-error">The latest comparison was not made: {spool.repairFault}.</p>}
      <Undecided all={spool.differingWindows} items={spool.undecided} />
    </section>
  );
}

function size(bytes: number): string {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  const step = Math.max(0, Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, bytes)) / 3)));
  return `${number(bytes / 1_000 ** step)} ${units[step]}`;
}
