export { judge } from "../judge/judge.ts";
