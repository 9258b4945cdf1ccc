/** Pages by path, without a reload. */
import type { AnchorHTMLAttributes, ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";

export type Place = { readonly path: string; readonly query: URLSearchParams };

function here(): Place {
  return { path: location.pathname, query: new URLSearchParams(location.search) };
}

/** Goes to a page; `replace` leaves no step in the browser's history. */
export function go(url: string, replace = false): void {
  if (replace) history.replaceState(null, "", url);
  else history.pushState(null, "", url);
  dispatchEvent(new Event("placechange"));
}

export function usePlace(): Place {
  const [place, setPlace] = useState(here);
  useEffect(() => {
    const moved = () => setPlace(here());
    addEventListener("placechange", moved);
    addEventListener("popstate", moved);
    return () => {
      removeEventListener("placechange", moved);
      removeEventListener("popstate", moved);
    };
  }, []);
  return place;
}

type LinkProps = AnchorHTMLAttributes<HTMLAnchorElement> & { href: string; children: ComponentChildren };

/** A link that stays inside the app; with a modifier key the browser does what it always does. */
export function Link({ href, children, ...rest }: LinkProps) {
  const click = (event: MouseEvent) => {
    if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    go(href);
    scrollTo(0, 0);
  };
  return (
    <a href={href} onClick={click} {...rest}>
      {children}
    </a>
  );
}

/** The page of a series; `from` and `to` show it around a moment. */
export function seriesUrl(series: string, window?: { from: string; to: string }): string {
  return `/series?${new URLSearchParams({ s: series, ...window })}`;
}
