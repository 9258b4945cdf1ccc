import type { Api } from "../console/api.ts";
import { usePolled } from "./client.ts";
import { relative, wall } from "./format.ts";
import { useNowMs, useZone } from "./health.ts";
import { Chip } from "./parts.tsx";

/** Who does the work. One process that lives is the page itself: nothing is shown. */
export function Processes() {
  const { data } = usePolled<Api["Processes"]>("/processes", 5_000);
  const items = data?.items ?? [];
  const gone = items.filter(({ alive }) => !alive);
  if (items.length < 2 && gone.length === 0) return null;
  return (
    <section class="card" aria-labelledby="processes-title">
      <h2 id="processes-title">Processes</h2>
      {gone.length > 0 && <Loss gone={gone} alive={items.filter(({ alive }) => alive)} />}
      <table class="table processes">
        <thead>
          <tr>
            <th scope="col">Name</th>
            <th scope="col">Role</th>
            <th scope="col">Since</th>
            <th scope="col">Last heard</th>
          </tr>
        </thead>
        <tbody>
          {items.map((item) => (
            <Line key={item.id} item={item} />
          ))}
        </tbody>
      </table>
    </section>
  );
}

/** What it means that some are gone: others do their work, unless nobody of their role is left. */
function Loss({ gone, alive }: { gone: readonly Api["Process"][]; alive: readonly Api["Process"][] }) {
  const left = new Set(alive.flatMap(({ roles }) => roles));
  const lost = [...new Set(gone.flatMap(({ roles }) => roles))].filter((role) => !left.has(role));
  return (
    <>
      {lost.length > 0 && <p class="last-error">No {lost.join(" and no ")} is left: start one.</p>}
      <p class="dim">
        One that is gone did not end in order. {lost.length === 0 && "Others do its work. "}
        What waits in its spool is sent when it is started again.
      </p>
    </>
  );
}

function Line({ item: { id, roles, host, pid, version, started, seen, alive } }: { item: Api["Process"] }) {
  const zone = useZone();
  // What it said since the page last asked for the time was said now, and not in the future.
  const nowMs = Math.max(useNowMs(), Date.parse(seen));
  return (
    <tr>
      <th scope="row">
        {id} {alive ? <Chip tone="good">alive</Chip> : <Chip tone="warning">gone</Chip>}
        <small>
          {host}, pid {pid}
        </small>
      </th>
      <td>{roles.join(", ")}</td>
      <td>
        {wall(started, zone)}
        <small>version {version}</small>
      </td>
      <td title={wall(seen, zone, "seconds")}>{relative(seen, nowMs)}</td>
    </tr>
  );
}
