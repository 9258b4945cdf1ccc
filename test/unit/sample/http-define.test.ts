import { expect, test } from "vitest";
import { formatProblem } from "../../../src/core/problem.ts";
import { loadDefinitions } from "../../../src/define/load.ts";
import { http } from "../../../src/sample/sources/http.ts";
import { folder, optionsFor } from "../define/support.ts";

const file = "rules/connections.yaml";

async function problemsOf(connection: string): Promise<string[]> {
  const kinds = { sources: { http }, notifiers: ["email"] };
  const { problems } = await loadDefinitions({
    ...optionsFor(folder({ [file]: `connections:\n  api:\n    http: ${connection}\n` })),
    kinds,
    env: { API_KEY: "the-value" },
  });
  return problems.map(formatProblem).filter((text) => text.includes(file));
}

test("a connection is read from YAML", async () => {
  expect(await problemsOf('{ url: "https://api.shop.example", headers: { X-Api-Key: "env:API_KEY" } }')).toEqual([]);
});

test("a secret that is written out, or a reference that leads nowhere, is told of where it stands, and not shown", async () => {
  const url = 'url: "https://api.shop.example"';
  const said = [
    ...(await problemsOf(`{ ${url}, headers: { Authorization: "Bearer hunter2" } }`)),
    ...(await problemsOf(`{ ${url}, auth: { bearer: hunter2 } }`)),
    ...(await problemsOf(`{ ${url}, auth: { basic: { user: reader, password: hunter2 } } }`)),
    ...(await problemsOf('{ url: "https://reader:hunter2@api.shop.example" }')),
    ...(await problemsOf(`{ ${url}, auth: { bearer: "env:NOT_THERE" } }`)),
  ];
  expect(said.map((text) => text.split(" ").slice(0, 2).join(" "))).toEqual([
    `CFG-012 ${file}:3:55`,
    `CFG-012 ${file}:3:52`,
    `CFG-012 ${file}:3:52`,
    `CFG-012 ${file}:3:87`,
    `CFG-012 ${file}:3:18`,
    `CFG-012 ${file}:3:18`,
    `CFG-013 ${file}:3:62`,
  ]);
  expect(said.join("\n")).not.toContain("hunter2");
});
