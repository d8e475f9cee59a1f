import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import { beforeAll, expect, test } from "vitest";
import { Random, seed } from "../support/random.ts";
import { callApi, stack, Tenant, verifyLedgerAtEnd } from "../support/tenant.ts";

// A client that knows the API from its OpenAPI document alone, and another validator than ours.

verifyLedgerAtEnd();

const RIGHT_REQUESTS = 25;
const WRONG_REQUESTS = 16;

type Json = null | boolean | number | string | Json[] | { [name: string]: Json };
type JsonObject = Record<string, Json>;

interface Schema {
  type?: string | string[];
  properties?: Record<string, Schema>;
  required?: string[];
  anyOf?: Schema[];
  enum?: Json[];
  items?: Schema;
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  pattern?: string;
  format?: string;
  [keyword: string]: unknown;
}
interface Reference {
  $ref: string;
}
interface Content {
  "application/json": { schema: Reference | { anyOf: Reference[] } };
}
interface Parameter {
  name: string;
  in: "path" | "query" | "header";
  required: boolean;
  schema: Schema;
}
interface Operation {
  security: object[];
  parameters: Parameter[];
  requestBody?: { content: Content };
  responses: Record<string, { headers: Record<string, { schema: Schema }>; content: Content }>;
}
interface Document {
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Schema> };
}

const { body: document } = await callApi<Document>("/v1/openapi.json");
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, it]) => [method.toUpperCase(), path, it] as const)
);

const ajv = new Ajv2020({ strict: true, allowUnionTypes: true, allErrors: true });
const HOUR = String.raw`([01]\d|2[0-3]):[0-5]\d`;
ajv.addFormat("uuid", /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
ajv.addFormat("date-time", {
  validate: (text: string) =>
    new RegExp(String.raw`^\d{4}-\d\d-\d\dT${HOUR}:[0-5]\d(\.\d+)?(Z|[+-]${HOUR})$`).test(text) &&
    !Number.isNaN(Date.parse(text)),
});
const validators = Object.fromEntries(
  Object.entries(document.components.schemas).map(([name, schema]) => [name, ajv.compile(schema)]),
);

const nameOf = ({ $ref }: Reference) => $ref.replace("#/components/schemas/", "");

function validatorsOf({ "application/json": { schema } }: Content): ValidateFunction[] {
  return ("anyOf" in schema ? schema.anyOf : [schema]).map((ref) => validators[nameOf(ref)]!);
}

function bodySchema({ requestBody }: Operation): Schema | undefined {
  const schema = requestBody?.content["application/json"].schema;
  return schema && "$ref" in schema ? document.components.schemas[nameOf(schema)] : undefined;
}

let tenant: Tenant;
const users = ["ada", "bob", "carol", "🙂 / %2F", "dave"];
/** Whose the grants are that can be ended. */
const owner = users[0]!;
const now = Date.now();
const fromNow = (hours: number) => new Date(now + hours * 3_600_000).toISOString();
/** What names something that exists, so that not every request is refused. */
const known: Record<string, Json[]> = {
  user_id: users,
  tag: ["GPT-4", "GPT-5"],
  request_id: ["r-1", "r-2", "r-3"],
  original_request_id: ["r-1", "chat-1", "chat-2"],
  transfer_number: [1, 2, 3, 4, 5, 6, 7],
  tokens: [1, 2, 3, 100],
  tokens_to_consume: [1, 5, 100, 1000],
  expires_at: ["2090-01-01T00:00:00Z", "2100-12-31T23:59:59.999+14:00"],
  grant_expires_at: ["2090-01-01T00:00:00Z"],
  auth_user_id: [null],
  hold_id: [],
  grant_id: [],
  recurring_grant_id: [],
  effective_at: [fromNow(-1), "2089-01-01T00:00:00Z"],
  starts_at: [fromNow(-100), "2089-01-01T00:00:00Z"],
  ends_at: [fromNow(1000), "2090-01-01T00:00:00Z"],
  plan: ["Basic", "Pro"],
  time_zone: ["Europe/Paris", "Asia/Kolkata", "UTC", null],
  quota_open_until: [fromNow(-1), "2090-01-01T00:00:00Z"],
  as_of: [],
  from: [fromNow(-300), fromNow(-1)],
  to: [fromNow(1), fromNow(200).replace("Z", "+00:00")],
};

beforeAll(async () => {
  tenant = await Tenant.create({
    quota: 1_000_000,
    restrictions: [
      { tag: "GPT-4", maxTokens: 500, duration: "1 day" },
      { tags: ["GPT-4", "GPT-5"], maxTokens: 800, duration: "5 hours", window: "rolling" },
      { maxTokens: 1_000_000, duration: "3 months" },
    ],
  });
  await tenant.plan({ quota: 1_000_000 }, "Basic");
  await tenant.plan({ quota: 2_000_000, period: "1 day" }, "Pro");
  for (const user of users) {
    for (let n = 1; n <= 5; n++) await tenant.consume(user, 200, { request_id: `chat-${n}` });
    for (let n = 0; n < 20; n++) known["hold_id"]!.push((await tenant.hold(user, 3)).body.hold_id);
  }
  known["as_of"]!.push((await tenant.grant("dave", 1)).body.created_at);
  for (let n = 0; n < 20; n++) {
    known["grant_id"]!.push((await tenant.grant(owner, 3)).body.grant_id);
    const { body } = await tenant.recurringGrant(owner, 3);
    known["recurring_grant_id"]!.push(body.recurring_grant_id);
  }
});

/** Text that a pattern made of characters, classes and counts matches. */
function matching(pattern: string, random: Random): string {
  const parts = pattern.replace(/^\^|\$$/g, "")
    .matchAll(/(?:\[([^\]]+)\]|(\\d)|(.))(?:\{(\d+)(?:,(\d+))?\})?/g);
  return [...parts].map(([, range, digit, character, least = "1", most = least]) => {
    const count = random.integer(Number(least), random.pick([Number(least) + 1, Number(most)]));
    const one = character !== undefined
      ? () => character
      : anyOf(digit ? "0-9" : range!.replace(/\\x(..)/g, (_, hex) => unhex(hex)), random);
    return Array.from({ length: Math.min(count, Number(most)) }, one).join("");
  }).join("");
}

