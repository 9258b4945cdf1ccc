import { createContext } from "preact";
import { useContext } from "preact/hooks";
import type { Api } from "../console/api.ts";

/** What the server says of itself; null until it has said so. */
export const HealthContext = createContext<Api["Health"] | null>(null);

export function useHealth(): Api["Health"] | null {
  return useContext(HealthContext);
}

/** Now by the server's clock, as of its latest answer; 0 until the first. */
export function useNowMs(): number {
  const health = useHealth();
  return health === null ? 0 : Date.parse(health.now);
}

/** Zone of what belongs to no sampler. */
export function useZone(): string {
  return useHealth()?.zone ?? "UTC";
}
