import type { Api } from "../../console/api.ts";
import { usePolled } from "../client.ts";
import { lasted, wall } from "../format.ts";
import { useNowMs, useZone } from "../health.ts";
import { Answer, Chip, Empty, LevelMark } from "../parts.tsx";
import { Link } from "../router.tsx";

const stateNames = { open: "Open", acknowledged: "Acknowledged", resolved: "Resolved" } as const;

export function StateChip({ incident }: { incident: Api["Incident"] }) {
  const tone = incident.state === "open" ? incident.severity : incident.state === "resolved" ? "good" : "plain";
  return <Chip tone={tone}>{stateNames[incident.state]}</Chip>;
}

export function IncidentsPage() {
  const polled = usePolled<Api["IncidentPage"]>("/incidents?limit=200", 5_000);
  return (
    <>
      <h1>Incidents</h1>
      <Answer polled={polled}>
        {({ items, next }) => (
          <>
            <List title="Standing" items={items.filter(({ state }) => state !== "resolved")}>
              Nothing is wrong that anybody would have to hear about.
            </List>
            <List title="Resolved" items={items.filter(({ state }) => state === "resolved")}>
              No incident so far.
            </List>
            {next !== null && <p class="dim">The latest 200 are shown; the API has the older ones.</p>}
          </>
        )}
      </Answer>
    </>
  );
}

function List({ title, items, children }: { title: string; items: readonly Api["Incident"][]; children: string }) {
  return (
    <section>
      <h2>{title}</h2>
      {items.length === 0 ? (
        <Empty title={children} />
      ) : (
        <ul class="cards">
          {items.map((incident) => (
            <Item key={incident.id} incident={incident} />
          ))}
        </ul>
      )}
    </section>
  );
}

function Item({ incident }: { incident: Api["Incident"] }) {
  const zone = useZone();
  const nowMs = useNowMs();
  return (
    <li>
      <Link href={`/incidents/${encodeURIComponent(incident.id)}`} class="card incident">
        <LevelMark level={incident.severity} />
        <span class="incident-what">
          <b>{incident.title}</b>
          <span class="dim">
            {wall(incident.opened, zone)} · {incident.state === "resolved" ? "lasted" : "for"}{" "}
            {lasted(incident.opened, incident.resolved, nowMs)} · {incident.group || "told to nobody"}
            {incident.acknowledgedBy && ` · ${incident.acknowledgedBy} took it on`}
            {incident.mutedReason && ` · muted: ${incident.mutedReason}`}
          </span>
        </span>
        <StateChip incident={incident} />
      </Link>
    </li>
  );
}