const unhex = (hex: string) => String.fromCharCode(parseInt(hex, 16));

/** A maker of characters of a class: ranges such as a-z, one after the other, and single ones. */
function anyOf(ranges: string, random: Random): () => string {
  const spans = [...ranges.matchAll(/(.)-(.)|(.)/gs)].map(([, from, to, one]) =>
    [(from ?? one)!.charCodeAt(0), (to ?? one)!.charCodeAt(0)] as const
  );
  return () => String.fromCharCode(random.integer(...random.pick(spans)));
}

function randomText(least: number, most: number, random: Random): string {
  const ranges = [[0x20, 0x7e], [0x1, 0x1f], [0xa0, 0x24f], [0x600, 0x6ff], [0x1f300, 0x1f9ff]];
  const length = random.pick([least, random.integer(least, Math.min(most, 20)), most]);
  return Array.from({ length }, () => {
    const [from, to] = random.pick(ranges);
    return String.fromCodePoint(random.integer(from!, to!));
  }).join("");
}

function randomObject(random: Random, levels = 3): JsonObject {
  const members = Array.from({ length: random.integer(0, 3) }, (): [string, Json] => [
    randomText(0, 10, random),
    random.pick<Json>([
      ...[null, true, -1.5, 2 ** 53 - 1, randomText(0, 20, random), [1, "a", []]],
      levels === 0 ? {} : randomObject(random, levels - 1),
    ]),
  ]);
  return Object.fromEntries(members);
}

/** A value of a schema; for a field of which some values are known to name something, mostly those. */
function valueOf(schema: Schema, random: Random, name = ""): Json {
  const some = known[name] ?? [];
  if (some.length > 0 && random.number() < 0.85) return random.pick(some);
  if (schema.anyOf) return valueOf(random.pick(schema.anyOf), random, name);
  if (schema.enum) return random.pick(schema.enum);
  const type = Array.isArray(schema.type) ? random.pick(schema.type) : schema.type;
  switch (type) {
    case "null":
      return null;
    case "boolean":
      return random.pick([true, false]);
    case "integer": {
      const { minimum = 0, maximum = 1e15 } = schema;
      return random.pick([minimum, maximum, random.integer(minimum, Math.min(maximum, 1000))]);
    }
    case "string":
      if (schema.pattern) return matching(schema.pattern, random);
      if (schema.format === "uuid") return crypto.randomUUID();
      if (schema.format === "date-time") {
        const year = random.pick(["0001", `20${random.integer(30, 99)}`, "9999"]);
        return `${year}-${random.pick(["01-01T00:00:00+15:59", "12-31T23:59:59.999999-15:59"])}`;
      }
      return randomText(schema.minLength ?? 0, schema.maxLength ?? 300, random);
    case "array":
      return Array.from(
        { length: random.integer(1, 5) },
        () => valueOf(schema.items ?? {}, random),
      );
    case "object":
      return schema.properties ? objectOf(schema, random) : randomObject(random);
    default:
      throw new Error(`no value for the schema ${JSON.stringify(schema)}`);
  }
}

