import { expect, test } from "vitest";
import { callApi, type ErrorJson, Tenant, verifyLedgerAtEnd } from "../support/tenant.ts";

verifyLedgerAtEnd();

interface Operation {
  security: object[];
  requestBody?: { content: { "application/json": { schema: { $ref: string } } } };
  responses: Record<string, object>;
}
interface Document {
  openapi: string;
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, { examples: Record<string, unknown>[] }> };
}

const { status, body: document } = await callApi<Document>("/v1/openapi.json");
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({
    method: method.toUpperCase(),
    path,
    operation,
  }))
);

const tenant = await Tenant.create({ quota: 1_000_000 });
await tenant.tagId("GPT-4");
await tenant.consume("user_123", 1000, { request_id: "chat-1" });

/** The path with the example's user in it, or with a hold of its own. */
async function examplePath(path: string): Promise<string> {
  if (!path.includes("{hold_id}")) return path.replace("{user_id}", "user_123");
  const { body } = await tenant.hold("user_123", 500);
  return path.replace("{hold_id}", body.hold_id);
}

/** The request that the document itself gives as an example, with a link to nobody. */
function exampleBody({ requestBody }: Operation): RequestInit {
  if (!requestBody) return {};
  const [name = ""] = requestBody.content["application/json"].schema.$ref.split("/").slice(-1);
  const example = document.components.schemas[name]?.examples[0];
  const unlinked = name === "LinkRequest" && { auth_user_id: null };
  return { body: JSON.stringify({ ...example, ...unlinked }) };
}

test("openapi.json is an OpenAPI 3.1 document with every route", () => {
  expect(status).toBe(200);
  expect(document.openapi).toBe("3.1.0");
  expect(operations.map(({ method, path }) => `${method} ${path}`).sort()).toEqual([
    "GET /v1/health",
    "GET /v1/openapi.json",
    "GET /v1/users/{user_id}/balance",
    "GET /v1/users/{user_id}/transfers",
    "POST /v1/check",
    "POST /v1/consume",
    "POST /v1/consume/batch",
    "POST /v1/grants",
    "POST /v1/holds",
    "POST /v1/holds/{hold_id}/extend",
    "POST /v1/holds/{hold_id}/release",
    "POST /v1/holds/{hold_id}/settle",
    "POST /v1/refunds",
    "PUT /v1/users/{user_id}/link",
  ]);
});

test.each(operations)("$method $path answers its own example as documented", async (route) => {
  const { method, path, operation } = route;

  const answer = await tenant.api(await examplePath(path), {
    method,
    ...exampleBody(operation),
  });

  expect([200, 201]).toContain(answer.status);
  expect(Object.keys(operation.responses)).toContain(String(answer.status));
});

test.each(operations)("$method $path asks for a key if the document says so", async (route) => {
  const { method, path, operation } = route;

  const answer = await callApi(await examplePath(path), {
    method,
    ...exampleBody(operation),
  });

  expect(answer.status).toBe(operation.security.length > 0 ? 401 : 200);
});

test("health needs no key", async () => {
  const { status, headers, body } = await callApi("/v1/health");

  expect(status).toBe(200);
  expect(body).toEqual({ status: "ok" });
  expect(headers.get("cache-control")).toBe("no-store");
});

test.each(["/", "/v1", "/v1/consumes", "/v1/consume/", "/v2/consume", "/v1/users/ada"])(
  "%s is no route, and the answer lists those there are",
  async (path) => {
    const { status, body } = await callApi<ErrorJson>(path);

    expect(status).toBe(404);
    expect(body.error).toMatchObject({
      code: "unknown_route",
      message: `There is no route GET /api${path}.`,
    });
    for (const { method, path } of operations) {
      expect(body.error.hint).toContain(`${method} ${path.replace(/{(\w+)}/, ":$1")}`);
    }
  },
);

test.each([
  ["GET", "/v1/consume", "POST"],
  ["PUT", "/v1/consume", "POST"],
  ["DELETE", "/v1/grants", "POST"],
  ["DELETE", "/v1/holds/hold_1/release", "POST"],
  ["PATCH", "/v1/users/ada/link", "PUT"],
  ["POST", "/v1/users/ada/balance", "GET"],
  ["POST", "/v1/health", "GET"],
])("%s %s is 405, and says to use %s", async (method, path, instead) => {
  const { status, headers, body } = await callApi<ErrorJson>(path, { method });

  expect(status).toBe(405);
  expect(headers.get("allow")?.split(", ")).toContain(instead);
  expect(body.error).toMatchObject({
    code: "method_not_allowed",
    message: `This route does not take ${method}.`,
    hint: `Use ${instead}.`,
  });
});

test("HEAD answers what GET would, without a body", async () => {
  const { status, body } = await tenant.api("/v1/users/user_123/balance", { method: "HEAD" });

  expect(status).toBe(200);
  expect(body).toBeUndefined();
});
