/** What people may do about copies: compare and repair them, send what was refused once more. */
import type { ComponentChildren } from "preact";
import { useId, useState } from "preact/hooks";
import { hourMs } from "../../core/time.ts";
import type { Api } from "../console/api.ts";
import { type ApiError, type Polled, post } from "./client.ts";
import { count, number, wall } from "./format.ts";
import { useZone } from "./health.ts";
import { Answer, Chip, Empty, Fault } from "./parts.tsx";

/** A comparison of a month may take long; it is broken off when the page is closed. */
const orderMsMax = 2 * hourMs;
/** What is newer is still being written, and differs for a moment without being wrong. */
const settled = "now-10m";

type Order = {
  readonly running: string | null;
  readonly error: ApiError | null;
  readonly give: (words: string, work: () => Promise<void>) => Promise<void>;
};

/** One order at a time; `words` are shown while it runs. */
function useOrder(changed: () => void): Order {
  const [running, setRunning] = useState<string | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const give: Order["give"] = async (words, work) => {
    if (running !== null) return;
    setRunning(words);
    setError(null);
    try {
      await work();
    } catch (caught) {
      setError(caught as ApiError);
    }
    setRunning(null);
    changed();
  };
  return { running, error, give };
}

export function Orders({ changed }: { changed: () => void }) {
  const id = useId();
  const order = useOrder(changed);
  const [days, setDays] = useState("1");
  const [deep, setDeep] = useState(false);
  const [found, setFound] = useState<{ repaired: boolean; comparison: Api["Comparison"] } | null>(null);
  const ask = (what: "compare" | "repair") => {
    const body = { from: `now-${days}d`, to: settled, deep };
    setFound(null);
    return order.give(what === "compare" ? "Comparing" : "Comparing and repairing", async () => {
      const comparison = await post<Api["Comparison"]>(`/replicas/${what}`, body, orderMsMax);
      setFound({ repaired: what === "repair", comparison });
    });
  };
  return (
    <section class="card">
      <h2>Compare and repair</h2>
      <p class="dim">New points are compared by themselves. Ask for it after something was done to a server by hand.</p>
      <div class="orders">
        <label class="unseen" for={id}>
          Which time
        </label>
        <select id={id} value={days} onChange={(event) => setDays(event.currentTarget.value)}>
          <option value="1">The last 24 hours</option>
          <option value="7">The last 7 days</option>
          <option value="30">The last 30 days</option>
        </select>
        <button type="button" class="primary" aria-disabled={order.running !== null} onClick={() => ask("compare")}>
          Compare
        </button>
        <button type="button" aria-disabled={order.running !== null} onClick={() => ask("repair")}>
          Repair
        </button>
        <label class="check">
          <input type="checkbox" checked={deep} onChange={(event) => setDeep(event.currentTarget.checked)} />
          <span>point by point, which takes longer and finds texts and exchanged values too</span>
        </label>
      </div>
      <Outcome order={order}>{found && <Found {...found} />}</Outcome>
    </section>
  );
}

function Outcome({ order: { running, error }, children }: { order: Order; children: ComponentChildren }) {
  return (
    <div class="outcome" role="status">
      {running !== null ? <p class="dim">{running}, which may take minutes.</p> : children}
      {error && <Fault error={error} />}
    </div>
  );
}

function Found({ repaired, comparison }: { repaired: boolean; comparison: Api["Comparison"] }) {
  const zone = useZone();
  const { from, to, windows, differingWindows, undecidedValues } = comparison;
  const compared = `${count(windows, "window")} from ${wall(from, zone)} to ${wall(to, zone)} compared: `;
  const verb = repaired ? "differed" : differingWindows === 1 ? "differs" : "differ";
  const differ = differingWindows === 0 ? "all are equal." : `${number(differingWindows)} ${verb}.`;
  const written =
    comparison.repaired === 0
      ? "Nothing was written."
      : `${were(comparison.repaired, "point")} written to copies that lacked them.`;
  return (
    <>
      <p>
        {compared}
        <b>
          {differ} {repaired && written}
        </b>
        {undecidedValues > 0 && ` Of ${count(undecidedValues, "value")} nothing tells which copy is right.`}
      </p>
      <ul class="lines">
        {[...Map.groupBy(comparison.differing, ({ measurement }) => measurement)].map(([measurement, group]) => (
          <li key={measurement}>
            <code>{measurement}</code> {repaired ? "differed" : "differs"} in {count(group.length, "window")}:{" "}
            {startsText(
              group.map(({ start }) => start),
              zone,
            )}
            .
          </li>
        ))}
      </ul>
      {comparison.differing.length < differingWindows && (
        <p class="dim">The first {comparison.differing.length} windows are listed.</p>
      )}
      <Undecided items={comparison.undecided} all={undecidedValues} />
    </>
  );
}