function objectOf({ properties = {}, required = [] }: Schema, random: Random): JsonObject {
  const names = Object.keys(properties)
    .filter((name) => required.includes(name) || random.number() < 0.4);
  return Object.fromEntries(names.map((name) => [name, valueOf(properties[name]!, random, name)]));
}

interface Request {
  url: string;
  method: string;
  headers: Record<string, string>;
  body?: Json | undefined;
}

function requestOf(method: string, path: string, operation: Operation, random: Random): Request {
  const headers: Record<string, string> = { authorization: `Bearer ${tenant.apiKey}` };
  const query = new URLSearchParams();
  let url = path;
  for (const { name, in: place, required, schema } of operation.parameters) {
    if (!required && random.number() < 0.6) continue;
    const value = String(valueOf(schema, random, name));
    if (place === "query") query.set(name, value);
    else if (place === "header") headers[name] = value.trim() || "key";
    // As the document says, these cannot be put into a path.
    else url = url.replace(`{${name}}`, encodeURIComponent(value.replace(/^\.{1,2}$/, "...")));
  }
  const schema = bodySchema(operation);
  const body = schema && objectOf(schema, random);
  // What only the words of the document say: one request id, and one name of what is refunded.
  if (body?.["request_id"] != null) delete headers["Idempotency-Key"];
  if (body && schema.properties?.["original_request_id"] && random.number() < 0.8) {
    delete body["original_request_id"];
    body["transfer_number"] = random.pick(known["transfer_number"]!);
  }
  // Both or neither of a cost; and somebody's grants.
  if (body && schema.properties?.["cost_basis"]) {
    const cost = random.pick([{ cost_basis: null }, { cost_basis: 1999, cost_currency: "EUR" }]);
    delete body["cost_currency"];
    if (random.number() < 0.8) Object.assign(body, cost);
  }
  if (/grant_id/.test(path) && random.number() < 0.8) body!["user_id"] = owner;
  return { url: `${url}${query.size > 0 ? `?${query}` : ""}`, method, headers, body };
}

