import { formatDuration } from "../../../core/time.ts";
import type { Api } from "../../console/api.ts";
import { usePolled } from "../client.ts";
import { count, none, number, relative, wall } from "../format.ts";
import { useHealth, useNowMs } from "../health.ts";
import { Answer, Chip, DataWord, dataWords, Empty, Field } from "../parts.tsx";
import { Processes } from "../processes.tsx";
import { Link } from "../router.tsx";
import { Signed } from "../signed.tsx";

export function SamplersPage() {
  const polled = usePolled<Api["SamplerPage"]>("/samplers?limit=200", 5_000);
  const faults = usePolled<Api["DefinitionProblems"]>("/definitions/problems", 10_000);
  return (
    <>
      <h1>Samplers</h1>
      <Work />
      <Faults items={faults.data?.items ?? []} />
      <Processes />
      <Answer polled={polled}>
        {({ items, next }) => (
          <>
            {items.length === 0 && (
              <Empty title="No sampler is defined">
                Write samplers/shop/orders.yaml; the file is read as soon as it is saved.
              </Empty>
            )}
            <ul class="cards cards-two">
              {items.map((sampler) => (
                <Item key={sampler.name} sampler={sampler} reload={polled.reload} />
              ))}
            </ul>
            {next !== null && <p class="dim">The first 200 are shown; the API has the others.</p>}
          </>
        )}
      </Answer>
    </>
  );
}

/** The ledger and the outbox in figures. */
function Work() {
  const health = useHealth();
  if (health === null) return null;
  const { slots, deliveries } = health;
  return (
    <dl class="facts facts-wide">
      <Field label="Slots waiting">{number(slots.due + slots.leased)}</Field>
      <Field label="Slots done">{number(slots.done)}</Field>
      <Field label="Caught up">{number(slots["caught-up"])}</Field>
      <Field label="Slots failed">{number(slots.failed)}</Field>
      <Field label="Messages sent">{number(deliveries.sent ?? 0)}</Field>
      <Field label="Messages owed">{number((deliveries.owed ?? 0) + (deliveries.sending ?? 0))}</Field>
      <Field label="Messages failed">{number((deliveries.failed ?? 0) + (deliveries.unknown ?? 0))}</Field>
    </dl>
  );
}

