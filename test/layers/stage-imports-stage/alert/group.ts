import { render } from "../notify/render.ts"; export const x = render;