/** The first and the last where they are many. */
function startsText(starts: readonly string[], zone: string): string {
  const sorted = [...starts].sort().map((start) => wall(start, zone));
  return sorted.length <= 4 ? sorted.join("; ") : `${sorted[0]} to ${sorted.at(-1)}`;
}

export function Undecided({ items, all }: { items: readonly string[]; all: number }) {
  if (items.length === 0) return null;
  return (
    <details open={items.length <= 5}>
      <summary>{items.length < all ? `The first ${items.length} undecided` : "Undecided"}</summary>
      <ul class="lines">
        {items.map((text) => (
          <li key={text}>{text}.</li>
        ))}
      </ul>
    </details>
  );
}

// ---- shelf ----------------------------------------------------------------------------------------------------

type ShelfProps = {
  shelf: Polled<Api["Shelf"]>;
  names: readonly string[];
  target: string;
  setTarget: (target: string) => void;
  changed: () => void;
};

export function Shelf({ shelf, names, target, setTarget, changed }: ShelfProps) {
  const id = useId();
  const order = useOrder(changed);
  const [text, setText] = useState("");
  const requeue = () => {
    setText("");
    return order.give("Sending", async () => {
      const body = target === "" ? {} : { target };
      const { taken, left } = await post<Api["Requeued"]>("/replicas/requeue", body, orderMsMax);
      const again = left === 0 ? "none was" : were(left, "point");
      setText(
        taken + left === 0 ? "There was nothing to send." : `${were(taken, "point")} taken; ${again} refused again.`,
      );
    });
  };
  return (
    <section class="card">
      <h2>Shelf</h2>
      <p class="dim">Points that a copy refuses. Nothing is lost: mend what is named, then send them once more.</p>
      <div class="orders">
        <label class="unseen" for={id}>
          Of which copy
        </label>
        <select id={id} value={target} onChange={(event) => setTarget(event.currentTarget.value)}>
          <option value="">All copies</option>
          {names.map((name) => (
            <option key={name} value={name}>
              Copy {name}
            </option>
          ))}
        </select>
        <button type="button" aria-disabled={order.running !== null} onClick={requeue}>
          Requeue
        </button>
      </div>
      <Outcome order={order}>{text && <p>{text}</p>}</Outcome>
      <Answer polled={shelf}>{(found) => <ShelfTable {...found} target={target} />}</Answer>
    </section>
  );
}

function ShelfTable({ items, total, target }: Api["Shelf"] & { target: string }) {
  const zone = useZone();
  if (total === 0) {
    const whose = target === "" ? "Nothing" : `Nothing of copy ${target}`;
    return <Empty title={`${whose} is on the shelf`}>Every point was taken.</Empty>;
  }
  return (
    <>
      <table class="table shelf">
        <thead>
          <tr>
            <th scope="col">Point, and why it is refused</th>
            <th scope="col">Copy</th>
            <th scope="col">Times</th>
          </tr>
        </thead>
        <tbody>
          {items.map(({ id, line, bucket, reason, expired, target, count: times, first, last }) => (
            <tr key={id}>
              <td>
                <code>{line}</code>
                <p>
                  {expired && <Chip tone="plain">too old</Chip>} {reason}
                </p>
                <p class="dim">
                  {bucket && <code>{bucket} </code>}
                  {first === last ? wall(first, zone) : `${wall(first, zone)} to ${wall(last, zone)}`}
                </p>
              </td>
              <td>{target}</td>
              <td>{number(times)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {items.length < total && (
        <p class="dim">
          The first {items.length} of {number(total)}; the API has the others.
        </p>
      )}
    </>
  );
}

// ---- words ---------------------------------------------------------------------------------------------------------

function were(value: number, noun: string): string {
  return `${count(value, noun)} ${value === 1 ? "was" : "were"}`;
}