function Faults({ items }: { items: readonly Api["DefinitionProblem"][] }) {
  if (items.length === 0) return null;
  return (
    <section class="card">
      <h2>Faults in the definitions</h2>
      <p class="dim">A file with an error keeps its last good version; the others are not touched.</p>
      <ul class="faults">
        {items.map((item) => (
          <li key={`${item.where} ${item.path} ${item.what}`}>
            <Chip tone={item.severity === "error" ? "critical" : "warning"}>{item.severity}</Chip>{" "}
            <code>{[item.code, item.where, item.path].filter(Boolean).join(" ")}</code>
            <p>
              {item.what}
              {item.fix && <span class="dim"> Fix: {item.fix}.</span>}
            </p>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Item({ sampler, reload }: { sampler: Api["Sampler"]; reload: () => void }) {
  const nowMs = useNowMs();
  const { next, lateMs, lastError, slots } = sampler;
  const late = lateMs >= 1_000;
  const told = slots.find(({ dataState }) => dataState !== null);
  return (
    <li class="card sampler">
      <div class="title-row">
        <h2>
          <Link href={`/?sampler=${encodeURIComponent(sampler.name)}`}>{sampler.title}</Link>
        </h2>
        {late ? <Chip tone="warning">late by {formatDuration(lateMs)}</Chip> : <Chip tone="good">on time</Chip>}
      </div>
      <p class="dim">
        <code>{sampler.name}</code> · {sampler.schedule}
      </p>
      <SlotStrip slots={slots} zone={sampler.zone} />
      <dl class="facts">
        <Field label="Next slot">
          {next === null ? "never" : `${wall(next.start, sampler.zone, "time")}, runs ${relative(next.due, nowMs)}`}
        </Field>
        <Field label="Last rows">{number(slots.find(({ rows }) => rows !== null)?.rows ?? null)}</Field>
        <Field label="Last data">
          {told?.dataState ? (
            <>
              <DataWord state={told.dataState} /> <span class="dim">{wall(told.start, sampler.zone, "time")}</span>
            </>
          ) : (
            none
          )}
        </Field>
        <Field label="Owner">{sampler.owner}</Field>
      </dl>
      {lastError && (
        <p class="last-error">
          <b>Last error</b> in slot {wall(lastError.slot, sampler.zone)}: {lastError.error}
        </p>
      )}
      <Shadow shadow={sampler.shadow} zone={sampler.zone} ended={reload} />
      <LastHour usage={sampler.usage} />
      <details>
        <summary>Definition</summary>
        <dl class="facts">
          <Field label="File">{sampler.place}</Field>
          <Field label="Source">{sampler.source}</Field>
          <Field label="Measurement">{sampler.measurement}</Field>
          <Field label="Tags">{sampler.tags.join(", ") || none}</Field>
          <Field label="Fields">{sampler.fields.join(", ")}</Field>
          <Field label="Judged">{sampler.judged.join(", ") || none}</Field>
          <Field label="Active">{sampler.active ?? "always"}</Field>
          <Field label="Waits for late rows">{sampler.graceMs === 0 ? "no" : formatDuration(sampler.graceMs)}</Field>
          <Field label="Reads again">{sampler.resample === 0 ? "no" : count(sampler.resample, "slot")}</Field>
          <Field label="History">{sampler.historyMs === 0 ? "no" : formatDuration(sampler.historyMs)}</Field>
          <Field label="Zone">{sampler.zone}</Field>
          <Field label="Priority">{sampler.priority}</Field>
          <Field label="Alerts">{sampler.alerts ? `to ${sampler.group}` : "nobody is told"}</Field>
          {sampler.runbook && <Field label="Runbook">{sampler.runbook}</Field>}
        </dl>
        {sampler.purpose && <p>{sampler.purpose}</p>}
      </details>
    </li>
  );
}

type ShadowProps = { shadow: Api["Sampler"]["shadow"]; zone: string; ended: () => void };

/** What a sampler that tells nobody yet would tell, in a week where that can be said, and the word that ends it. */
function Shadow({ shadow, zone, ended }: ShadowProps) {
  if (shadow === null) return null;
  if (shadow.ended !== null) {
    const who = shadow.endedBy === null ? "as its definition says" : `by ${shadow.endedBy}`;
    return (
      <p class="dim shadow-over">
        Its shadow period ended {wall(shadow.ended, zone)}, {who}.
      </p>
    );
  }
  return (
    <>
      <Noise shadow={shadow} zone={zone} />
      <details>
        <summary>End the shadow period</summary>
        <Signed path={`/samplers/${encodeURIComponent(shadow.sampler)}/shadow/end`} button="End it now" done={ended}>
          What goes on is told within seconds, as new. This cannot be taken back.
        </Signed>
      </details>
    </>
  );
}

function Noise({ shadow, zone }: { shadow: NonNullable<Api["Sampler"]["shadow"]>; zone: string }) {
  const { perWeek, parts, people } = shadow;
  const weekly = (times: number): string => number(Math.round(times * (perWeek ?? 1) * 10) / 10);
  const span = perWeek === null ? `in ${formatDuration(Math.floor(shadow.seenMs / 60_000) * 60_000)}` : "a week";
  return (
    <details>
      <summary>
        <Chip tone="unknown">in shadow</Chip> Nobody is told{" "}
        {shadow.until === null ? "until somebody ends it" : `until ${wall(shadow.until, zone)}`}. Forecast:{" "}
        {weekly(shadow.alerts)} alerts, {weekly(shadow.messages)} messages {span}, to {count(people.length, "receiver")}
      </summary>
      <dl class="facts">
        {parts.map((part) => (
          <Field key={`${part.severity} ${part.notifier}`} label={`${part.severity} by ${part.notifier}`}>
            {weekly(part.messages)} messages {span}, to {part.people.join(", ")}
          </Field>
        ))}
      </dl>
    </details>
  );
}

/** What collecting took; what matters most stands in the line that is always there. */
function LastHour({ usage }: { usage: Api["Sampler"]["usage"] }) {
  if (usage === null) return <p class="dim last-hour">Nothing ran within the last hour.</p>;
  const { runs, failed, caughtUp, rows, rowsRead, serverMs } = usage;
  const { latenessMsAvg, latenessMsMax, durationMsAvg, durationMsMax } = usage;
  const averages = [
    latenessMsAvg !== null && `${formatDuration(latenessMsAvg)} late`,
    durationMsAvg !== null && `${formatDuration(durationMsAvg)} long`,
  ].filter(Boolean);
  return (
    <details>
      <summary>
        Last hour: {count(runs, "run")}
        {caughtUp > 0 && `, ${number(caughtUp)} caught up`}
        {averages.length > 0 && `, on average ${averages.join(" and ")}`}{" "}
        {failed > 0 && <Chip tone="critical">{number(failed)} failed</Chip>}
      </summary>
      <dl class="facts">
        <Spread label="Started late by" averageMs={latenessMsAvg} mostMs={latenessMsMax} />
        <Spread label="Took" averageMs={durationMsAvg} mostMs={durationMsMax} />
        <Field label="System time">{formatDuration(serverMs)}</Field>
        <Field label="Rows">{number(rows)}</Field>
        {/* A source that does not tell adds nothing to the sum. */}
        <Field label="Rows gone through">{rowsRead === 0 ? none : number(rowsRead)}</Field>
      </dl>
    </details>
  );
}

type SpreadProps = { label: string; averageMs: number | null; mostMs: number | null };

function Spread({ label, averageMs, mostMs }: SpreadProps) {
  if (averageMs === null || mostMs === null) return <Field label={label}>{none}</Field>;
  return (
    <Field label={label}>
      {formatDuration(averageMs)} <span class="dim">at most {formatDuration(mostMs)}</span>
    </Field>
  );
}

const slotWords: Readonly<Record<Api["Slot"]["state"], string>> = {
  due: "waiting",
  leased: "running",
  done: "done",
  failed: "failed",
  "caught-up": "caught up",
};

/** The latest slots, oldest first, each a bar whose height and colour tell its state. */
function SlotStrip({ slots, zone }: { slots: readonly Api["Slot"][]; zone: string }) {
  if (slots.length === 0) return <p class="dim">No slot has run yet.</p>;
  const counts = Map.groupBy(slots, ({ state }) => state);
  const text = [...counts].map(([state, { length }]) => `${length} ${slotWords[state]}`).join(", ");
  return (
    <div class="slots" role="img" aria-label={`Latest slots: ${text}`} title={text}>
      {[...slots].reverse().map((slot) => (
        <span
          key={slot.start}
          class={`slot slot-${slot.state}`}
          title={[`${wall(slot.start, zone)} ${slotWords[slot.state]}`, slot.dataState && dataWords[slot.dataState]]
            .filter(Boolean)
            .join(", ")}
        />
      ))}
    </div>
  );
}
