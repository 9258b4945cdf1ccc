// Ends with 0 if the Bellwether of this container answers, else with 1: for images without curl.
const port = process.env.BELLWETHER_PORT || "8080";
try {
  const answer = await fetch(`http://127.0.0.1:${port}/healthz`, { signal: AbortSignal.timeout(4_000) });
  process.exitCode = answer.ok ? 0 : 1;
} catch (error) {
  console.error(error.cause?.message ?? error.message);
  process.exitCode = 1;
}
