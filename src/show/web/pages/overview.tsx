import { useEffect, useRef, useState } from "preact/hooks";
import { systemClock } from "../../../core/time.ts";
import type { Api } from "../../console/api.ts";
import { usePolled } from "../client.ts";
import { deviation, number, relative, wall } from "../format.ts";
import { useNowMs } from "../health.ts";
import { Answer, Chip, Empty, LevelMark, levelNames, levels, SeriesName, Spark, StaleNote } from "../parts.tsx";
import { go, Link, seriesUrl } from "../router.tsx";

const pageSize = 60;

/** All series, the worst first. Search, levels and sampler stand in the address, so that a view can be sent on. */
export function OverviewPage({ query }: { query: URLSearchParams }) {
  const [limit, setLimit] = useState(pageSize);
  const asked = new URLSearchParams(query);
  asked.set("limit", String(limit));
  const polled = usePolled<Api["Overview"]>(`/overview?${asked}`, 5_000);
  const set = (name: string, value: string) => {
    const next = new URLSearchParams(query);
    if (value === "") next.delete(name);
    else next.set(name, value);
    go(next.size === 0 ? "/" : `/?${next}`, true);
  };
  return (
    <>
      <div class="title-row">
        <h1>Overview</h1>
        {polled.data && <Summary counts={polled.data.counts} />}
      </div>
      <Filters query={query} data={polled.data} set={set} />
      <Answer polled={polled}>
        {(data) => (
          <>
            {data.stale && <StaleNote />}
            {data.items.length === 0 ? <NoSeries query={query} /> : <Rows items={data.items} />}
            {data.next !== null && (
              <button
                type="button"
                class="more"
                disabled={limit >= 500}
                onClick={() => setLimit(Math.min(500, limit * 2))}
              >
                {limit >= 500 ? "Search to see the others" : `Show more of ${data.total}`}
              </button>
            )}
          </>
        )}
      </Answer>
    </>
  );
}

function Summary({ counts }: { counts: Api["Overview"]["counts"] }) {
  const { critical, warning, unknown, normal } = counts;
  if (critical + warning + unknown + normal === 0) return null;
  if (critical + warning + unknown === 0) return <p class="summary">Everything is as expected.</p>;
  const parts = [
    critical > 0 && `${critical} critical`,
    warning > 0 && `${warning} with a warning`,
    unknown > 0 && `${unknown} unknown`,
  ];
  return <p class="summary">{parts.filter(Boolean).join(", ")}; the others are as expected.</p>;
}

type FilterProps = { query: URLSearchParams; data: Api["Overview"] | null; set: (name: string, value: string) => void };

function Filters({ query, data, set }: FilterProps) {
  const search = useRef<HTMLInputElement>(null);
  const chosen = (query.get("level") ?? "").split(",").filter(Boolean);
  const delayed = useRef<AbortController | null>(null);
  useEffect(() => {
    const slash = (event: KeyboardEvent) => {
      if (event.key !== "/" || event.target instanceof HTMLInputElement) return;
      event.preventDefault();
      search.current?.focus();
    };
    addEventListener("keydown", slash);
    return () => removeEventListener("keydown", slash);
  }, []);
  // Waits for a pause in typing, so that each letter is not a question of its own.
  const type = (text: string) => {
    delayed.current?.abort();
    delayed.current = new AbortController();
    systemClock.sleep(200, delayed.current.signal).then(
      () => set("q", text),
      () => undefined,
    );
  };
  const toggle = (level: string) =>
    set("level", (chosen.includes(level) ? chosen.filter((one) => one !== level) : [...chosen, level]).join(","));
  return (
    <search class="filters">
      <label class="search">
        <span class="unseen">Search series</span>
        <input
          ref={search}
          type="search"
          placeholder="Search series   /"
          defaultValue={query.get("q") ?? ""}
          onInput={(event) => type(event.currentTarget.value)}
        />
      </label>
      {data !== null && data.samplers.length > 1 && (
        <label>
          <span class="unseen">Sampler</span>
          <select value={query.get("sampler") ?? ""} onChange={(event) => set("sampler", event.currentTarget.value)}>
            <option value="">All samplers</option>
            {data.samplers.map(({ name, title }) => (
              <option key={name} value={name}>
                {title}
              </option>
            ))}
          </select>
        </label>
      )}
      <fieldset class="toggles">
        <legend class="unseen">Levels</legend>
        {levels.map((level) => (
          <button key={level} type="button" aria-pressed={chosen.includes(level)} onClick={() => toggle(level)}>
            <LevelMark level={level} />
            <span aria-hidden="true">{levelNames[level]}</span> <b>{data?.counts[level] ?? 0}</b>
          </button>
        ))}
      </fieldset>
    </search>
  );
}

function NoSeries({ query }: { query: URLSearchParams }) {
  if (query.size > 0) return <Empty title="No series matches">Remove a word or a level to see more.</Empty>;
  return (
    <Empty title="No series yet">
      A series appears with the first point of a sampler. See <Link href="/samplers">Samplers</Link> for what is due
      next.
    </Empty>
  );
}

function Rows({ items }: { items: readonly Api["OverviewItem"][] }) {
  const list = useRef<HTMLUListElement>(null);
  const move = (event: KeyboardEvent) => {
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (step === 0) return;
    const links = [...(list.current?.querySelectorAll<HTMLAnchorElement>("a.row") ?? [])];
    const next = links[links.indexOf(document.activeElement as HTMLAnchorElement) + step];
    if (next === undefined) return;
    event.preventDefault();
    next.focus();
  };
  return (
    <ul class="rows" ref={list} onKeyDown={move}>
      {items.map((item) => (
        <Row key={item.series} item={item} />
      ))}
    </ul>
  );
}

function Row({ item }: { item: Api["OverviewItem"] }) {
  const nowMs = useNowMs();
  return (
    <li>
      <Link href={seriesUrl(item.series)} class={`row row-${item.level}`} title={item.reason}>
        <LevelMark level={item.level} />
        <span class="row-name">
          <SeriesName item={item} />
          <span class="dim">{item.title}</span>
        </span>
        <Spark spark={item.spark} />
        <span class="row-value">
          <b>{number(item.observed)}</b>
          <span class="dim">{item.expected === null ? "no expectation" : `expected ${number(item.expected)}`}</span>
        </span>
        <span class="row-away">{deviation(item.observed, item.expected)}</span>
        <span class="row-when dim">
          {item.alert ? (
            <Chip tone={item.alert.state === "firing" ? item.alert.severity : "plain"}>{item.alert.state}</Chip>
          ) : (
            item.at && <span title={wall(item.at, item.zone)}>{relative(item.at, nowMs)}</span>
          )}
        </span>
      </Link>
    </li>
  );
}
