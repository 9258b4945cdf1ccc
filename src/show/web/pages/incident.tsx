import type { Api } from "../../console/api.ts";
import { usePolled } from "../client.ts";
import { lasted, none, number, wall } from "../format.ts";
import { useNowMs, useZone } from "../health.ts";
import { Answer, Chip, Field, LevelMark } from "../parts.tsx";
import { Link, seriesUrl } from "../router.tsx";
import { Signed } from "../signed.tsx";
import { StateChip } from "./incidents.tsx";

type Story = Api["Story"];

/** `asked`: the reader came from the link of a message that asks who has it. */
export function IncidentPage({ id, asked }: { id: string; asked: boolean }) {
  const polled = usePolled<Story>(`/incidents/${encodeURIComponent(id)}`, 5_000);
  return (
    <>
      <p class="crumbs">
        <Link href="/incidents">Incidents</Link>
      </p>
      <Answer polled={polled}>
        {(story) => (
          <>
            <Top story={story} asked={asked} reload={polled.reload} />
            <Alerts alerts={story.alerts} />
            <TimeLine story={story} />
          </>
        )}
      </Answer>
    </>
  );
}

function Top({ story, asked, reload }: { story: Story; asked: boolean; reload: () => void }) {
  const zone = useZone();
  const nowMs = useNowMs();
  return (
    <section class="card incident-top">
      <div class="title-row">
        <LevelMark level={story.severity} label />
        <StateChip incident={story} />
      </div>
      <h1>{story.title}</h1>
      <dl class="facts">
        <Field label="Opened">{wall(story.opened, zone)}</Field>
        <Field label={story.resolved ? "Lasted" : "Stands for"}>{lasted(story.opened, story.resolved, nowMs)}</Field>
        <Field label="Who hears it">{story.group || "nobody"}</Field>
        <Field label="Messages">{story.notices}</Field>
        {Object.entries(story.labels).map(([name, value]) => (
          <Field key={name} label={name}>
            {value}
          </Field>
        ))}
      </dl>
      {story.mutedReason && <p class="dim">Nobody was told: {story.mutedReason}</p>}
      {story.acknowledgedBy && story.acknowledgedAt && (
        <p>
          <b>{story.acknowledgedBy}</b> took it on, {wall(story.acknowledgedAt, zone)}.
        </p>
      )}
      {story.state === "open" && (
        <Signed
          path={`/incidents/${encodeURIComponent(story.id)}/acknowledge`}
          body={{ version: story.version }}
          button="I have it"
          focus={asked}
          done={reload}
        >
          Acknowledging stops escalation and repeats. Recovery is still told.
        </Signed>
      )}
    </section>
  );
}

function Alerts({ alerts }: { alerts: Story["alerts"] }) {
  return (
    <section>
      <h2>Alerts</h2>
      <ul class="cards">
        {alerts.map((alert) => (
          <li key={alert.id} class="card alert">
            <div class="title-row">
              <LevelMark level={alert.severity} />
              {alert.condition === null ? (
                <Link href={seriesUrl(alert.series, around(alert))}>{alert.series}</Link>
              ) : (
                <b>{alert.condition}</b>
              )}
              <Chip tone={alert.state === "firing" ? alert.severity : alert.state === "resolved" ? "good" : "plain"}>
                {alert.state}
              </Chip>
            </div>
            <p>{alert.reason}</p>
            {alert.condition === null && <Figures alert={alert} />}
          </li>
        ))}
      </ul>
    </section>
  );
}

function Figures({ alert }: { alert: Api["Alert"] }) {
  return (
    <dl class="facts">
      <Field label="Now">
        {number(alert.observed)} of {number(alert.expected)}
      </Field>
      <Field label="Worst">
        {number(alert.worstObserved)} of {number(alert.worstExpected)}
      </Field>
      <Loss loss={alert.lossSoFar} />
      <Field label="Rule">{alert.rule || none}</Field>
    </dl>
  );
}

/** Expected minus observed, summed: positive where something is missing. */
function Loss({ loss }: { loss: number | null }) {
  const excess = loss !== null && loss < 0;
  return <Field label={excess ? "Too much so far" : "Missing so far"}>{number(excess ? -loss : loss)}</Field>;
}

/** A window in which the alert stands in the middle third. */
function around(alert: Api["Alert"]): { from: string; to: string } {
  const fromMs = Date.parse(alert.since);
  const toMs = alert.resolvedAt === null ? fromMs + 1_800_000 : Date.parse(alert.resolvedAt);
  const marginMs = Math.max(1_800_000, toMs - fromMs);
  return { from: new Date(fromMs - marginMs).toISOString(), to: new Date(toMs + marginMs).toISOString() };
}

type Event_ = { at: string; tone: string; what: string; detail: string };

/** What happened and who was told, in one line of time. */
function eventsOf(story: Story): Event_[] {
  const names = new Map(story.alerts.map(({ id, series, condition }) => [id, condition ?? series]));
  const changes = story.transitions.map(({ at, subject, subjectId, to, reason }) => ({
    at,
    tone: to === "resolved" ? "good" : to === "firing" || to === "open" ? story.severity : "plain",
    what: subject === "incident" ? `Incident ${to}` : `${names.get(subjectId) ?? "Alert"} ${to}`,
    detail: reason,
  }));
  const deliveries = story.deliveries.map((item) => ({
    at: item.sent ?? item.created,
    tone: item.state === "sent" ? "told" : item.state === "failed" || item.state === "unknown" ? "warning" : "plain",
    what: `${item.notifier} to ${item.name}: ${item.kind}, ${item.state}`,
    detail: [item.recipient, item.attempts > 1 && `${item.attempts} attempts`, item.error].filter(Boolean).join(" · "),
  }));
  return [...changes, ...deliveries].sort((a, b) => Date.parse(a.at) - Date.parse(b.at));
}

function TimeLine({ story }: { story: Story }) {
  const zone = useZone();
  return (
    <section>
      <h2>
        What happened <span class="dim">{zone}</span>
      </h2>
      <ol class="timeline">
        {eventsOf(story).map(({ at, tone, what, detail }) => (
          <li key={`${at} ${what} ${detail}`} class={`event event-${tone}`}>
            <time dateTime={at}>{wall(at, zone, "seconds")}</time>
            <div>
              <b>{what}</b>
              <p class="dim">{detail}</p>
            </div>
          </li>
        ))}
      </ol>
    </section>
  );
}
