/** What Grafana does with a query of a board before it sends it, as far as our boards use it. */

export type Filling = {
  readonly fromMs: number;
  readonly toMs: number;
  /** `1m` */
  readonly interval: string;
  /** Variable -> the value that is picked. */
  readonly picks: Readonly<Record<string, string>>;
};

/**
 * The query with its variables filled in.
 * @throws Error if it holds a variable that Grafana would not know
 */
export function filled(query: string, { fromMs, toMs, interval, picks }: Filling): string {
  const value = (whole: string, name: string): string => {
    const picked = picks[name];
    if (picked === undefined) throw new Error(`no value for ${whole}`);
    return asRegex(picked);
  };
  const builtIn: Readonly<Record<string, string>> = {
    $timeFilter: `time >= ${fromMs}ms and time <= ${toMs}ms`,
    $__interval: interval,
  };
  return query.replace(/\$\{(\w+):regex\}|\$[\w{]+/g, (whole, name: string | undefined) => {
    const text = name === undefined ? builtIn[whole] : value(whole, name);
    if (text === undefined) throw new Error(`Grafana does not know ${whole}`);
    return text;
  });
}

/** Grafana's format `regex` of one value. */
function asRegex(value: string): string {
  return value.replace(/[\\^$*+?.()|[\]{}/]/g, "\\$&");
}
