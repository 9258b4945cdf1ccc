/** The reader's name, asked once and kept in this browser. There is no log-in yet. */
const key = "bellwether.name";

export function myName(): string {
  return localStorage.getItem(key) ?? "";
}

export function rememberMyName(name: string): void {
  localStorage.setItem(key, name);
}
