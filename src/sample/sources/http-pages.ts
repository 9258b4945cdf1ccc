/** From one page of an answer to the address of the next. Pure. */
import { Problem } from "../../core/problem.ts";
import type { Pages } from "./http-options.ts";
import { unexpected } from "./http-problems.ts";
import { select } from "./http-select.ts";

export type Page = {
  readonly url: URL;
  /** 0 for the first. */
  readonly index: number;
  /** The answer, as its format reads it. */
  readonly answer: unknown;
  /** Rows that were found in it. */
  readonly rows: number;
  /** Header `link`. */
  readonly link: string | undefined;
};

/** The address of a first page: with its number, where pages are numbered. */
export function firstPage(url: URL, pages: Pages | undefined): URL {
  return pages !== undefined && "offset" in pages ? withParam(url, pages.offset, String(pages.from)) : url;
}

/**
 * Null: there is no further page.
 * @throws Problem NET-006 for a cursor that is none, NET-016 for an expression that fails
 */
export function nextPage(page: Page, pages: Pages | undefined, where: string): URL | null {
  if (pages === undefined) return null;
  if ("offset" in pages) {
    if (page.rows === 0 || (pages.size !== undefined && page.rows < pages.size)) return null;
    return withParam(page.url, pages.offset, String(pages.from + (page.index + 1) * pages.by));
  }
  if ("cursor" in pages) {
    const cursor = textOf(select(page.answer, pages.cursor), `cursor: ${pages.cursor}`, where);
    return cursor === null ? null : withParam(page.url, pages.param, cursor);
  }
  const next = pages.next === "link" ? nextLink(page.link) : textOf(select(page.answer, pages.next), "next", where);
  if (next === null) return null;
  if (URL.canParse(next, page.url)) return new URL(next, page.url);
  throw unexpected("the next page's address is no URL", where, "correct pages: next");
}

export function tooManyPages(max: number, where: string): Problem {
  return new Problem(`more than ${max} pages`, { code: "NET-014", where, fix: "ask for larger pages, or raise max" });
}

/** A page that leads to one that was there already would lead on for ever. */
export function pagesInCircle(where: string): Problem {
  return new Problem("a page leads back to one that was there already", {
    code: "NET-015",
    where,
    fix: "correct pages, or see what the server gives for the next page",
  });
}

function withParam(url: URL, name: string, value: string): URL {
  const next = new URL(url);
  next.searchParams.set(name, value);
  return next;
}

function textOf(found: unknown, what: string, where: string): string | null {
  if (found === null || found === undefined || found === "" || found === false) return null;
  if (typeof found === "string" || typeof found === "number") return String(found);
  throw unexpected(`${what.slice(0, 100)} finds neither text nor a number`, where, "correct pages");
}

/** The address of `rel=next` (RFC 8288); null if there is none. */
function nextLink(header: string | undefined): string | null {
  for (const [, address, parameters = ""] of (header ?? "").matchAll(/<([^<>]*)>((?:\s*;\s*[^,;"]*(?:"[^"]*")?)*)/g)) {
    if (/;\s*rel\s*=\s*(?:"(?:[^"]*\s)?next(?:\s[^"]*)?"|next(?=\s*(?:;|$)))/i.test(parameters))
      return address as string;
  }
  return null;
}
