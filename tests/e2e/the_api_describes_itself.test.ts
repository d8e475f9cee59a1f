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
await tenant.plan({ quota: 2_000_000 }, "Pro");
await tenant.tagId("GPT-4");
const { body: first } = await tenant.consume("user_123", 1000, { request_id: "chat-1" });

const USER = "user_123";

/** The URL of an operation for the example's user, with a hold or a grant of its own. */
async function exampleUrl(path: string): Promise<string> {
  switch (/{(\w+)}/.exec(path)?.[1]) {
    case "user_id":
      return path.replace("{user_id}", USER);
    case "hold_id":
      return path.replace("{hold_id}", (await tenant.hold(USER, 500)).body.hold_id);
    case "grant_id":
      return path.replace("{grant_id}", (await tenant.grant(USER, 500)).body.grant_id);
    case "recurring_grant_id": {
      const { body } = await tenant.recurringGrant(USER, 500);
      return path.replace("{recurring_grant_id}", body.recurring_grant_id);
    }
    default:
      return path === "/v1/usage"
        ? `${path}?${new URLSearchParams({ from: first.created_at })}`
        : path;
  }
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
    "GET /v1/usage",
    "GET /v1/users/{user_id}/balance",
    "GET /v1/users/{user_id}/transfers",
    "PATCH /v1/users/{user_id}",
    "POST /v1/check",
    "POST /v1/consume",
    "POST /v1/consume/batch",
    "POST /v1/grants",
    "POST /v1/grants/{grant_id}/void",
    "POST /v1/holds",
    "POST /v1/holds/{hold_id}/extend",
    "POST /v1/holds/{hold_id}/release",
    "POST /v1/holds/{hold_id}/settle",
    "POST /v1/recurring-grants",
    "POST /v1/recurring-grants/{recurring_grant_id}/end",
    "POST /v1/refunds",
    "PUT /v1/users/{user_id}/link",
  ]);
});

test.each(operations)("$method $path answers its own example as documented", async (route) => {
  const { method, path, operation } = route;

  const answer = await tenant.api(await exampleUrl(path), {
    method,
    ...exampleBody(operation),
  });

  expect([200, 201]).toContain(answer.status);
  expect(Object.keys(operation.responses)).toContain(String(answer.status));
});

test.each(operations)("$method $path asks for a key if the document says so", async (route) => {
  const { method, path, operation } = route;

  const answer = await callApi(await exampleUrl(path), {
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

test.each(["/", "/v1", "/v1/consumes", "/v1/consume/", "/v2/consume", "/v1/users"])(
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
  ["GET", "/v1/users/ada", "PATCH"],
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
