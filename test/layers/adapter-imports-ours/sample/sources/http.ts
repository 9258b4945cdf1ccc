import { point } from "../points.ts"; export const x = point;
