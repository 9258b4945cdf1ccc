import type { Api } from "../console/api.ts";
import { usePolled } from "./client.ts";
import { none, number, wall } from "./format.ts";
import { Answer, DataWord, Field, LevelMark } from "./parts.tsx";
import { Link } from "./router.tsx";

type Explanation = Api["Explanation"];

type PanelProps = {
  series: string;
  zone: string;
  atMs: number;
  /** True: the newest point, because the reader has chosen none. */
  latest: boolean;
};

/** Why, or why not, for one point. */
export function ExplainPanel({ series, zone, atMs, latest }: PanelProps) {
  const query = new URLSearchParams({ series, at: new Date(atMs).toISOString() });
  const polled = usePolled<Explanation>(`/series/explain?${query}`, 30_000);
  return (
    <section class="card explain" aria-labelledby="explain-title">
      <h2 id="explain-title">
        Why, or why not <span class="dim">{latest ? "latest point" : wall(atMs, zone)}</span>
      </h2>
      <Answer polled={polled}>{(explanation) => <Body explanation={explanation} zone={zone} />}</Answer>
    </section>
  );
}

function Body({ explanation, zone }: { explanation: Explanation; zone: string }) {
  const { level, notes, judged, mutes, stood, told, alerts, stored } = explanation;
  return (
    <div aria-live="polite">
      <div class="verdict-line">
        <LevelMark level={level} label />
        <p>{explanation.reason}</p>
      </div>
      {stored && stored.level !== level && (
        <p class="dim">
          At the time it was judged {stored.level}: {stored.reason}
        </p>
      )}
      <Sentences sentences={notes} />
      <Gates gates={explanation.gates} />
      <Days explanation={explanation} zone={zone} />
      <dl class="facts">
        <Field label="Forecast">{explanation.forecast.abstained ?? number(explanation.forecast.value)}</Field>
        <Field label="Evidence">{explanation.evidence.toFixed(1)}</Field>
        <Field label="Since">{explanation.since ? wall(explanation.since, zone) : none}</Field>
        <Field label="Data">
          <DataWord state={explanation.state} told />
        </Field>
        {explanation.slot && <Field label="Slot">{explanation.slot.state}</Field>}
        {explanation.slotsSummed > 1 && <Field label="Slots summed">{explanation.slotsSummed}</Field>}
      </dl>
      <Sentences title="How it was judged" sentences={judged?.sentences ?? []} />
      <Sentences title="Alerts" sentences={stood} />
      {alerts.map(
        ({ id, incident }) =>
          incident && (
            <p key={id}>
              <Link href={`/incidents/${incident}`}>Incident of this alert</Link>
            </p>
          ),
      )}
      <Sentences title="Muted" sentences={mutes} />
      {alerts.length > 0 && (
        <Sentences title="Who was told" sentences={told.length > 0 ? told : ["Nobody was told."]} />
      )}
    </div>
  );
}

/** Nothing where there are none. */
function Sentences({ title, sentences }: { title?: string; sentences: readonly string[] }) {
  if (sentences.length === 0) return null;
  return (
    <>
      {title && <h3>{title}</h3>}
      <ul class="lines">
        {sentences.map((sentence) => (
          <li key={sentence}>{sentence}</li>
        ))}
      </ul>
    </>
  );
}

const gateWords: Readonly<Record<Explanation["gates"][number]["name"], string>> = {
  relative: "Difference in %",
  absolute: "Difference",
  volume: "Volume",
  evidence: "Evidence",
  direction: "Direction",
};

/** What was measured beside what it had to reach. */
function Gates({ gates }: { gates: Explanation["gates"] }) {
  if (gates.length === 0) return null;
  return (
    <table class="gates">
      <thead>
        <tr>
          <th scope="col">Gate</th>
          <th scope="col">Measured</th>
          <th scope="col">Needed</th>
          <th scope="col">
            <span class="unseen">Result</span>
          </th>
        </tr>
      </thead>
      <tbody>
        {gates.map((gate) => (
          <tr key={gate.name}>
            <th scope="row">{gateWords[gate.name]}</th>
            <td>{number(gate.measured)}</td>
            <td>{number(gate.needed)}</td>
            <td class={gate.passed ? "gate-open" : "gate-shut"}>{gate.passed ? "reached" : "not reached"}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** The days that the baseline looked at, each as a bar, with what became of it. */
function Days({ explanation: { baseline, observed }, zone }: { explanation: Explanation; zone: string }) {
  if (baseline.days.length === 0) return null;
  const high = Math.max(1e-9, observed ?? 0, ...baseline.days.map(({ value }) => value ?? 0));
  return (
    <>
      <h3>
        Same slot on earlier days <span class="dim">mean of the used ones {number(baseline.centre)}</span>
      </h3>
      <ul class="days">
        {baseline.days.map(({ at, value, use }) => (
          <li key={at} class={`day day-${use}`}>
            <span>{wall(at, zone, "day")}</span>
            <meter min={0} max={high} value={value ?? 0} aria-hidden="true" />
            <b>{number(value)}</b>
            <span class="dim">{use}</span>
          </li>
        ))}
      </ul>
    </>
  );
}
