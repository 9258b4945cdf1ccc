/** Light or dark: as the system says, until the reader says otherwise. */
export type Theme = "light" | "dark";

const key = "bellwether.theme";
const systemDark = matchMedia("(prefers-color-scheme: dark)");

/** What the reader chose; null = as the system says. */
export function storedTheme(): Theme | null {
  const stored = localStorage.getItem(key);
  return stored === "light" || stored === "dark" ? stored : null;
}

export function applyTheme(theme: Theme | null): void {
  if (theme === null) delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

export function shownTheme(): Theme {
  return storedTheme() ?? (systemDark.matches ? "dark" : "light");
}

export function toggleTheme(): Theme {
  const next = shownTheme() === "dark" ? "light" : "dark";
  localStorage.setItem(key, next);
  applyTheme(next);
  dispatchEvent(new Event("themechange"));
  return next;
}

/** Calls back whenever the colours on the page have changed; returns how to stop that. */
export function onThemeChange(changed: () => void): () => void {
  addEventListener("themechange", changed);
  systemDark.addEventListener("change", changed);
  return () => {
    removeEventListener("themechange", changed);
    systemDark.removeEventListener("change", changed);
  };
}
