const app = await import("../app.ts"); export default app;
