import { beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { errorKinds } from "../../supabase/functions/_shared/errors.ts";
import type { Endpoint } from "../../supabase/functions/api/route.ts";
import { endpoints } from "../../supabase/functions/api/routes.ts";
import { request } from "./app.ts";

interface Document {
  openapi: string;
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Schema>; securitySchemes: object };
}
interface Operation {
  security: object[];
  parameters: { name: string; in: string; required: boolean; description: string }[];
  requestBody?: { required: boolean; content: Content };
  responses: Record<string, { headers: object; content: Content }>;
}
interface Content {
  "application/json": {
    schema: Reference | { anyOf: Reference[] };
    examples?: Record<string, { value: unknown }>;
  };
}
interface Reference {
  $ref: string;
}
interface Schema {
  additionalProperties?: unknown;
  properties: Record<string, { description?: string }>;
  examples?: unknown[];
}

const STATUS_OF_CODE = new Map(
  Object.entries(errorKinds).map(([code, { status }]) => [code, String(status)]),
);

let document: Document;
beforeAll(async () => {
  document = (await request<Document>("/v1/openapi.json")).json;
});

function pathOf({ path }: Endpoint): string {
  return path.replace(/:(\w+)/, "{$1}");
}

function operationOf(endpoint: Endpoint): Operation {
  const operation = document.paths[pathOf(endpoint)]?.[endpoint.method.toLowerCase()];
  if (!operation) throw new Error(`${endpoint.method} ${endpoint.path} is not documented`);
  return operation;
}

function schemasAt({ "application/json": { schema } }: Content): Schema[] {
  const references = "anyOf" in schema ? schema.anyOf : [schema];
  return references.map(({ $ref }) => {
    const schema = document.components.schemas[$ref.replace("#/components/schemas/", "")];
    if (!schema) throw new Error(`${$ref} is missing`);
    return schema;
  });
}

/** What the published schema finds wrong with a value: nothing, one hopes. */
function complaintsOf(schema: object, value: unknown): unknown {
  return z.fromJSONSchema(schema as Parameters<typeof z.fromJSONSchema>[0]).safeParse(value).error;
}

it("is an OpenAPI 3.1 document", () => {
  expect(document.openapi).toBe("3.1.0");
});

