import { useEffect, useRef, useState } from "preact/hooks";
import type { Api } from "../console/api.ts";
import { type Polled, usePolled } from "./client.ts";
import { wall } from "./format.ts";
import { HealthContext } from "./health.ts";
import { IncidentPage } from "./pages/incident.tsx";
import { IncidentsPage } from "./pages/incidents.tsx";
import { MailboxPage } from "./pages/mailbox.tsx";
import { OverviewPage } from "./pages/overview.tsx";
import { ReplicasPage } from "./pages/replicas.tsx";
import { SamplersPage } from "./pages/samplers.tsx";
import { SeriesPage } from "./pages/series.tsx";
import { SilencesPage } from "./pages/silences.tsx";
import { Empty } from "./parts.tsx";
import { Link, type Place, usePlace } from "./router.tsx";
import { onThemeChange, shownTheme, toggleTheme } from "./theme.ts";

export function App() {
  const place = usePlace();
  const health = usePolled<Api["Health"]>("/health", 5_000);
  const first = useRef(true);
  // A new page is read from its beginning; the first one is where the browser puts it.
  useEffect(() => {
    if (!first.current) document.getElementById("main")?.focus({ preventScroll: true });
    first.current = false;
  }, [place.path]);
  return (
    <HealthContext.Provider value={health.data}>
      <a class="skip" href="#main">
        Skip to the content
      </a>
      <Head health={health} path={place.path} />
      <main id="main" tabIndex={-1}>
        <Banner health={health} />
        <Page place={place} />
      </main>
    </HealthContext.Provider>
  );
}

function Page({ place: { path, query } }: { place: Place }) {
  const [, page = "", id = ""] = path.split("/").map(decodeURIComponent);
  switch (page) {
    case "":
      return <OverviewPage query={query} />;
    case "series":
      return <SeriesPage key={query.get("s")} query={query} />;
    case "incidents":
      return id === "" ? <IncidentsPage /> : <IncidentPage key={id} id={id} asked={query.has("acknowledge")} />;
    case "samplers":
      return <SamplersPage />;
    case "silences":
      return <SilencesPage query={query} />;
    case "copies":
      return <ReplicasPage />;
    case "mailbox":
      return <MailboxPage id={id} />;
    default:
      return (
        <>
          <h1>There is no such page</h1>
          <Empty title="Nothing here">The overview shows every series.</Empty>
        </>
      );
  }
}

const icons: Readonly<Record<string, string>> = {
  "/": "M3 12h4l3 7 4-14 3 7h4",
  "/incidents": "M12 3 2 20h20ZM12 10v4M12 17v.5",
  "/samplers": "M12 3a9 9 0 1 0 0 18a9 9 0 1 0 0-18ZM12 7v5l3 3",
  "/silences": "M6 9v6h3l5 4V5L9 9ZM17.5 9.500l4 5M21.5 9.500l-4 5",
  "/copies": "M8 8h12v12H8ZM16 4H4v12",
  "/mailbox": "M3 6h18v12H3ZM3 7l9 6 9-6",
};

function Head({ health, path }: { health: Polled<Api["Health"]>; path: string }) {
  const open = health.data?.incidents.open ?? 0;
  const item = (href: string, text: string, count = 0) => {
    const current = href === "/" ? path === "/" || path === "/series" : path.startsWith(href);
    return (
      <li key={href}>
        <Link href={href} {...(current ? { "aria-current": "page" } : {})}>
          <svg viewBox="0 0 24 24" width="18" height="18" aria-hidden="true">
            <path d={icons[href] as string} />
          </svg>
          <span>{text}</span>
          {count > 0 && (
            <span class="badge">
              {count}
              <span class="unseen"> open</span>
            </span>
          )}
        </Link>
      </li>
    );
  };
  return (
    <header class="head">
      <Link href="/" class="brand" aria-label="Bellwether, overview">
        <img src="/icon.svg" alt="" width="26" height="26" />
        <span>Bellwether</span>
      </Link>
      <nav aria-label="Pages">
        <ul>
          {item("/", "Overview")}
          {item("/incidents", "Incidents", open)}
          {item("/samplers", "Samplers")}
          {item("/silences", "Silences")}
          {health.data?.replicas && item("/copies", "Copies")}
          {health.data?.mailbox !== false && item("/mailbox", "Mailbox")}
        </ul>
      </nav>
      <HealthPill health={health} />
      <ThemeButton />
    </header>
  );
}

function HealthPill({ health: { data, error } }: { health: Polled<Api["Health"]> }) {
  if (error !== null) return <span class="pill pill-bad">No answer</span>;
  if (data === null) return <span class="pill">Asking</span>;
  const clock = wall(data.now, data.zone, "time");
  const well = data.ready && data.problems === 0;
  const text = well
    ? "Working"
    : data.ready
      ? `${data.problems} definition ${data.problems === 1 ? "fault" : "faults"}`
      : "Not ready";
  return (
    <Link href="/samplers" class={`pill ${well ? "pill-good" : "pill-bad"}`}>
      <span>{text}</span>
      <span class="pill-clock" title={`The server's clock, ${data.zone}`}>
        {clock}
      </span>
    </Link>
  );
}

function ThemeButton() {
  const [theme, setTheme] = useState(shownTheme);
  useEffect(() => onThemeChange(() => setTheme(shownTheme())), []);
  const other = theme === "dark" ? "light" : "dark";
  return (
    <button
      type="button"
      class="quiet theme"
      aria-label={`Use the ${other} colours`}
      onClick={() => setTheme(toggleTheme())}
    >
      <svg viewBox="0 0 24 24" width="18" height="18" aria-hidden="true">
        <path
          d={
            theme === "dark"
              ? "M12 7a5 5 0 1 0 0 10a5 5 0 1 0 0-10ZM12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.5 1.500M17.5 17.5 19 19M5 19l1.5-1.500M17.5 6.5 19 5"
              : "M20 14.500A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.500Z"
          }
        />
      </svg>
    </button>
  );
}

function Banner({ health: { data, error, atMs } }: { health: Polled<Api["Health"]> }) {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (error !== null) {
    return (
      <div class="banner banner-bad" role="alert">
        <strong>{error.message}.</strong>{" "}
        {atMs === null ? "Nothing was loaded yet." : `What you see is from ${wall(atMs, zone, "seconds")}.`} Asking
        again every few seconds.
      </div>
    );
  }
  if (data === null) return null;
  return (
    <>
      {!data.ready && (
        <div class="banner banner-bad" role="status">
          <strong>Not ready:</strong> {data.reasons.join("; ") || "no reason given"}
        </div>
      )}
      {data.demo && <div class="banner">A demonstration: past orders are replayed on a clock of their own.</div>}
    </>
  );
}
