import { useState } from "preact/hooks";
import type { Api } from "../../console/api.ts";
import { type ApiError, post, usePolled } from "../client.ts";
import { relative, wall } from "../format.ts";
import { useNowMs, useZone } from "../health.ts";
import { myName, rememberMyName } from "../me.ts";
import { Answer, Chip, Empty, Fault } from "../parts.tsx";

export function SilencesPage({ query }: { query: URLSearchParams }) {
  const polled = usePolled<Api["SilencePage"]>("/silences", 5_000);
  return (
    <>
      <h1>Silences</h1>
      <p class="lead">
        A silence is a promise not to want to hear, with an end. What it matches is still stored and judged; at its end,
        what is still bad speaks.
      </p>
      <div class="split">
        <Answer polled={polled}>{({ items }) => <List items={items} reload={polled.reload} />}</Answer>
        <Add matchers={query.get("matchers") ?? ""} added={polled.reload} />
      </div>
    </>
  );
}

function List({ items, reload }: { items: readonly Api["Silence"][]; reload: () => void }) {
  const zone = useZone();
  const nowMs = useNowMs();
  const [error, setError] = useState<ApiError | null>(null);
  const end = async (id: string) => {
    try {
      await post(`/silences/${encodeURIComponent(id)}/end`, { by: myName() || "console" });
      setError(null);
    } catch (caught) {
      setError(caught as ApiError);
    }
    reload();
  };
  if (items.length === 0) return <Empty title="No silence">Everybody hears everything that concerns them.</Empty>;
  return (
    <div>
      {error && <Fault error={error} />}
      <ul class="cards">
        {items.map((silence) => {
          const ended = Date.parse(silence.ends) <= nowMs;
          const chip = silence.active ? "active" : ended ? "ended" : "planned";
          return (
            <li key={silence.id} class="card">
              <div class="title-row">
                <code class="matchers">{silence.matchers.join("  ")}</code>
                <Chip tone={silence.active ? "warning" : "plain"}>{chip}</Chip>
              </div>
              <p>{silence.reason}</p>
              <div class="title-row">
                <p class="dim">
                  {silence.author} · {wall(silence.starts, zone)} to {wall(silence.ends, zone)}
                  {silence.active && `, ends ${relative(silence.ends, nowMs)}`}
                </p>
                {!ended && (
                  <button type="button" onClick={() => end(silence.id)}>
                    End now
                  </button>
                )}
              </div>
            </li>
          );
        })}
      </ul>
    </div>
  );
}

function Add({ matchers, added }: { matchers: string; added: () => void }) {
  const [error, setError] = useState<ApiError | null>(null);
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const words = new FormData(form);
    const text = (name: string) => String(words.get(name) ?? "").trim();
    try {
      await post("/silences", {
        matchers: text("matchers").split("\n").filter(Boolean),
        reason: text("reason"),
        author: text("author"),
        ends: `now+${text("lasts")}`,
      });
      rememberMyName(text("author"));
      setError(null);
      form.reset();
    } catch (caught) {
      setError(caught as ApiError);
    }
    added();
  };
  return (
    <form class="card form" onSubmit={submit}>
      <h2>Add a silence</h2>
      <label>
        <span>Matchers, one a line; all must hold</span>
        <textarea
          name="matchers"
          rows={3}
          required
          placeholder={'country="Germany"'}
          defaultValue={matchers}
          spellcheck={false}
        />
      </label>
      <label>
        <span>Why</span>
        <input name="reason" required maxLength={500} placeholder="Payment provider is being moved" />
      </label>
      <label>
        <span>Your name</span>
        <input name="author" required maxLength={100} autocomplete="name" defaultValue={myName()} />
      </label>
      <label>
        <span>For how long</span>
        <select name="lasts">
          <option value="30m">30 minutes</option>
          <option value="2h">2 hours</option>
          <option value="8h">8 hours</option>
          <option value="1d">1 day</option>
          <option value="7d">7 days</option>
        </select>
      </label>
      {error && <Fault error={error} />}
      <button type="submit" class="primary">
        Add the silence
      </button>
    </form>
  );
}