it("has the routes of the table and no others", () => {
  const documented = Object.entries(document.paths).flatMap(([path, operations]) =>
    Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`)
  );
  expect(documented.sort()).toEqual(
    endpoints.map((endpoint) => `${endpoint.method} ${pathOf(endpoint)}`).sort(),
  );
});

it("names every operation once", () => {
  const names = endpoints.map(({ route }) => route.operationId);
  expect(new Set(names).size).toBe(names.length);
});

it("offers both ways to send the key", () => {
  expect(document.components.securitySchemes).toMatchObject({
    bearer: { type: "http", scheme: "bearer" },
    x_api_key: { type: "apiKey", in: "header", name: "x-api-key" },
  });
});

describe.each(
  endpoints.map((endpoint) => [`${endpoint.method} ${endpoint.path}`, endpoint] as const),
)("%s", (_, endpoint) => {
  const { method, path, route } = endpoint;

  it("says whether it takes a key", () => {
    expect(operationOf(endpoint).security).toEqual(
      route.secured ? [{ bearer: [] }, { x_api_key: [] }] : [],
    );
  });

  it("describes all of its parameters", () => {
    const { parameters } = operationOf(endpoint);
    expect(parameters.map(({ name, in: location }) => `${location} ${name}`)).toEqual([
      ...Object.keys(route.params?.shape ?? {}).map((name) => `path ${name}`),
      ...Object.keys(route.query?.shape ?? {}).map((name) => `query ${name}`),
      ...(route.body ? ["header Idempotency-Key"] : []),
    ]);
    for (const { description } of parameters) expect(description).toMatch(/\w/);
    expect(parameters.filter(({ required }) => required).map(({ name }) => name)).toEqual([
      ...Object.keys(route.params?.shape ?? {}),
      ...(path === "/v1/usage" ? ["from"] : []),
    ]);
  });

  it("takes a body with every method but GET, of documented fields and no others", () => {
    const { requestBody } = operationOf(endpoint);
    expect(requestBody !== undefined).toBe(method !== "GET");
    const [schema] = requestBody ? schemasAt(requestBody.content) : [];
    const { additionalProperties, properties } = schema ??
      { additionalProperties: false, properties: {} };
    expect(additionalProperties).toBe(false);
    expect(Object.keys(properties)).toEqual(Object.keys(route.body?.shape ?? {}));
    for (const { description } of Object.values(properties)) expect(description).toMatch(/\w/);
  });

  it("has an example of its body and of every answer that its schema accepts", () => {
    for (const schema of [route.body, ...Object.values(route.answers).map((it) => it.schema)]) {
      const examples = z.array(z.unknown()).parse(schema?.meta()?.["examples"] ?? []);
      for (const example of examples) expect(schema?.safeParse(example).error).toBeUndefined();
    }
  });

  it("lists its answers, and its errors under their status", () => {
    const { responses } = operationOf(endpoint);
    expect(Object.keys(responses)).toEqual(
      expect.arrayContaining(Object.keys(route.answers)),
    );
    const documented = Object.entries(responses).flatMap(([status, { headers, content }]) => {
      expect(headers).toHaveProperty("x-request-id");
      const codes = Object.keys(content["application/json"].examples ?? {});
      for (const code of codes) expect(STATUS_OF_CODE.get(code)).toBe(status);
      return codes;
    });
    const ofAll = ["internal_error"];
    const ofSecured = [
      "invalid_request",
      "missing_api_key",
      "invalid_api_key",
      "missing_scope",
      "temporarily_unavailable",
    ];
    expect(documented.sort()).toEqual(
      [...ofAll, ...(route.secured ? ofSecured : []), ...route.errors].sort(),
    );
  });

  it("has examples of its errors that the published schema accepts", () => {
    for (const { content } of Object.values(operationOf(endpoint).responses)) {
      for (const { value } of Object.values(content["application/json"].examples ?? {})) {
        expect(complaintsOf({ anyOf: schemasAt(content) }, value)).toBeUndefined();
      }
    }
  });
});

it("has an example of every body and answer that the published schema accepts", () => {
  const { Error: _, OpenApiDocument: __, ...schemas } = document.components.schemas;
  expect(Object.keys(schemas)).toEqual(
    expect.arrayContaining(["ConsumeRequest", "Receipt", "Denial", "Hold", "Refund", "Balance"]),
  );
  for (const [name, schema] of Object.entries(schemas)) {
    expect(schema.examples, name).toHaveLength(1);
    expect(complaintsOf(schema, schema.examples?.[0]), name).toBeUndefined();
  }
});

it("describes errors as they really are", async () => {
  const { json } = await request("/v1/nothing");
  expect(complaintsOf(document.components.schemas["Error"] ?? {}, json)).toBeUndefined();
  expect(complaintsOf(document.components.schemas["Error"] ?? {}, {})).toBeDefined();
});

it("says when to come back only where waiting helps", () => {
  const responses = document.paths["/v1/consume"]?.["post"]?.responses ?? {};
  expect(responses[429]?.headers).toHaveProperty("Retry-After");
  expect(responses[503]?.headers).toHaveProperty("Retry-After");
  expect(responses[402]?.headers).toHaveProperty("Retry-After");
  expect(responses[200]?.headers).not.toHaveProperty("Retry-After");
});

it("asks for a body only where a field of it must be given", () => {
  const required = endpoints.filter((endpoint) => operationOf(endpoint).requestBody?.required)
    .map(({ path }) => path);
  expect(required).toEqual([
    "/v1/consume",
    "/v1/consume/batch",
    "/v1/check",
    "/v1/holds",
    "/v1/holds/:hold_id/settle",
    "/v1/refunds",
    "/v1/users/:user_id",
    "/v1/users/:user_id/link",
    "/v1/grants",
    "/v1/grants/:grant_id/void",
    "/v1/recurring-grants",
    "/v1/recurring-grants/:recurring_grant_id/end",
  ]);
});

it("keeps an error apart from an answer of the same status", () => {
  const schemaOf = (status: number) =>
    document.paths["/v1/consume/batch"]?.["post"]?.responses[status]?.content["application/json"]
      .schema;
  const both = {
    anyOf: [
      { $ref: "#/components/schemas/BatchResult" },
      { $ref: "#/components/schemas/Error" },
    ],
  };
  expect(schemaOf(400)).toEqual(both);
  expect(schemaOf(402)).toEqual(both.anyOf[0]);
  expect(schemaOf(413)).toEqual(both.anyOf[1]);
});

it("tells of the limits and of replays in headers", () => {
  const limits = ["RateLimit", "RateLimit-Policy"];
  const headersOf = (path: string, status: number) =>
    Object.keys(document.paths[path]?.["post"]?.responses[status]?.headers ?? {});
  expect(headersOf("/v1/check", 200)).toEqual(expect.arrayContaining(limits));
  expect(headersOf("/v1/holds", 429)).toEqual(expect.arrayContaining([...limits, "Retry-After"]));
  expect(headersOf("/v1/holds/{hold_id}/settle", 200)).toEqual(
    expect.arrayContaining([...limits, "Idempotent-Replayed"]),
  );
  expect(headersOf("/v1/grants", 201)).toContain("Idempotent-Replayed");
  expect(headersOf("/v1/recurring-grants", 201)).toContain("Idempotent-Replayed");
});
