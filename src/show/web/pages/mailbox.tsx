import type { Api } from "../../console/api.ts";
import { usePolled } from "../client.ts";
import { wall } from "../format.ts";
import { useZone } from "../health.ts";
import { Answer, Empty } from "../parts.tsx";
import { Link } from "../router.tsx";

export function MailboxPage({ id }: { id: string }) {
  const polled = usePolled<Api["MailPage"]>("/mailbox", 5_000);
  return (
    <>
      <h1>Mailbox</h1>
      <p class="lead">No mail server is set, so messages go to a folder and are shown here.</p>
      <Answer polled={polled}>
        {({ items }) =>
          items.length === 0 && id === "" ? (
            <Empty title="No message yet">The first incident writes one.</Empty>
          ) : (
            <div class={`mailbox ${id === "" ? "" : "mailbox-open"}`}>
              <List items={items} current={id} />
              {id === "" ? <Empty title="Choose a message" /> : <Message key={id} id={id} />}
            </div>
          )
        }
      </Answer>
    </>
  );
}

function List({ items, current }: { items: Api["MailPage"]["items"]; current: string }) {
  const zone = useZone();
  return (
    <ul class="mails" aria-label="Messages">
      {items.map((mail) => (
        <li key={mail.id}>
          <Link
            href={`/mailbox/${encodeURIComponent(mail.id)}`}
            {...(mail.id === current ? { "aria-current": "true" } : {})}
          >
            <b>{mail.subject}</b>
            <span class="dim">
              {mail.to} · {wall(mail.at, zone)}
            </span>
          </Link>
        </li>
      ))}
    </ul>
  );
}

function Message({ id }: { id: string }) {
  const zone = useZone();
  const polled = usePolled<Api["Mail"]>(`/mailbox/${encodeURIComponent(id)}`, 60_000);
  return (
    <article class="card message">
      <p class="crumbs phone">
        <Link href="/mailbox">All messages</Link>
      </p>
      <Answer polled={polled}>
        {(mail) => (
          <>
            <h2>{mail.subject}</h2>
            <p class="dim">
              From {mail.from} to {mail.to}, {wall(mail.at, zone)}
            </p>
            {mail.hasHtml && (
              <iframe
                title="The message as its reader sees it"
                sandbox=""
                src={`/api/v1/mailbox/${encodeURIComponent(id)}/html`}
              />
            )}
            <details open={!mail.hasHtml}>
              <summary>As plain text</summary>
              <pre>{mail.text}</pre>
            </details>
          </>
        )}
      </Answer>
    </article>
  );
}
