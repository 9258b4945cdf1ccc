import { defineConfig } from "vite";

/** The console's browser app: plain files for the server to hand out; no script or style stands inside the page. */
export default defineConfig({
  root: "src/show/web",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    outDir: "../../../dist/web",
    emptyOutDir: true,
    // Content policy: data: URLs are for pictures only, and the page loads one script without a polyfill.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: true,
  },
  // `npx vite` beside a running process, for work on the app itself.
  server: { proxy: { "/api": "http://127.0.0.1:8080" } },
});
