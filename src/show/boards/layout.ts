/** Panels set from left to right, line by line, on Grafana's grid of 24 columns. Pure. */
import type { Panel, Row } from "./grafana.ts";
import type { Unplaced } from "./panels.ts";

export type Section = { readonly title: string; readonly panels: readonly Unplaced[] };

const columns = 24;

/** Each section under a row of its own, except one without a title. Ids count from 1. */
export function arrange(sections: readonly Section[]): (Panel | Row)[] {
  const placed: (Panel | Row)[] = [];
  let top = 0;
  for (const { title, panels } of sections) {
    if (title !== "") {
      const gridPos = { x: 0, y: top, w: columns, h: 1 };
      placed.push({ type: "row", title, id: placed.length + 1, gridPos, collapsed: false, panels: [] });
      top += 1;
    }
    let left = 0;
    let lineHeight = 0;
    for (const { panel, width, height } of panels) {
      if (left + width > columns) {
        top += lineHeight;
        left = 0;
        lineHeight = 0;
      }
      placed.push({ ...panel, id: placed.length + 1, gridPos: { x: left, y: top, w: width, h: height } });
      left += width;
      lineHeight = Math.max(lineHeight, height);
    }
    top += lineHeight;
  }
  return placed;
}
