/**
 * The production shape as far as it can be checked without a Docker engine: the file against the specification's own
 * schema, and against what the rest of the project says.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Ajv2020 } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { dayMs } from "../../../src/core/time.ts";
import { describeSettings, readSettings } from "../../../src/settings.ts";
import { datasourceVariables } from "../../../src/show/boards/datasources.ts";
import { bucketsOf } from "../../../src/store/batch.ts";
import { createPolicy } from "../../../src/store/stores/influx-setup-statements.ts";
import {
  composeServices,
  composeText,
  exampleEnv,
  projectDir,
  readCompose,
  someSecrets,
} from "../../support/compose.ts";

const text = (path: string): string => readFileSync(join(projectDir, path), "utf8");
const compose = readCompose();
const services = Object.entries(compose.services);
const own = [...composeServices()];

/** Faults that the Compose Specification's schema finds. */
function schemaFaults(file: unknown): string[] {
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  addFormats.default(ajv);
  ajv.addFormat("duration", true); // Compose's durations (15s) are not those of the format's name
  const validate = ajv.compile(JSON.parse(text("test/support/compose-spec.json")));
  validate(file);
  return (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`);
}

describe("docker-compose.yml", () => {
  test("is what the Compose Specification's schema allows", () => {
    expect(schemaFaults(parse(composeText(), { merge: true }))).toEqual([]);
  });

  test("the schema finds what is wrong", () => {
    const broken = parse(composeText().replace("healthcheck:", "healthchek:"), { merge: true });
    expect(schemaFaults(broken)).not.toEqual([]);
  });

  test("has every server of the production shape", () => {
    expect(services.map(([name]) => name)).toEqual([
      "scheduler",
      "worker-1",
      "worker-2",
      "console",
      "redis",
      "influx-a",
      "influx-b",
      "postgres",
      "grafana",
      "prometheus",
      "mailbox",
    ]);
  });

  test.each(services)("%s is watched, restarted, and of a version", (_name, service) => {
    expect(service.healthcheck?.test.length).toBeGreaterThan(1);
    expect(service.restart).toBe("unless-stopped");
    expect(service.image).toMatch(/^[a-z/]+:v?\d/);
    expect(service).toMatchObject({
      security_opt: ["no-new-privileges:true"],
      logging: { options: { "max-size": expect.any(String), "max-file": expect.any(String) } },
      deploy: { resources: { limits: { cpus: expect.any(String), memory: expect.any(String) } } },
    });
  });

  test("volumes that have a name are declared, and each belongs to one service", () => {
    const used = services.flatMap(([, { volumes = [] }]) => volumes.map((volume) => volume.split(":")[0] as string));
    const named = used.filter((source) => !source.startsWith("."));
    expect(named.toSorted()).toEqual(Object.keys(compose.volumes).toSorted());
  });

  test("only console and Grafana are shown, on this machine's loopback address alone", () => {
    const shown = services.filter(([, { ports }]) => ports !== undefined);
    expect(shown.map(([name, { ports }]) => [name, ports])).toEqual([
      ["console", ["127.0.0.1:8080:8080"]],
      ["grafana", ["127.0.0.1:3000:3000"]],
    ]);
    expect(compose.networks.back).toEqual({ internal: true });
    for (const [name, { networks }] of services) expect(networks, name).toContain("back");
  });

  test("a service waits for servers that are there", () => {
    for (const [name, { depends_on = {} }] of services) {
      for (const [other, { condition }] of Object.entries(depends_on)) {
        expect([name, Object.keys(compose.services).includes(other), condition]).toEqual([
          name,
          true,
          "service_healthy",
        ]);
      }
    }
    expect(Object.keys(compose.services.scheduler?.depends_on ?? {})).toEqual(
      expect.arrayContaining(["redis", "postgres", "influx-a", "influx-b"]),
    );
  });

  test("Redis keeps what it has, and refuses rather than forget", () => {
    const command = compose.services.redis?.command?.join(" ");
    for (const flag of ["--appendonly yes", "--appendfsync everysec", "--maxmemory-policy noeviction", "requirepass"]) {
      expect(command).toContain(flag);
    }
  });
});

describe("secrets", () => {
  test("each one is demanded, and has its empty line in .env.example", () => {
    const demanded = [...composeText().matchAll(/\$\{(\w+):\?/g)].map(([, name]) => name as string);
    expect(new Set(demanded)).toEqual(new Set(Object.keys(someSecrets)));
    for (const name of demanded) expect([name, exampleEnv()[name]]).toEqual([name, ""]);
  });

  test.each(Object.keys(someSecrets))("without %s nothing starts", (name) => {
    expect(() => readCompose({ ...someSecrets, [name]: "" })).toThrow(`${name}: see .env.example`);
  });

  test("what may be left out has its line in .env.example too", () => {
    const used = new Set([...composeText().matchAll(/(?<!\$)\$\{(\w+)/g)].map(([, name]) => name));
    expect(new Set(Object.keys(exampleEnv()))).toEqual(used);
  });

  test("none stands in the file", () => {
    const secret = /pass(word)?|secret|token|auth$/i;
    const plain = Object.entries((parse(composeText(), { merge: true }) as typeof compose).services).flatMap(
      ([name, { environment = {} }]) =>
        Object.entries(environment)
          .filter(([key, value]) => secret.test(key) && !/^(.*:)?\$\{\w+:\?.*\}$/.test(value))
          .map(([key]) => `${name} ${key}`),
    );
    expect(plain).toEqual([]);
    const named = composeText().replace(/\$\{(\w+):\?[^}]*\}/g, "<$1>");
    const inAddresses = [...named.matchAll(/:\/\/\w*:([^@\s/]*)@/g)].map(([, password]) => password);
    expect(inAddresses).toHaveLength(5);
    for (const password of inAddresses) expect(password).toMatch(/^<\w+>$/);
  });
});

describe("Bellwether's services", () => {
  test("are a scheduler, two workers and a console", () => {
    expect(own.map(([name, { args }]) => [name, args.join(" ")])).toEqual([
      ["scheduler", "start --role scheduler"],
      ["worker-1", "start --role worker"],
      ["worker-2", "start --role worker"],
      ["console", "start --role console"],
    ]);
  });

  test.each(own)("%s is given settings that there are, with values that they take", (name, { environment }) => {
    const known = [...describeSettings().matchAll(/^ {2}([A-Z_]+) /gm)].map(([, setting]) => setting);
    expect(Object.keys(environment).filter((setting) => !known.includes(setting))).toEqual([]);
    const settings = readSettings(environment);
    expect(settings).toMatchObject({ environment: "production", configDir: "/config", dataDir: "/data", port: 8080 });
    expect(settings.influx.map(({ name: copy, user, database }) => [copy, user, database])).toEqual([
      ["a", "bellwether", "bellwether"],
      ["b", "bellwether", "bellwether"],
    ]);
    expect(environment.BELLWETHER_NAME).toBe(name);
  });

  test("differ in nothing but their names: a worker more is the same once more", () => {
    const [first, ...others] = own.map(
      ([
        ,
        {
          environment: { BELLWETHER_NAME, ...rest },
        },
      ]) => rest,
    );
    for (const other of others) expect(other).toEqual(first);
  });

  test.each(own)("%s has ten seconds and some to stop in, and nothing to write to but its volume", (name) => {
    const service = compose.services[name];
    expect(service).toMatchObject({ stop_grace_period: "15s", read_only: true, tmpfs: ["/tmp"], cap_drop: ["ALL"] });
    expect(service?.volumes).toEqual([
      "./samplers:/config/samplers:ro",
      "./rules:/config/rules:ro",
      `${name}-data:/data`,
    ]);
  });

  test("a scenario can put servers of its own in the place of containers", () => {
    const moved = composeServices({ "redis:6379": "127.0.0.1:1", "influx-b:8086": "127.0.0.1:2" }).get("worker-1");
    expect(moved?.environment).toMatchObject({
      REDIS_URL: "redis://:redispassword1@127.0.0.1:1/0",
      INFLUX_URLS:
        "a=http://bellwether:influxpassword1@influx-a:8086/bellwether b=http://bellwether:influxpassword1@127.0.0.1:2/bellwether",
    });
  });
});

describe("what stands beside the file", () => {
  test("Prometheus asks every service of Bellwether, and has its rules", () => {
    const config = parse(text("deploy/prometheus/prometheus.yml"));
    const job = config.scrape_configs.find((one: { job_name: string }) => one.job_name === "bellwether");
    expect(job.static_configs[0].targets).toEqual(own.map(([name]) => `${name}:8080`));
    expect(config.rule_files).toEqual(["rules.yml"]);
    expect(compose.services.prometheus?.volumes).toContain("./deploy/prometheus:/etc/prometheus:ro");
    for (const { alert, expr, labels, annotations } of parse(text("deploy/prometheus/rules.yml")).groups[0].rules) {
      expect([alert, typeof expr, labels.severity, typeof annotations.summary]).toEqual([
        expect.stringMatching(/^Bellwether\w+$/),
        "string",
        expect.stringMatching(/^(warning|critical)$/),
        "string",
      ]);
    }
  });

  test("Grafana has the boards, and what its data sources ask of its environment", () => {
    const { volumes, environment = {} } = compose.services.grafana ?? {};
    expect(volumes).toContain("./grafana-provisioning:/etc/grafana/provisioning:ro");
    expect(Object.keys(environment).filter((name) => name.startsWith("BELLWETHER_"))).toEqual([...datasourceVariables]);
    const home = environment.GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH ?? "";
    expect(text(home.replace("/etc/grafana/provisioning", "grafana-provisioning"))).toContain('"bellwether-overview"');
  });

  test("the buckets that an administrator makes are those that Bellwether would make", () => {
    const buckets = bucketsOf({ keepRawMs: 30 * dayMs, keepMs: 400 * dayMs });
    const coarser = buckets
      .filter(({ everyMs }) => everyMs !== null)
      .map((bucket) => createPolicy('"bellwether"', `"${bucket.name}"`, bucket));
    const raw = createPolicy('"bellwether"', '"autogen"', buckets[0] as (typeof buckets)[number])
      .replace("CREATE", "ALTER")
      .replace(" REPLICATION 1", "");
    const statements = text("deploy/influxdb/policies.iql")
      .split(";")
      .map((statement) => statement.trim());
    expect(statements).toEqual([...coarser, raw]);
    // The defaults of the settings, which the file leaves as they are.
    expect(readSettings({})).toMatchObject({ keepRawMs: 30 * dayMs, keepPointsMs: 400 * dayMs });
  });

  test("the image takes what it copies, runs without a password of root's, and has a probe", () => {
    const dockerfile = text("Dockerfile");
    const ignored = text(".dockerignore").split("\n");
    expect(ignored[0]).toBe("*");
    for (const [, from = ""] of dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)) {
      for (const path of from.split(" ")) expect(ignored, path).toContain(`!${path}`);
    }
    const lines = dockerfile.split("\n");
    expect(lines.filter((line) => line.startsWith("FROM ")).every((line) => line.startsWith("FROM node:24-"))).toBe(
      true,
    );
    expect(lines).toEqual(expect.arrayContaining(["USER node", "STOPSIGNAL SIGTERM"]));
    expect(lines.lastIndexOf("USER node")).toBeGreaterThan(lines.findLastIndex((line) => line.startsWith("RUN ")));
    for (const line of lines.filter((one) => one.includes("npm ci"))) expect(line).toContain("--ignore-scripts");
    expect(dockerfile).toMatch(/^HEALTHCHECK .* CMD \["node", "deploy\/healthcheck\.mjs"\]$/m);
  });
});