async function send({ url, method, headers, body }: Request) {
  const response = await fetch(`${stack.url}/functions/v1/api${url}`, {
    method,
    headers,
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  return { status: response.status, headers: response.headers, body: await response.json() };
}

type Answer = Awaited<ReturnType<typeof send>>;

const HEADERS = ["Retry-After", "RateLimit", "RateLimit-Policy", "Idempotent-Replayed"];

function expectDocumented({ responses }: Operation, request: Request, answer: Answer) {
  const { status, headers, body } = answer;
  const story = `${JSON.stringify(request)} -> ${status} ${JSON.stringify(body)}`.slice(0, 2000);
  const documented = responses[status];
  if (status >= 500 || !documented) throw new Error(`undocumented: ${story}`);
  const schemas = validatorsOf(documented.content);
  if (!schemas.some((validate) => validate(body))) {
    throw new Error(`no match: ${story} ${ajv.errorsText(schemas[0]!.errors)}`);
  }
  expect(headers.get("content-type"), story).toBe("application/json");
  expect(headers.has("x-request-id"), story).toBe(true);
  for (const name of HEADERS) {
    const value = headers.get(name);
    if (value === null) continue;
    const schema = documented.headers[name]?.schema;
    if (!schema) throw new Error(`${name} is undocumented: ${story}`);
    expect(ajv.validate(schema, schema.type === "integer" ? Number(value) : value), story).toBe(
      true,
    );
  }
  // Where the body says that there is something to say, the headers must say it.
  const { replayed, nearest_limit, retry_at } = body as Record<string, unknown>;
  const mayBe = (name: string) => name in documented.headers;
  if (mayBe("Idempotent-Replayed") && replayed !== undefined) {
    expect(headers.get("idempotent-replayed"), story).toBe(replayed ? "true" : null);
  }
  if (mayBe("RateLimit") && nearest_limit !== undefined) {
    expect(headers.has("ratelimit"), story).toBe(nearest_limit !== null && !replayed);
    expect(headers.has("ratelimit-policy"), story).toBe(headers.has("ratelimit"));
  }
  if (mayBe("Retry-After") && retry_at !== undefined) {
    expect(headers.has("retry-after"), story).toBe(retry_at !== null);
  }
}

test.each(operations)(
  `%s %s answers ${RIGHT_REQUESTS} random requests as documented (TOLLGATE_SEED=${seed})`,
  async (method, path, operation) => {
    const random = new Random();
    const schema = bodySchema(operation);
    const validate = schema && ajv.compile(schema);
    let applied = 0;
    for (let n = 0; n < RIGHT_REQUESTS; n++) {
      const request = requestOf(method, path, operation, random);
      if (validate) expect(validate(request.body), ajv.errorsText(validate.errors)).toBe(true);

      const answer = await send(request);

      expectDocumented(operation, request, answer);
      if (answer.status < 300) applied++;
      if (operation.parameters.length === 0) break; // There is but one request.
    }
    expect(applied).toBeGreaterThan(0);
  },
);

const JUNK: Json[] = [
  ...[null, true, false, 0, -1, 1.5, 1e15 + 1, 2 ** 53, 1e300, "", "1", "x".repeat(256), "a\nb"],
  ...["tomorrow", "2090-02-30T00:00:00Z", "ALL_OR_NOTHING", [], [null], [[]], {}, { a: 1 }],
];

/** The same with one thing changed, somewhere. */
function spoil(body: Json, schema: Schema, random: Random): Json {
  if (Array.isArray(body)) {
    const at = random.integer(0, body.length - 1);
    return body.with(at, spoil(body[at]!, schema.items ?? {}, random));
  }
  if (typeof body !== "object" || body === null || !schema.properties) return random.pick(JUNK);
  const name = random.pick([...Object.keys(schema.properties), "price", "__proto__", "toString"]);
  const { [name]: value, ...others } = body;
  if (value !== undefined && random.number() < 0.2) return others;
  const child = schema.properties[name];
  const goDeeper = value !== undefined && child?.items && random.number() < 0.7;
  const spoilt = goDeeper ? spoil(value, child, random) : random.pick(JUNK);
  return Object.fromEntries([...Object.entries(others), [name, spoilt]]);
}

const withBody = operations.filter(([, , operation]) => operation.requestBody);

test.each(withBody)(
  `%s %s refuses ${WRONG_REQUESTS} requests that break its schema (TOLLGATE_SEED=${seed})`,
  async (method, path, operation) => {
    const random = new Random();
    const schema = bodySchema(operation)!;
    const validate = ajv.compile(schema);
    for (let n = 0; n < WRONG_REQUESTS; n++) {
      const request = requestOf(method, path, operation, random);
      const right = request.body!;
      do request.body = spoil(right, schema, random); while (validate(request.body));

      const answer = await send(request);

      expectDocumented(operation, request, answer);
      expect(answer.status, JSON.stringify(request)).toBeGreaterThanOrEqual(400);
      expect(validators["Error"]!(answer.body), JSON.stringify([request, answer.body])).toBe(true);
    }
  },
);

const withParameters = operations.flatMap(([method, path, operation]) =>
  operation.parameters.map((parameter) =>
    [method, path, parameter.name, parameter, operation] as const
  )
);

test.each(withParameters)(
  `%s %s refuses what breaks the schema of %s (TOLLGATE_SEED=${seed})`,
  async (method, path, name, { in: place, schema }, operation) => {
    const random = new Random();
    const validate = ajv.compile(schema);
    const candidates = [
      "0",
      "-1",
      "1.5",
      "1e400",
      "abc",
      "x".repeat(256),
      "é",
      "hold_1",
      "9".repeat(40),
    ];
    const isNumber = schema.type === "integer";
    const wrong = candidates.filter((text) => !validate(isNumber ? Number(text) : text));
    expect(wrong).not.toEqual([]);
    for (const text of wrong) {
      const request = requestOf(method, path, operation, random);
      if (place === "header") request.headers[name] = text;
      else if (place === "query") request.url = `${request.url.split("?")[0]}?${name}=${text}`;
      else {
        const [before, after] = path.split(`{${name}}`);
        request.url = `${before}${encodeURIComponent(text)}${after}`;
      }

      const answer = await send(request);

      expectDocumented(operation, request, answer);
      expect(answer.status, JSON.stringify(request)).toBeGreaterThanOrEqual(400);
    }
  },
);
