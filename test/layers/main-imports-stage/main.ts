import "./judge/judge.ts";
