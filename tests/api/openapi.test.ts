import { beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { errorKinds } from "../../supabase/functions/_shared/errors.ts";
import { endpoints } from "../../supabase/functions/api/routes.ts";
import { request } from "./app.ts";

type Json = Record<string, unknown>;
interface Operation {
  operationId: string;
  security: object[];
  parameters: { name: string; in: string; required: boolean; description: string }[];
  requestBody?: { content: Content };
  responses: Record<string, { headers: Json; content: Content }>;
}
type Content = Record<"application/json", { schema: { $ref: string }; examples?: Record<string, { value: unknown }> }>;
interface Document {
  openapi: string;
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Json & { examples?: unknown[] }>; securitySchemes: Json };
}

let document: Document;
beforeAll(async () => {
  document = (await request("/v1/openapi.json")).json;
});

function schemaAt(ref: string) {
  const schema = document.components.schemas[ref.replace("#/components/schemas/", "")];
  expect(schema, ref).toBeDefined();
  return schema;
}

function operationOf({ method, path }: { method: string; path: string }): Operation {
  return document.paths[path.replace(":user_id", "{user_id}")]?.[method.toLowerCase()];
}

const table = endpoints.map((endpoint) => [`${endpoint.method} ${endpoint.path}`, endpoint] as const);

it("is an OpenAPI 3.1 document", () => {
  expect(document.openapi).toBe("3.1.0");
});

it("has the routes of the table and no others", () => {
  const documented = Object.entries(document.paths).flatMap(([path, operations]) =>
    Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`)
  );
  expect(documented.sort()).toEqual(
    endpoints.map(({ method, path }) => `${method} ${path.replace(":user_id", "{user_id}")}`).sort(),
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

describe.each(table)("%s", (_, endpoint) => {
  const { route } = endpoint;

  it("says whether it takes a key", () => {
    const { security } = operationOf(endpoint);
    expect(security).toEqual(route.secured ? [{ bearer: [] }, { x_api_key: [] }] : []);
  });

  it("describes all of its parameters", () => {
    const { parameters } = operationOf(endpoint);
    expect(parameters.map(({ name, in: location }) => `${location} ${name}`)).toEqual([
      ...Object.keys(route.params?.shape ?? {}).map((name) => `path ${name}`),
      ...Object.keys(route.query?.shape ?? {}).map((name) => `query ${name}`),
      ...(route.body ? ["header Idempotency-Key"] : []),
    ]);
    for (const { description } of parameters) expect(description).toMatch(/\w/);
  });

  it("describes every field of its body", () => {
    const body = operationOf(endpoint).requestBody;
    expect(body !== undefined).toBe(endpoint.method === "POST");
    if (!body) return;
    const schema = schemaAt(body.content["application/json"].schema.$ref);
    expect(schema.additionalProperties).toBe(false);
    for (const field of Object.values(schema.properties as Record<string, Json>)) {
      expect(field.description).toMatch(/\w/);
    }
  });

  it("lists its answers and its errors by status", () => {
    const codes = Object.entries(operationOf(endpoint).responses).flatMap(([status, response]) => {
      const { examples = {} } = response.content["application/json"];
      for (const code of Object.keys(examples)) {
        expect(errorKinds[code as keyof typeof errorKinds].status).toBe(Number(status));
      }
      expect(response.headers).toHaveProperty("x-request-id");
      return Object.keys(examples);
    });
    const always = route.secured
      ? ["internal_error", "invalid_request", "missing_api_key", "invalid_api_key", "missing_scope", "temporarily_unavailable"]
      : ["internal_error"];
    expect(codes.sort()).toEqual([...always, ...route.errors].sort());
    expect(Object.keys(operationOf(endpoint).responses)).toEqual(
      expect.arrayContaining(Object.keys(route.answers)),
    );
  });

  it("has examples that its own schemas accept", () => {
    const { body, answers } = route;
    const schemas = [body, ...Object.values(answers).map(({ schema }) => schema)];
    for (const schema of schemas) {
      for (const example of schema?.meta()?.examples ?? []) {
        expect(schema?.safeParse(example).error).toBeUndefined();
      }
    }
  });
});

it("has an example for every schema that the published schema itself accepts", () => {
  for (const [name, schema] of Object.entries(document.components.schemas)) {
    if (name === "Error" || name === "OpenApiDocument") continue;
    expect(schema.examples, name).toHaveLength(1);
    const published = z.fromJSONSchema(schema as Parameters<typeof z.fromJSONSchema>[0]);
    expect(published.safeParse(schema.examples?.[0]).error, name).toBeUndefined();
  }
});

it("has an example for every error that the published schema accepts", () => {
  const published = z.fromJSONSchema(
    document.components.schemas.Error as Parameters<typeof z.fromJSONSchema>[0],
  );
  const examples = Object.values(document.paths).flatMap((operations) =>
    Object.values(operations).flatMap(({ responses }) =>
      Object.values(responses).flatMap(({ content }) =>
        Object.values(content["application/json"].examples ?? {})
      )
    )
  );
  expect(examples.length).toBeGreaterThan(0);
  for (const { value } of examples) expect(published.safeParse(value).error).toBeUndefined();
});

it("tells a real error as documented", async () => {
  const { json } = await request("/v1/nothing");
  const published = z.fromJSONSchema(
    document.components.schemas.Error as Parameters<typeof z.fromJSONSchema>[0],
  );
  expect(published.safeParse(json).error).toBeUndefined();
});

it("lets a denial by a restriction say when to come back", () => {
  const { responses } = document.paths["/v1/consume"].post;
  expect(responses[429].headers).toHaveProperty("Retry-After");
  expect(responses[503].headers).toHaveProperty("Retry-After");
  expect(responses[402].headers).not.toHaveProperty("Retry-After");
});
